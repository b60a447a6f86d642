"""A door with a key in front of the sockets, over fakes."""

from dataclasses import dataclass, field

import pytest

from quintet.http.exchange import Exchange
from quintet.identity.door import Door
from quintet.identity.keys import Issued, Keys
from quintet.sockets.messages import Messages
from quintet.store.clock import SystemClock
from tests.fakes.identity import FakeKeys, FakeRegistry, FakeTables
from tests.fakes.sockets import FakeConnections, FakePoster
from tests.unit.identity.conftest import Configure, configure

__all__ = ["House", "configure", "house"]


@dataclass
class House:
    tables: FakeTables = field(default_factory=FakeTables)
    connections: FakeConnections = field(default_factory=FakeConnections)
    poster: FakePoster = field(default_factory=FakePoster)
    records: list[Exchange] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.door = Door(FakeRegistry(self.tables))
        self.keys = Keys(FakeKeys(self.tables), "local")
        self.messages = Messages(self.door, self.record)

    def key(self, *roles: str) -> Issued:
        return self.keys.issue("ci", "team", roles=roles, actor="test", now=SystemClock().now())

    async def record(self, exchange: Exchange) -> None:
        self.records.append(exchange)


@pytest.fixture
def house(configure: Configure) -> House:
    return House()
