"""All that delivers webhooks, over tables in memory, with time under our thumb."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from quintet.events.model import Entry, Event
from quintet.events.platform import PLATFORM, TYPES
from quintet.store.ids import new_id
from quintet.webhooks.delivering import Delivering, MayRead
from quintet.webhooks.model import Delivery, Endpoint
from quintet.webhooks.telling import Telling
from tests.fakes.webhooks import FakeDeliveries, FakeEndpoints, FakeGates, FakeQueue

NOW = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)


@dataclass
class Office:
    """`rights` are those of every owner, unless `may_read` knows better."""

    at: datetime = NOW
    most: int = 50
    endpoints: FakeEndpoints = field(default_factory=FakeEndpoints)
    deliveries: FakeDeliveries = field(default_factory=FakeDeliveries)
    gates: FakeGates = field(default_factory=FakeGates)
    queue: FakeQueue = field(default_factory=FakeQueue)
    rights: set[str] = field(default_factory=lambda: {"read_tasks"})
    may_read: MayRead | None = None
    made: int = 0
    told: int = 0

    def now(self) -> datetime:
        return self.at

    def endpoint(self, url: str, *events: str, account: str = "key#1", had: frozenset[str] | None = None) -> Endpoint:
        self.made += 1
        endpoint = Endpoint(
            id=f"webhook_{self.made}",
            owner="ada",
            account=account,
            permissions=frozenset({"read_tasks"}) if had is None else had,
            url=url,
            events=events or ("*",),
            secret="your_webhook_secret",
            created_at=NOW,
            updated_at=NOW,
        )
        self.endpoints.add(endpoint)
        return endpoint

    @property
    def telling(self) -> Telling:
        return Telling(self.endpoints, self.deliveries, self.queue, self.may_read or self._may_read)

    @property
    def delivering(self) -> Delivering:
        may_read = self.may_read or self._may_read
        return Delivering(
            self.endpoints, self.deliveries, self.gates, self.queue, self.endpoints, may_read, self, most=self.most
        )

    async def tell(self, *types: str) -> list[Entry]:
        entries = [entry(self.told + number, type) for number, type in enumerate(types, 1)]  # noqa: A001
        self.told += len(entries)
        await self.telling.tell(entries, self.at)
        return entries

    async def work(self) -> None:
        """Until nothing may be run at this moment."""
        while errands := self.queue.take(self.at):
            await asyncio.gather(*(self.delivering.run(errand) for errand in errands))

    async def until(self, end: timedelta) -> None:
        """Time passes from one errand to the next."""
        while self.at < NOW + end:
            await self.work()
            ahead = [each.not_before for each in self.queue.errands if each.not_before is not None]
            self.at = min([NOW + end, *ahead])
        await self.work()

    def only(self) -> Delivery:
        (delivery,) = self.deliveries.rows.values()
        return delivery

    async def _may_read(self, _endpoint: Endpoint, needs: str) -> bool:
        return needs in self.rights


def entry(number: int, type: str = "task.created") -> Entry:  # noqa: A002
    data = {"task_id": "task_1", "n": number}
    return Entry(number, Event(new_id("evt", NOW), PLATFORM, type, "task_1", NOW, data, TYPES[type]), "")
