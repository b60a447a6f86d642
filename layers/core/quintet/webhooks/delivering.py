"""One attempt: claimed, let through its endpoint's gate, signed, sent to the checked address, and written down."""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Protocol

from quintet.net import client, guard
from quintet.net.client import NetError, Response
from quintet.net.guard import Forbidden, Rules, Unresolved
from quintet.settings import settings
from quintet.store.clock import Clock, from_millis, millis
from quintet.webhooks import gate as gates
from quintet.webhooks.gate import Gate
from quintet.webhooks.model import Attempt, Delivery, Endpoint, Standing, Status
from quintet.webhooks.queue import Errand
from quintet.webhooks.retries import LONGEST, next_attempt
from quintet.webhooks.signing import signed

SECONDS = 15.0
_MOST_BYTES = 64 << 10  # of an answer that nobody reads
_PATIENCE = timedelta(days=5)  # an endpoint that failed for so long is paused
_SLOW_DOWN = frozenset({429, 502, 503, 504})
_CONTENDED = 24


class Endpoints(Protocol):
    async def find(self, endpoint_id: str, /) -> Endpoint | None: ...


class Deliveries(Protocol):
    async def find(self, endpoint_id: str, delivery_id: str, /) -> Delivery | None: ...

    async def claim(self, delivery: Delivery, now: datetime, /) -> bool: ...

    async def give_back(self, delivery: Delivery, next_at: datetime, /) -> None: ...

    async def record(self, delivery: Delivery, /) -> None: ...


class Gates(Protocol):
    async def read(self, endpoint_id: str, /) -> Gate: ...

    async def write(self, endpoint_id: str, gate: Gate, /) -> bool: ...


class Queue(Protocol):
    async def send(self, errands: Sequence[Errand], now: datetime, /) -> None: ...


class Keeper(Protocol):
    """Who turns an endpoint off, and tells of it."""

    async def stop(self, endpoint: Endpoint, status: Status, reason: str, now: datetime, /) -> None: ...


@dataclass(frozen=True, slots=True)
class Answered:
    """What an attempt came to. `retry_after` is what the receiver asked for."""

    attempt: Attempt
    retry_after: timedelta | None = None

    @property
    def delivered(self) -> bool:
        return self.attempt.status is not None and 200 <= self.attempt.status < 300


class Delivering:
    def __init__(
        self,
        endpoints: Endpoints,
        deliveries: Deliveries,
        gates: Gates,
        queue: Queue,
        keeper: Keeper,
        clock: Clock,
        *,
        most: int | None = None,
    ) -> None:
        self._endpoints = endpoints
        self._deliveries = deliveries
        self._gates = gates
        self._queue = queue
        self._keeper = keeper
        self._clock = clock
        self._most = settings().webhook_deliveries_a_minute if most is None else most

    async def run(self, errand: Errand) -> None:
        """Raises only what a repetition may mend: the errand then comes again."""
        now = self._clock.now()
        if errand.not_before is not None and errand.not_before > now:
            await self._queue.send([errand], now)
            return
        endpoint = await self._endpoints.find(errand.endpoint_id)
        delivery = await self._deliveries.find(errand.endpoint_id, errand.delivery_id)
        if delivery is None or delivery.standing is not Standing.PENDING:
            return
        if endpoint is None or endpoint.status is not Status.ACTIVE:
            await self._given_up(delivery, endpoint, now)
            return
        if delivery.next_at > now:
            # Another errand is on its way for that time, unless this one was never told of a time.
            if errand.not_before is None:
                await self._queue.send([replace(errand, not_before=delivery.next_at)], now)
            return
        if not await self._deliveries.claim(delivery, now):
            return
        wait = await self._admitted(endpoint.id, delivery.id, now)
        if wait:
            await self._later(delivery, errand, now, now + timedelta(milliseconds=wait))
            return
        answered = await attempt(endpoint, delivery, now)
        await self._written(endpoint, delivery, answered)

    async def test(self, endpoint: Endpoint, delivery: Delivery) -> Answered:
        """An attempt that nobody writes down; it counts in the endpoint's minute as any other."""
        now = self._clock.now()
        if await self._admitted(endpoint.id, delivery.id, now):
            return Answered(Attempt(now, 0, None, "this endpoint is at its limit, or closed for a while: try again"))
        answered = await attempt(endpoint, delivery, now)
        await self._landed(endpoint.id, delivery.id, answered)
        return answered

    async def _admitted(self, endpoint_id: str, attempt_id: str, now: datetime) -> int:
        for _ in range(_CONTENDED):
            known = await self._gates.read(endpoint_id)
            after, wait = gates.admit(known, attempt_id, millis(now), self._most, random.random())  # noqa: S311
            if after == known or await self._gates.write(endpoint_id, after):
                return wait
        return gates.MINUTE_MS // 10

    async def _landed(self, endpoint_id: str, attempt_id: str, answered: Answered) -> Gate:
        pause = round(answered.retry_after.total_seconds() * 1000) if answered.retry_after else 0
        while True:
            known = await self._gates.read(endpoint_id)
            now = millis(self._clock.now())
            after = gates.landed(known, attempt_id, now, delivered=answered.delivered, pause_ms=pause)
            if await self._gates.write(endpoint_id, after):
                return after

    async def _later(self, delivery: Delivery, errand: Errand, now: datetime, at: datetime) -> None:
        """Turned away at the gate is not an attempt. After a day of that nobody tries any more."""
        if now - delivery.asked_at > LONGEST:
            told = Attempt(now, 0, None, "not attempted: the endpoint kept failing for a day")
            await self._deliveries.record(
                replace(delivery, standing=Standing.DEAD, attempts=(*delivery.attempts, told))
            )
            return
        await self._queue.send([replace(errand, not_before=at)], now)
        await self._deliveries.give_back(delivery, at)

    async def _written(self, endpoint: Endpoint, delivery: Delivery, answered: Answered) -> None:
        now = self._clock.now()
        after = replace(delivery, tried=delivery.tried + 1, attempts=(*delivery.attempts, answered.attempt))
        if answered.delivered:
            await self._deliveries.record(replace(after, standing=Standing.DELIVERED))
            await self._landed(endpoint.id, delivery.id, answered)
            return
        gate = await self._landed(endpoint.id, delivery.id, answered)
        gone = answered.attempt.status == 410
        luck = random.random()  # noqa: S311 - jitter, not a secret
        again = None if gone else next_attempt(delivery.asked_at, after.tried, now, luck, answered.retry_after)
        if again is None:
            await self._deliveries.record(replace(after, standing=Standing.DEAD))
        else:
            # The errand goes out before the row says so: whoever dies in between is tried too early, not never.
            await self._queue.send([Errand(endpoint.id, delivery.id, again)], now)
            await self._deliveries.record(replace(after, next_at=again))
        if gone:
            await self._keeper.stop(endpoint, Status.DISABLED, "it answered 410 Gone", now)
        elif gate.failing_since and now - from_millis(gate.failing_since) >= _PATIENCE:
            await self._keeper.stop(endpoint, Status.PAUSED, "it has failed for five days", now)

    async def _given_up(self, delivery: Delivery, endpoint: Endpoint | None, now: datetime) -> None:
        """A paused endpoint's deliveries wait for it; one that is gone takes its deliveries along."""
        if endpoint is not None and endpoint.status is Status.PAUSED:
            return
        reason = "the endpoint was deleted" if endpoint is None else "the endpoint was disabled"
        story = (*delivery.attempts, Attempt(now, 0, None, f"not attempted: {reason}"))
        await self._deliveries.record(replace(delivery, standing=Standing.DEAD, attempts=story))


