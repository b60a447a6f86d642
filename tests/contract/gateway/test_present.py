"""A provider's health in the table: it falls ill, is left alone, and recovers."""

from datetime import timedelta

import pytest

from quintet.gateway import present
from quintet.gateway.present import DOWN_AFTER, State
from quintet.store.clock import SystemClock
from quintet.store.ids import new_id
from tests.loops import on_a_loop

pytestmark = pytest.mark.usefixtures("quiet_tables")
NOW = SystemClock().now()


@on_a_loop
async def test_errors_in_a_row_bring_a_provider_down_until_it_recovers() -> None:
    name = new_id("provider", NOW)
    states = [(await present.failed(name, "server: 500", NOW)).state for _ in range(DOWN_AFTER)]
    assert states == [State.HEALTHY, State.DEGRADED, State.DEGRADED, State.DEGRADED, State.DOWN]
    assert (await present.read()).of(name).cooling(NOW) > 0
    await present.recovered(name)
    health = (await present.read()).of(name)
    assert (health.state, health.cooling(NOW), health.last_error) == (State.HEALTHY, 0.0, "server: 500")


@on_a_loop
async def test_a_vendor_that_asks_for_peace_is_left_alone_and_not_ill() -> None:
    name = new_id("provider", NOW)
    limited = await present.limited(name, "rate_limited: 429", 12.0, NOW)
    assert (limited.limited, limited.state, limited.cooling(NOW)) == (True, State.HEALTHY, 12.0)
    assert (await present.read()).of(name) == limited
    await present.recovered(name)
    assert not (await present.read()).of(name).limited
    long = await present.limited(name, "rate_limited: 429", 1e9, NOW)
    assert long.cooldown_until == NOW + timedelta(minutes=10)
