"""One attempt: claimed, let through its endpoint's gate, signed, sent to the checked address, and written down."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Protocol

from quintet.net import client, guard
from quintet.net.client import NetError, StreamedResponse
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
_MOST_BYTES = 64 << 10  # of an answer that nobody reads; one that goes on is hung up on
_PATIENCE = timedelta(days=5)  # an endpoint that failed for so long is paused
_SLOW_DOWN = frozenset({429, 502, 503, 504})
_CONTENDED = 24
_ATTEMPTED_MEANWHILE = timedelta(seconds=50)  # longer than a claim
_PARKED = timedelta(hours=1)  # a paused endpoint's deliveries are looked at so often

MayRead = Callable[[Endpoint, str], Awaitable[bool]]
"""Whether the endpoint's owner may read what needs this permission, now."""


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
        may_read: MayRead,
        clock: Clock,
        *,
        most: int | None = None,
    ) -> None:
        self._endpoints = endpoints
        self._deliveries = deliveries
        self._gates = gates
        self._queue = queue
        self._keeper = keeper
        self._may_read = may_read
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
        if delivery.next_at > now:
            # Another errand is on its way for that time, unless this one was never told of a time.
            if errand.not_before is None:
                await self._queue.send([replace(errand, not_before=delivery.next_at)], now)
            return
        if not await self._deliveries.claim(delivery, now):
            # Somebody is at it. Whether they lived to write it down is seen later: this errand may be the last one.
            await self._queue.send([replace(errand, not_before=now + _ATTEMPTED_MEANWHILE)], now)
            return
        if endpoint is not None and endpoint.status is Status.PAUSED:
            await self._deliveries.give_back(delivery, now + _PARKED)
            return
        refused = await self._refused(endpoint, delivery)
        if endpoint is None or refused:
            told = Attempt(now, 0, None, f"not attempted: {refused}")
            await self._deliveries.record(delivery.after(told, standing=Standing.DEAD))
            return
        gate, wait = await self._admitted(endpoint.id, delivery.id)
        if wait:
            await self._later(delivery, errand, gate, wait)
            return
        answered = await attempt(endpoint, delivery, self._clock.now())
        await self._written(endpoint, delivery, answered)

    async def _refused(self, endpoint: Endpoint | None, delivery: Delivery) -> str:
        """Why nobody tries any more: an endpoint that is gone takes its deliveries along; rights may be gone too."""
        if endpoint is None:
            return "the endpoint was deleted"
        if endpoint.status is not Status.ACTIVE:
            return "the endpoint was disabled"
        if delivery.needs is not None and not await self._may_read(endpoint, delivery.needs):
            return "the endpoint's owner may not read this any more"
        return ""

    async def test(self, endpoint: Endpoint, delivery: Delivery) -> Answered:
        """An attempt that nobody writes down; it counts in the endpoint's minute as any other."""
        now = self._clock.now()
        _, wait = await self._admitted(endpoint.id, delivery.id)
        if wait:
            return Answered(Attempt(now, 0, None, "this endpoint is at its limit, or closed for a while: try again"))
        answered = await attempt(endpoint, delivery, now)
        await self._landed(endpoint.id, delivery.id, answered)
        return answered

    async def _admitted(self, endpoint_id: str, attempt_id: str) -> tuple[Gate, int]:
        for _ in range(_CONTENDED):
            known = await self._gates.read(endpoint_id)
            after, wait = gates.admit(known, attempt_id, millis(self._clock.now()), self._most)
            if await self._gates.write(endpoint_id, after):
                return after, wait
        return known, gates.MINUTE_MS // 10

    async def _landed(self, endpoint_id: str, attempt_id: str, answered: Answered) -> Gate:
        pause = round(answered.retry_after.total_seconds() * 1000) if answered.retry_after else 0
        while True:
            known = await self._gates.read(endpoint_id)
            if not known.version:  # deleted with its endpoint, meanwhile
                return known
            now = millis(self._clock.now())
            after = gates.landed(known, attempt_id, now, delivered=answered.delivered, pause_ms=pause)
            if await self._gates.write(endpoint_id, after):
                return after

    async def _later(self, delivery: Delivery, errand: Errand, gate: Gate, wait: int) -> None:
        """Turned away at the gate is not an attempt. After a day of that at one that fails nobody tries any more."""
        now = self._clock.now()
        if now - delivery.asked_at > LONGEST and not gate.trusted:
            told = Attempt(now, 0, None, "not attempted: the endpoint kept failing for a day")
            await self._deliveries.record(delivery.after(told, standing=Standing.DEAD))
            return
        at = now + timedelta(milliseconds=wait)
        # The errand goes out before the row says so: whoever dies in between comes too early, not never.
        await self._queue.send([replace(errand, not_before=at)], now)
        await self._deliveries.give_back(delivery, at)

    async def _written(self, endpoint: Endpoint, delivery: Delivery, answered: Answered) -> None:
        now = self._clock.now()
        after = delivery.after(answered.attempt, tried=delivery.tried + 1)
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
            await self._queue.send([Errand(endpoint.id, delivery.id, again)], now)
            await self._deliveries.record(replace(after, next_at=again))
        if gone:
            await self._keeper.stop(endpoint, Status.DISABLED, "it answered 410 Gone", now)
        elif gate.failing_since and now - from_millis(gate.failing_since) >= _PATIENCE:
            await self._keeper.stop(endpoint, Status.PAUSED, "it has failed for five days", now)


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
        async with asyncio.timeout(SECONDS):
            status, retry_after = await _post(endpoint.url, headers, content, address, now)
    except Forbidden as refused:
        return Answered(told(error=f"not sent: {refused}"))
    except Unresolved as unresolved:
        return Answered(told(error=str(unresolved)))
    except TimeoutError:
        return Answered(told(error=f"timed out after {SECONDS:.0f} s"))
    except NetError as error:
        return Answered(told(error=f"timed out after {SECONDS:.0f} s" if error.timed_out else str(error)))
    except ValueError:
        return Answered(told(error="not sent: the URL cannot be called"))
    if 300 <= status < 400:
        return Answered(told(status, "redirects are not followed"))
    return Answered(told(status), retry_after)


async def _post(
    url: str, headers: Mapping[str, str], content: bytes, address: str, now: datetime
) -> tuple[int, timedelta | None]:
    """Nothing is sent twice by itself, or a receiver would see more than its limit: an attempt is one request."""
    async with client.stream(
        "POST", url, headers=headers, body=content, timeout=SECONDS, idle=SECONDS, address=address, fresh=True
    ) as answer:
        read = 0
        async for chunk in answer.chunks():
            read += len(chunk)
            if read > _MOST_BYTES:
                break
        return answer.status, _retry_after(answer, now)


def _retry_after(answer: StreamedResponse, now: datetime) -> timedelta | None:
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