def rules() -> Rules:
    """Where webhooks may lead: https alone in a deployed stack, and a developer's own machine by the local switch."""
    given = settings()
    if given.stage == "local":
        schemes = frozenset({"http", "https"})
        return Rules(schemes, guard.WEB.ports, loopback=given.webhook_local_receivers)
    return guard.HTTPS


async def attempt(endpoint: Endpoint, delivery: Delivery, now: datetime) -> Answered:
    began = time.perf_counter()
    content = delivery.body.encode()
    headers = {
        "content-type": "application/json",
        "user-agent": f"Quintet-Webhooks/{settings().version}",
        **signed(delivery.event_id, content, endpoint.secrets_at(now), now),
    }

    def told(status: int | None = None, error: str = "") -> Attempt:
        return Attempt(now, round((time.perf_counter() - began) * 1000), status, error)

    try:
        address = await guard.resolve(endpoint.url, rules())
        answer = await client.send(
            "POST",
            endpoint.url,
            headers=headers,
            body=content,
            timeout=SECONDS,
            max_bytes=_MOST_BYTES,
            address=address,
            idempotent=True,  # the webhook-id tells the receiver
        )
    except Forbidden as refused:
        return Answered(told(error=f"not sent: {refused}"))
    except Unresolved as unresolved:
        return Answered(told(error=str(unresolved)))
    except NetError as error:
        return Answered(told(error=f"timed out after {SECONDS:.0f} s" if error.timed_out else str(error)))
    except ValueError:
        return Answered(told(error="not sent: the URL cannot be called"))
    if 300 <= answer.status < 400:
        return Answered(told(answer.status, "redirects are not followed"))
    return Answered(told(answer.status), _retry_after(answer, now))


def _retry_after(answer: Response, now: datetime) -> timedelta | None:
    """Seconds, or a date; both from a stranger."""
    text = answer.headers.get("retry-after", "").strip()
    if answer.status not in _SLOW_DOWN or not text:
        return None
    if text.isdecimal():
        return min(timedelta(seconds=int(text[:9])), LONGEST)
    try:
        moment = parsedate_to_datetime(text)
        ahead = moment - now if moment.tzinfo else None
    except (ValueError, TypeError, OverflowError):
        return None
    return min(ahead, LONGEST) if ahead is not None and ahead > timedelta() else None
