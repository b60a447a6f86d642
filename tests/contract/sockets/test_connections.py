"""What is kept of open connections: the fake and the table alike."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from quintet.errors import Failure, Kind
from quintet.identity.model import Principal, PrincipalKind
from quintet.sockets import store
from quintet.sockets.model import LONGEST, MAX_ATTRIBUTES, Changed, Connection, Connections, Gone
from quintet.store.ids import new_id
from tests.fakes.sockets import FakeConnections
from tests.loops import on_a_loop

NOW = datetime.now(UTC).replace(microsecond=0)
CALLER = Principal(
    "user_1",
    PrincipalKind.SERVICE,
    "key#1",
    frozenset({"call_models", "infer"}),
    roles=("developer",),
    scopes=("models",),
    key_id="key_1",
    name="a key",
    expires_at=NOW + timedelta(days=1),
    rev=3,
)


@pytest.fixture(params=["fake", "table"])
def connections(request: pytest.FixtureRequest) -> Iterator[Connections]:
    if request.param == "fake":
        yield FakeConnections()
    else:
        request.getfixturevalue("quiet_tables")
        yield store


def connection(**changes: object) -> Connection:
    given = {"id": new_id("c", NOW) + "=", "protocol": "toron", "principal": CALLER, "connected_at": NOW, **changes}
    return Connection(**given)  # type: ignore[arg-type]


@on_a_loop
async def test_an_open_connection_is_found_as_it_was(connections: Connections) -> None:
    known = connection(ip="203.0.113.7", host="h", attributes={"state": b"\x00\xff", "count": 3, "deep": {"a": [1.5]}})
    nameless = connection(principal=None)
    for each in (known, nameless):
        await connections.open(each)
        assert await connections.find(each.id) == each
    assert await connections.find("c_unknown") is None


@on_a_loop
async def test_a_removed_connection_is_gone(connections: Connections) -> None:
    known = connection()
    await connections.open(known)
    await connections.remove(known.id)
    await connections.remove(known.id)
    assert await connections.find(known.id) is None
    with pytest.raises(Gone):
        await connections.save(known)
    with pytest.raises(Gone):
        await connections.line_up(known.id, "turn_1", NOW)
    with pytest.raises(Gone):
        await connections.line(known.id)
    await connections.leave_line(known.id, "turn_1")


@on_a_loop
async def test_attributes_are_saved_by_the_first_and_refused_to_the_second(connections: Connections) -> None:
    known = connection(attributes={"count": 1})
    await connections.open(known)
    saved = await connections.save(known.with_attributes(count=2))
    assert (saved.attributes, saved.principal) == ({"count": 2}, CALLER)
    with pytest.raises(Changed):
        await connections.save(known.with_attributes(count=3))
    assert await connections.find(known.id) == saved
    assert (await connections.save(saved.with_attributes(count=4))).attributes == {"count": 4}


@on_a_loop
async def test_counts_those_that_may_still_be_open(connections: Connections) -> None:
    before = await connections.live(NOW)
    for at in (NOW, NOW - LONGEST + timedelta(seconds=1), NOW - LONGEST - timedelta(seconds=1)):
        await connections.open(connection(connected_at=at))
    assert await connections.live(NOW) == before + 2


@on_a_loop
async def test_a_line_holds_the_tickets_of_its_connection(connections: Connections) -> None:
    known, other = connection(), connection()
    await connections.open(known)
    await connections.open(other)
    until = NOW + timedelta(seconds=1)
    assert await connections.line_up(known.id, "turn_1", NOW) == {"turn_1": NOW}
    assert await connections.line_up(known.id, "turn_2", until) == {"turn_1": NOW, "turn_2": until}
    await connections.leave_line(known.id, "turn_1")
    assert await connections.line(known.id) == {"turn_2": until}
    assert await connections.line(other.id) == {}
    found = await connections.find(known.id)
    assert found is not None
    await connections.save(found.with_attributes(a=1))
    assert await connections.line(known.id) == {"turn_2": until}


@on_a_loop
async def test_more_attributes_than_an_item_holds_are_refused_and_change_nothing(connections: Connections) -> None:
    known = connection(attributes={"waiting": ["x"]})
    await connections.open(known)
    for large in (["x" * MAX_ATTRIBUTES], [b"x" * MAX_ATTRIBUTES], ["\N{SNOWMAN}" * (MAX_ATTRIBUTES // 3)]):
        with pytest.raises(Failure) as failure:
            await connections.save(known.with_attributes(waiting=large))
        assert failure.value.kind is Kind.TOO_LARGE
    assert await connections.find(known.id) == known
    await connections.save(known.with_attributes(waiting=["x" * (MAX_ATTRIBUTES - 1024)]))
