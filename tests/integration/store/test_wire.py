"""The signed call to DynamoDB against servers that answer, throttle, fail and hang up."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import botocore.session
import pytest

from quintet.net.client import NetError
from quintet.settings import settings
from quintet.store import credentials as credentials_module
from quintet.store import wire
from quintet.store.meter import metered, metered_so_far
from quintet.store.wire import Call, Reason, WireError, call, watched
from tests.loops import on_a_loop
from tests.servers import Peer, serving

GET = {"TableName": "t", "Key": {"pk": {"S": "a"}}}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setattr(wire, "_FIRST_PAUSE", 0.001)
    yield
    settings.cache_clear()


def answer(status: int, body: dict[str, Any] | bytes) -> bytes:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(content)) + content


def refusal(code: str, status: int = 400, **more: Any) -> bytes:
    return answer(status, {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "why", **more})


FOUND = answer(200, {"Item": {"pk": {"S": "a"}}})
HANG_UP = b""


class Table:
    """Answers with what the script holds, one request after another; the last answer repeats."""

    def __init__(self, *script: bytes) -> None:
        self.script = list(script)
        self.asked: list[bytes] = []

    async def __call__(self, peer: Peer) -> None:
        while request := await peer.request():
            self.asked.append(request)
            step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
            if step == HANG_UP:
                return
            await peer.answer(step)


def with_table(
    *script: bytes,
) -> Callable[[Callable[[Table], Awaitable[None]]], Callable[[pytest.MonkeyPatch], None]]:
    """Runs the test against a server with this script."""

    def decorate(test: Callable[[Table], Awaitable[None]]) -> Callable[[pytest.MonkeyPatch], None]:
        @on_a_loop
        async def run(monkeypatch: pytest.MonkeyPatch) -> None:
            table = Table(*script)
            async with serving(table) as server:
                monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
                settings.cache_clear()
                await test(table)

        return run

    return decorate


@with_table(FOUND)
async def test_sends_a_signed_request_and_returns_the_answer(table: Table) -> None:
    assert await call("GetItem", GET) == {"Item": {"pk": {"S": "a"}}}
    head, body = table.asked[0].split(b"\r\n\r\n")
    assert b"\r\nx-amz-target: DynamoDB_20120810.GetItem\r\n" in head
    assert b"\r\nauthorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/" in head
    assert json.loads(body) == GET


@with_table(FOUND)
async def test_text_goes_out_in_utf8_and_what_is_no_text_as_a_question_mark(table: Table) -> None:
    await call("GetItem", {"TableName": "t", "Key": {"pk": {"S": "ü 😀 \0 \ud800"}}})
    body = table.asked[0].split(b"\r\n\r\n")[1].decode()
    assert json.loads(body)["Key"]["pk"]["S"] == "ü 😀 \0 ?"
    assert "ü 😀" in body


@with_table(refusal("ConditionalCheckFailedException", Item={"pk": {"S": "a"}, "n": {"N": "3"}}))
async def test_an_unmet_condition_brings_the_old_item(table: Table) -> None:
    with pytest.raises(WireError, match="ConditionalCheckFailedException: why") as refused:
        await call("PutItem", GET)
    assert (refused.value.unmet, refused.value.item) == (True, {"pk": "a", "n": 3})
    assert len(table.asked) == 1


@with_table(
    refusal(
        "TransactionCanceledException",
        CancellationReasons=[{"Code": "None"}, {"Code": "ConditionalCheckFailed", "Item": {"n": {"N": "1"}}}],
    )
)
async def test_a_cancelled_transaction_says_which_part_stopped_it(table: Table) -> None:
    with pytest.raises(WireError) as refused:
        await call("TransactWriteItems", {})
    assert refused.value.reasons == (Reason("None", None), Reason("ConditionalCheckFailed", {"n": 1}))
    assert refused.value.unmet
    assert len(table.asked) == 1


@pytest.mark.parametrize(
    "refused",
    [
        refusal("ProvisionedThroughputExceededException"),
        refusal("ThrottlingException"),
        refusal("RequestLimitExceeded"),
        refusal("TransactionConflictException"),
        refusal("TransactionInProgressException"),
        refusal("ServiceUnavailable", 503),
        answer(503, b"<html>busy</html>"),
        refusal(
            "TransactionCanceledException", CancellationReasons=[{"Code": "None"}, {"Code": "TransactionConflict"}]
        ),
    ],
)
def test_what_was_refused_untouched_is_asked_again(refused: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    @with_table(refused, refused, FOUND)
    async def test(table: Table) -> None:
        assert "Item" in await call("UpdateItem", GET)
        assert len(table.asked) == 3

    test(monkeypatch)


@pytest.mark.parametrize(
    "refused",
    [
        refusal("ValidationException"),
        refusal("ResourceNotFoundException"),
        refusal("UnrecognizedClientException"),
        refusal(
            "TransactionCanceledException",
            CancellationReasons=[{"Code": "ConditionalCheckFailed"}, {"Code": "TransactionConflict"}],
        ),
        refusal("TransactionCanceledException", CancellationReasons=[{"Code": "ValidationError"}]),
        answer(403, b"not json"),
        answer(400, b'["not an object"]'),
    ],
)
def test_what_would_be_refused_again_is_not_asked_again(refused: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    @with_table(refused)
    async def test(table: Table) -> None:
        with pytest.raises(WireError):
            await call("UpdateItem", GET)
        assert len(table.asked) == 1

    test(monkeypatch)


@pytest.mark.parametrize("failure", [HANG_UP, refusal("InternalServerError", 500)])
@pytest.mark.parametrize(
    ("operation", "request_", "idempotent"),
    [("GetItem", GET, False), ("PutItem", GET, True), ("TransactWriteItems", {"ClientRequestToken": "t"}, False)],
)
def test_what_does_no_harm_twice_is_asked_again_after_a_failure(
    failure: bytes, operation: str, request_: dict[str, Any], idempotent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    @with_table(failure, failure, FOUND)
    async def test(table: Table) -> None:
        assert "Item" in await call(operation, request_, idempotent=idempotent)
        assert len(table.asked) == 3

    test(monkeypatch)


@pytest.mark.parametrize("failure", [HANG_UP, refusal("InternalServerError", 500)])
@pytest.mark.parametrize("operation", ["PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"])
def test_a_write_that_may_have_happened_is_not_repeated(
    failure: bytes, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    @with_table(failure)
    async def test(table: Table) -> None:
        with pytest.raises((WireError, NetError)):
            await call(operation, GET)
        assert len(table.asked) == 1

    test(monkeypatch)


@on_a_loop
async def test_a_write_that_was_never_sent_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(Table(FOUND)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        settings.cache_clear()
        with watched() as calls, pytest.raises(NetError, match="could not connect"):
            await call("UpdateItem", GET)
        assert len(calls) == wire._ATTEMPTS
        assert not server.peers


def test_does_not_wait_for_a_turn_that_the_deadline_forbids(monkeypatch: pytest.MonkeyPatch) -> None:
    @with_table(refusal("ThrottlingException"))
    async def test(table: Table) -> None:
        with pytest.raises(WireError, match="ThrottlingException"):
            await call("GetItem", GET)
        assert len(table.asked) == 1

    monkeypatch.setattr(wire, "_FIRST_PAUSE", 1e9)
    test(monkeypatch)


@with_table(refusal("ThrottlingException"))
async def test_gives_up_after_its_attempts(table: Table) -> None:
    with pytest.raises(WireError, match="ThrottlingException"):
        await call("GetItem", GET)
    assert len(table.asked) == wire._ATTEMPTS


@with_table(
    refusal("ThrottlingException"),
    answer(200, {"ConsumedCapacity": {"CapacityUnits": 0.5}}),
    answer(200, {"ConsumedCapacity": [{"CapacityUnits": 2.0}, {"CapacityUnits": 4.0}]}),
)
async def test_counts_every_request_and_what_it_consumed(table: Table) -> None:
    with watched(capacity=True) as calls:
        await call("GetItem", GET)
        await asyncio.create_task(call("TransactWriteItems", {"ClientRequestToken": "t"}))
    assert calls == [Call("GetItem", 0.0), Call("GetItem", 0.5), Call("TransactWriteItems", 6.0)]
    assert all(b'"ReturnConsumedCapacity":"TOTAL"' in request for request in table.asked)


@with_table(
    answer(200, {"ConsumedCapacity": {"CapacityUnits": 0.5}}),
    answer(200, {"ConsumedCapacity": {"CapacityUnits": 2.0}}),
)
async def test_a_meter_tells_reads_from_writes(table: Table) -> None:
    with metered() as meter:
        await call("GetItem", GET)
        await asyncio.create_task(call("PutItem", {}))
    assert meter.used == {"dynamodb_read_unit": 0.5, "dynamodb_write_unit": 2.0}
    assert metered_so_far() is None


@with_table(FOUND)
async def test_asks_for_no_capacity_when_nobody_watches_it(table: Table) -> None:
    with watched() as calls:
        await call("GetItem", GET)
    await call("GetItem", GET)
    assert calls == [Call("GetItem", 0.0)]
    assert not any(b"ReturnConsumedCapacity" in request for request in table.asked)


class Renewable:
    """Shaped like botocore's refreshable credentials."""

    def __init__(self) -> None:
        self.stale = True
        self.renewed = 0

    def refresh_needed(self) -> bool:
        return self.stale

    def get_frozen_credentials(self) -> Any:
        if self.stale:
            self.renewed += 1
            self.stale = False
        return botocore.credentials.ReadOnlyCredentials(f"AKID{self.renewed}", "secret", "token")


def test_without_keys_in_the_environment_botocores_chain_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    @with_table(FOUND)
    async def test(table: Table) -> None:
        for _ in range(2):
            await call("GetItem", GET)
        found.stale = True
        await call("GetItem", GET)
        assert [b"Credential=AKID1/" in request for request in table.asked] == [True, True, False]
        assert b"Credential=AKID2/" in table.asked[2]
        assert all(b"\r\nx-amz-security-token: token\r\n" in request for request in table.asked)

    found = Renewable()
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setattr(botocore.session.Session, "get_credentials", lambda _: found)
    monkeypatch.setattr(credentials_module, "_chain", credentials_module._Chain())
    test(monkeypatch)


def test_says_so_when_there_are_no_credentials_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    @with_table(FOUND)
    async def test(table: Table) -> None:
        with pytest.raises(RuntimeError, match="no AWS credentials"):
            await call("GetItem", GET)
        assert not table.asked

    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setattr(botocore.session.Session, "get_credentials", lambda _: None)
    monkeypatch.setattr(credentials_module, "_chain", credentials_module._Chain())
    test(monkeypatch)
