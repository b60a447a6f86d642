"""What work costs of AWS itself: in its record, in the figures, and told later where it has no record."""

from quintet.telemetry.lambdas import kind_of

import asyncio
import json
import re
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from quintet.http.exchange import Exchange, open_exchange
from quintet.store import wire
from quintet.store.meter import Meter, charged, metered, used
from quintet.telemetry import owed
from quintet.telemetry.platform import nano_usd, prices
from quintet.telemetry.requests import fields_of, record
from quintet.telemetry.rules import measures_of

AT = datetime(2026, 11, 29, 12, tzinfo=UTC)


@pytest.fixture
def exchange() -> Exchange:
    scope: dict[str, Any] = {"headers": [], "method": "POST", "path": "/v1/chat"}
    opened = open_exchange(scope, "broker", AT)
    opened.status = 200
    return opened


@pytest.fixture
def on_lambda(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The records that were written."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024")
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "quintet-deliver")
    monkeypatch.setattr(owed, "_owed", defaultdict(float))
    monkeypatch.setattr(owed, "_works", 0)
    monkeypatch.setattr(owed, "_due", owed.WORTH)
    written: list[dict[str, Any]] = []

    async def call(_operation: str, request: Mapping[str, Any], **_: Any) -> dict[str, Any]:
        written.append(wire.from_item(request["Item"]))
        return {}

    monkeypatch.setattr(wire, "call", call)
    return written


def test_a_record_tells_time_units_and_request_in_money(exchange: Exchange, on_lambda: Any) -> None:
    with metered() as meter:
        meter.add("api_gateway_request")
        meter.add("lambda_request")
        plain = fields_of(exchange)["platform_cost"]
        meter.add("dynamodb_write_unit", 1000)
        meter.add("dynamodb_read_unit", 1000)
        more = fields_of(exchange)["platform_cost"]
    price = prices()["request"]
    fixed = price["api_gateway_request"] + price["lambda_request"] + 2 * price["dynamodb_write_unit"]
    units = 1000 * (price["dynamodb_write_unit"] + price["dynamodb_read_unit"])
    assert plain == pytest.approx(fixed * 1e9, abs=20_000)  # and the time since the meter was set
    assert more - plain == pytest.approx(units * 1e9, abs=20_000)


def test_what_one_record_has_told_the_next_does_not(exchange: Exchange, on_lambda: list[dict[str, Any]]) -> None:
    async def two() -> None:
        with metered() as meter:
            meter.add("state_transition", 100)
            await record(exchange)
            await record(exchange)

    asyncio.run(two())
    first, second = (each["platform_cost"] for each in on_lambda)
    assert first > 2_500_000 > 100_000 > second


def test_it_is_counted_by_the_group_of_the_api(exchange: Exchange, on_lambda: Any) -> None:
    with metered():
        record = fields_of(exchange)
    (group,) = [each for each in measures_of(record) if each.series.family == "groups"]
    assert group.amounts["platform"] == record["platform_cost"]


def test_where_nobody_charges_nothing_is_told(exchange: Exchange) -> None:
    with metered():
        assert "platform_cost" not in fields_of(exchange)


def test_work_without_a_record_is_told_once_it_is_worth_one(on_lambda: list[dict[str, Any]]) -> None:
    async def deliveries(number: int) -> None:
        for _ in range(number):
            meter = Meter()
            meter.add("dynamodb_write_unit", 10)
            await owed.settle(meter, "queue")

    asyncio.run(deliveries(10))
    assert on_lambda == []
    asyncio.run(deliveries(20))
    (told,) = on_lambda
    works = told["facts"]["invocations"]
    assert 10 < works <= owed.WORTH // 6250 + 1
    assert told["facts"]["used"]["dynamodb_write_unit"] == 10 * works
    assert (told["group"], told["method"], told["route"]) == ("deliver", "WORK", "unasked")
    assert told["platform_cost"] >= nano_usd(told["facts"]["used"])
    measured = [each for each in measures_of(told) if each.series.family != "log"]
    assert [(each.series.family, each.amounts["platform"]) for each in measured] == [
        ("platform", told["platform_cost"])
    ]


def test_what_could_not_be_told_is_told_with_the_next(
    on_lambda: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    works = wire.call

    async def fails(*_: Any, **__: Any) -> Any:
        raise wire.WireError("ThrottlingException", "too much")

    async def dear() -> None:
        meter = Meter()
        meter.add("state_transition", 10)
        await owed.settle(meter, "step")

    monkeypatch.setattr(wire, "call", fails)
    asyncio.run(dear())
    monkeypatch.setattr(wire, "call", works)
    asyncio.run(dear())
    (told,) = on_lambda
    assert (told["facts"]["invocations"], told["facts"]["used"]["state_transition"]) == (2, 20)


def test_a_table_out_of_reach_is_not_asked_at_every_invocation(
    on_lambda: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    async def fails(*_: Any, **__: Any) -> Any:
        nonlocal asked
        asked += 1
        raise wire.WireError("ThrottlingException", "too much")

    async def probes(number: int) -> None:
        for _ in range(number):
            meter = Meter()
            meter.add("dynamodb_write_unit", 10)
            await owed.settle(meter, "request")

    monkeypatch.setattr(wire, "call", fails)
    asyncio.run(probes(60))
    assert 2 <= asked <= 4


def test_the_code_counts_what_has_a_price_and_nothing_else(repository: Path) -> None:
    code = "".join(
        source.read_text() for part in ("layers/core", "functions") for source in (repository / part).rglob("*.py")
    )
    priced = prices()["request"].keys()
    assert {unit for unit in priced if f'"{unit}"' not in code} == set()
    counted = set(re.findall(r"""(?:\bused|meter\.add|\bcharged)\((?:client, )?"([a-z0-9_]+)\"""", code))
    assert len(counted) > 8
    assert counted <= priced


def test_a_client_of_botocores_counts_every_attempt() -> None:
    import botocore.session
    from botocore.config import Config
    from botocore.exceptions import EndpointConnectionError

    client = botocore.session.get_session().create_client(
        "sqs",
        region_name="us-east-1",
        endpoint_url="http://127.0.0.1:9",
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=Config(retries={"mode": "standard", "total_max_attempts": 2}),
    )
    charged(client, "sqs_request")
    with metered() as meter, pytest.raises(EndpointConnectionError):
        client.send_message(QueueUrl="http://127.0.0.1:9/q", MessageBody="x")
    assert meter.used == {"sqs_request": 2}
    used("sqs_request")  # nobody measures


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"Records": [{"eventSource": "aws:sqs"}]}, "queue"),
        ({"Records": [{"eventSource": "aws:dynamodb"}]}, "stream"),
        ({"requestContext": {}}, "socket"),
        ({"step": "plan"}, "step"),
        ({}, "schedule"),
        (None, "schedule"),
    ],
)
def test_an_event_is_known_by_where_it_comes_from(event: Any, kind: str) -> None:
    assert kind_of(event) == kind


def test_every_price_says_where_it_was_seen() -> None:
    known = prices()
    assert known["seen"].keys() == {*known["request"], *known["month"], "snapshot"}
    assert json.dumps(known["as_of"]) >= '"2026'
