"""The dispatcher: who is let in, by which protocol, and what is kept of it."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from quintet.errors import Failure, Kind
from quintet.sockets.dispatch import Dispatcher, Make
from quintet.sockets.model import Accepted, Connection, Gone, Handshake
from tests.loops import on_a_loop
from tests.sockets import IP, connecting, leaving, saying
from tests.unit.identity.conftest import Configure
from tests.unit.sockets.conftest import House


@dataclass
class Parrot:
    """Lets in whoever has a name, and notes what it hears."""

    made: int = 0
    shaken: list[Handshake] = field(default_factory=list)
    heard: list[tuple[str, str | bytes]] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    failure: Exception | None = None

    def __call__(self) -> "Parrot":
        self.made += 1
        return self

    async def connect(self, handshake: Handshake) -> Accepted:
        self.shaken.append(handshake)
        return Accepted(handshake.principal(), handshake.answer, {"greeted": True})

    async def message(self, connection: Connection, message: str | bytes) -> None:
        self.heard.append((connection.id, message))
        if self.failure is not None:
            raise self.failure

    async def disconnect(self, connection: Connection) -> None:
        self.left.append(connection.id)


@dataclass
class Open:
    """Lets in everybody."""

    async def connect(self, handshake: Handshake) -> Accepted:
        return Accepted(None)

    async def message(self, connection: Connection, message: str | bytes) -> None:
        raise AssertionError

    async def disconnect(self, connection: Connection) -> None:
        pass


@pytest.fixture
def parrot() -> Parrot:
    return Parrot()


def dispatching(house: House, parrot: Parrot) -> Dispatcher:
    protocols: dict[str, Make] = {"toron": parrot, "kyros": Open}
    return Dispatcher(protocols, house.connections, house.door, house.record, poster=house.poster)


def keyed(house: House) -> dict[str, str]:
    return {"X-Ryuzen-Key": house.key("developer").secret}


@on_a_loop
async def test_a_named_caller_comes_in_speaks_and_leaves(house: House, parrot: Parrot) -> None:
    dispatch = dispatching(house, parrot)
    assert parrot.made == 0
    assert await dispatch(connecting("toron", headers=keyed(house), agent="7")) == {"statusCode": 200, "headers": {}}
    (shaken,) = parrot.shaken
    assert (shaken.query, shaken.ip, shaken.protocol) == ({"agent": "7"}, IP, "toron")
    kept = house.connections.rows["c1="]
    assert kept.principal is not None
    assert (kept.principal.id, kept.attributes, kept.ip, kept.host) == (
        "team",
        {"greeted": True},
        IP,
        "ws.example.test",
    )
    assert (await dispatch(saying("hello")), await dispatch(saying(b"\xff"))) == ({"statusCode": 200},) * 2
    assert parrot.heard == [("c1=", "hello"), ("c1=", b"\xff")]
    await dispatch(leaving())
    assert (parrot.left, house.connections.rows, parrot.made) == (["c1="], {}, 1)


@on_a_loop
@pytest.mark.parametrize("headers", [{}, {"X-Ryuzen-Key": "qk_local_wrong"}, {"Authorization": "Bearer x"}])
async def test_nobody_comes_in_without_a_key_that_counts(house: House, parrot: Parrot, headers: dict[str, str]) -> None:
    answer = await dispatching(house, parrot)(connecting("toron", headers=headers))
    assert answer["statusCode"] == 401
    assert house.connections.rows == {}
    (record,) = house.records
    assert (record.status, record.route, record.group) == (401, "/ws/stream", "sockets")


@on_a_loop
async def test_a_token_may_come_as_a_subprotocol_for_browsers_can_send_no_header(house: House, parrot: Parrot) -> None:
    secret = house.key("developer").secret
    dispatch = dispatching(house, parrot)
    both = {"Sec-WebSocket-Protocol": f"bearer.{secret}, toron.v1"}
    answer = await dispatch(connecting("toron", headers=both))
    assert answer == {"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": "toron.v1"}}
    alone = {"Sec-WebSocket-Protocol": f"bearer.{secret}"}
    answer = await dispatch(connecting("toron", headers=alone))
    assert answer["headers"] == {"Sec-WebSocket-Protocol": f"bearer.{secret}"}


@on_a_loop
async def test_a_key_in_the_query_does_not_count(house: House, parrot: Parrot) -> None:
    secret = house.key("developer").secret
    answer = await dispatching(house, parrot)(connecting("toron", token=secret, key=secret))
    assert answer["statusCode"] == 401


@on_a_loop
async def test_a_protocol_may_let_in_callers_without_a_name(house: House, parrot: Parrot) -> None:
    await dispatching(house, parrot)(connecting("kyros"))
    assert house.connections.rows["c1="].principal is None


@on_a_loop
@pytest.mark.parametrize("protocol", [None, "", "http", "cyborgmind"])
async def test_an_unknown_protocol_is_refused(house: House, parrot: Parrot, protocol: str | None) -> None:
    assert (await dispatching(house, parrot)(connecting(protocol)))["statusCode"] == 400


@on_a_loop
async def test_upgrades_are_counted_like_requests(house: House, parrot: Parrot, configure: Configure) -> None:
    configure(rate_limit_ask=2)
    dispatch, headers = dispatching(house, parrot), keyed(house)
    answers = [await dispatch(connecting("toron", headers=headers)) for _ in range(3)]
    assert [answer["statusCode"] for answer in answers] == [200, 200, 429]
    assert int(answers[2]["headers"]["retry-after"]) >= 1


@on_a_loop
async def test_a_connection_that_nobody_knows_is_closed_when_it_speaks(house: House, parrot: Parrot) -> None:
    dispatch = dispatching(house, parrot)
    for event in (saying("x", "c1="), leaving("c2=")):
        assert await dispatch(event) == {"statusCode": 410}
    assert (parrot.made, house.poster.closed) == (0, ["c1="])


@on_a_loop
async def test_a_client_that_is_gone_while_it_is_answered_is_forgotten(house: House, parrot: Parrot) -> None:
    dispatch = dispatching(house, parrot)
    await dispatch(connecting("toron", headers=keyed(house)))
    parrot.failure = Gone()
    await dispatch(saying("x"))
    assert house.connections.rows == {}


@on_a_loop
async def test_what_a_protocol_does_not_handle_reaches_lambda(house: House, parrot: Parrot) -> None:
    dispatch = dispatching(house, parrot)
    await dispatch(connecting("toron", headers=keyed(house)))
    parrot.failure = LookupError()
    with pytest.raises(LookupError):
        await dispatch(saying("x"))


async def admit(house: House, connection: Connection) -> Failure | None:
    try:
        async with house.messages.admitted(connection, "ask"):
            return None
    except Failure as failure:
        return failure


async def connected(house: House, secret: str) -> Connection:
    await dispatching(house, Parrot())(connecting("toron", headers={"X-API-Key": secret}))
    return house.connections.rows["c1="]


@on_a_loop
async def test_messages_are_counted_and_recorded_like_requests(house: House, configure: Configure) -> None:
    configure(rate_limit_ask=3)
    connection = await connected(house, house.key("developer").secret)
    failures = [await admit(house, connection) for _ in range(3)]
    assert failures[:2] == [None, None]
    assert failures[2] is not None
    assert (failures[2].kind, failures[2].retry_after is not None) == (Kind.LIMITED, True)
    told: list[Any] = [(each.group, each.method, each.route, each.status) for each in house.records[1:]]
    assert told == [("ask", "MESSAGE", "/ws/stream", status) for status in (200, 200, 429)]


@on_a_loop
async def test_a_revoked_key_says_nothing_more(house: House) -> None:
    issued = house.key("developer")
    connection = await connected(house, issued.secret)
    house.keys.revoke(issued.key.id, actor="test", now=issued.key.created_at)
    failure = await admit(house, connection)
    assert failure is not None
    assert (failure.kind, failure.message) == (Kind.UNAUTHENTICATED, "These credentials have been revoked")


@on_a_loop
async def test_a_caller_whose_record_changed_connects_again(house: House) -> None:
    issued = house.key("developer")
    connection = await connected(house, issued.secret)
    house.tables.revise(issued.key.account, issued.key.rev + 1)
    failure = await admit(house, connection)
    assert failure is not None
    assert "connect again" in failure.message
