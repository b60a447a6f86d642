"""An endpoint's gate: fifty a minute exactly, however its deliveries come."""

import heapq
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from quintet.webhooks.gate import LEASE_MS, MINUTE_MS, TOGETHER, TRUST, Gate, admit, landed

START = 1_795_000_000_000


def most_in_a_minute(times: list[int]) -> int:
    times = sorted(times)
    return max(sum(1 for other in times if at <= other < at + MINUTE_MS) for at in times)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 90_000), min_size=1, max_size=120), st.integers(0, 2**32))
def test_no_minute_sees_more_than_the_limit_and_all_come_through(arrivals: list[int], seed: int) -> None:
    """Whoever is turned away comes back a little late, as messages of a queue do."""
    luck = random.Random(seed)
    gate, sent = Gate(), []
    waiting = [(START + at, str(number)) for number, at in enumerate(arrivals)]
    heapq.heapify(waiting)
    steps = 0
    while waiting:
        now, name = heapq.heappop(waiting)
        gate, wait = admit(gate, name, now, 20)
        if wait:
            heapq.heappush(waiting, (now + wait + luck.randrange(2000), name))
        else:
            sent.append(now)
            gate = landed(gate, name, now, delivered=True)
        steps += 1
    assert len(sent) == len(arrivals)
    assert most_in_a_minute(sent) <= 20
    assert steps < 20 * len(arrivals)


def test_a_burst_is_sent_at_the_rate_and_not_much_slower() -> None:
    gate, sent, waiting = Gate(), [], [(START, str(number)) for number in range(200)]
    heapq.heapify(waiting)
    while waiting:
        now, name = heapq.heappop(waiting)
        gate, wait = admit(gate, name, now, 50)
        if wait:
            heapq.heappush(waiting, (now + wait, name))
        else:
            sent.append(now)
            gate = landed(gate, name, now, delivered=True)
    assert most_in_a_minute(sent) == 50
    assert max(sent) - START <= 4 * MINUTE_MS + 3_000


def test_a_few_fly_together_and_the_dead_make_room() -> None:
    gate = Gate()
    for number in range(TOGETHER):
        gate, wait = admit(gate, str(number), START, 50)
        assert wait == 0
    assert admit(gate, "one more", START, 50)[1] > 0
    assert admit(gate, "one more", START + LEASE_MS + 1, 50)[1] == 0


def test_an_endpoint_that_fails_is_left_alone_for_longer_and_longer_and_forgiven_at_once() -> None:
    gate, pauses, now = Gate(), [], START
    for number in range(12):
        gate, wait = admit(gate, str(number), now, 0)
        if wait:
            now += wait
            gate, wait = admit(gate, str(number), now, 0)
        assert wait == 0
        if gate.failures >= TRUST:
            assert admit(gate, "another", now, 0)[1] > 0  # one at a time
        gate = landed(gate, str(number), now, delivered=False)
        pauses.append(gate.closed_until - now if gate.closed_until > now else 0)
    assert pauses[: TRUST - 1] == [0] * (TRUST - 1)
    assert pauses == sorted(pauses)
    assert pauses[-1] == 300_000
    assert gate.failing_since == START
    gate, _ = admit(gate, "last", gate.closed_until, 0)
    gate = landed(gate, "last", now, delivered=True)
    assert (gate.failures, gate.closed_until, gate.failing_since) == (0, 0, 0)


def test_a_receiver_that_asks_for_time_gets_it() -> None:
    gate, _ = admit(Gate(), "a", START, 50)
    gate = landed(gate, "a", START, delivered=False, pause_ms=7_000)
    assert admit(gate, "b", START + 6_999, 50)[1] > 0
    assert admit(gate, "b", START + 7_000, 50)[1] == 0
