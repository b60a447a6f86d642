"""What a request costs of AWS itself stands in its record."""

from datetime import UTC, datetime
from typing import Any

import pytest

from quintet.http.exchange import Exchange, open_exchange
from quintet.store import wire
from quintet.telemetry.platform import prices
from quintet.telemetry.requests import fields_of
from quintet.telemetry.rules import measures_of

AT = datetime(2026, 11, 29, 12, tzinfo=UTC)


@pytest.fixture
def exchange() -> Exchange:
    scope: dict[str, Any] = {"headers": [], "method": "POST", "path": "/v1/chat"}
    opened = open_exchange(scope, "broker", AT)
    opened.status = 200
    return opened


def test_a_record_tells_time_units_and_request_in_money(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024")
    with wire.metered() as meter:
        plain = fields_of(exchange)["platform_cost"]
        meter.add("UpdateItem", 1000)
        meter.add("GetItem", 1000)
        more = fields_of(exchange)["platform_cost"]
    price = prices()["request"]
    fixed = price["api_gateway_request"] + price["lambda_request"] + 2 * price["dynamodb_write_unit"]
    units = 1000 * (price["dynamodb_write_unit"] + price["dynamodb_read_unit"])
    assert plain == pytest.approx(fixed * 1e9, abs=20_000)  # and the time since the exchange was opened
    assert more - plain == pytest.approx(units * 1e9, abs=20_000)


def test_it_is_counted_by_the_group_of_the_api(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
    with wire.metered():
        record = fields_of(exchange)
    (group,) = [each for each in measures_of(record) if each.series.family == "groups"]
    assert group.amounts["platform"] == record["platform_cost"]


def test_where_nobody_charges_nothing_is_told(exchange: Exchange) -> None:
    assert "platform_cost" not in fields_of(exchange)
