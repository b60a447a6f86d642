"""What the control plane consumes through PynamoDB is counted as what the hot path does over the wire."""

import pytest

from quintet.events import store as log
from quintet.events.platform import platform_event
from quintet.events.store import outbox
from quintet.identity.store import keys
from quintet.store import wire
from quintet.store.clock import SystemClock
from quintet.store.meter import metered
from quintet.store.transactions import write_together
from quintet.tasks.store import escalations
from tests.loops import on_a_loop

pytestmark = pytest.mark.usefixtures("quiet_tables")
NOBODY = "nobody"


def test_reads_and_writes_are_counted_where_somebody_measures() -> None:
    with metered() as meter:
        assert keys.find(NOBODY) is None
    assert meter.used.keys() == {"dynamodb_read_unit"}
    event = platform_event("task.created", "task_1", {}, now=SystemClock().now())
    with metered() as meter:
        write_together([outbox(event)])
    assert meter.used == {"dynamodb_write_unit": 2.0}  # a transaction's cost twice
    with metered() as meter:
        log.head("nothing")
    assert meter.used.keys() == {"dynamodb_read_unit"}


@on_a_loop
async def test_many_keys_at_once_are_as_many_reads() -> None:
    with metered() as meter, wire.watched() as calls:
        assert await escalations.find(NOBODY) is None
    assert [each.operation for each in calls] == ["BatchGetItem"]
    assert meter.used["dynamodb_read_unit"] >= 0.5
