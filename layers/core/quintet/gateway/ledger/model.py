"""What the gateway's core and the ledger say to each other, and the nouns of budgets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, Protocol

from quintet.gateway.model import Payer
from quintet.identity.model import account_of
from quintet.store.clock import millis

_HOUR, _DAY = 3_600_000, 86_400_000
_EVERYBODY = "*"
_SMALLEST_SHARD = 20_000_000_000  # nano-USD: worst cases of single calls fit many times
_MOST_SHARDS = 96


class Scope(StrEnum):
    """What a budget bounds. Its subject is the id of the principal, key, provider, model, task or session."""

    SYSTEM = "system"
    PRINCIPAL = "principal"
    KEY = "key"
    PROVIDER = "provider"
    MODEL = "model"
    TASK = "task"
    SESSION = "session"


SHARED = frozenset({Scope.SYSTEM, Scope.PROVIDER, Scope.MODEL})  # many callers draw on one budget
ON_ACCOUNTS = frozenset({Scope.PRINCIPAL, Scope.KEY})


class Window(StrEnum):
    """Over what a cap holds; hours, days and months are UTC's."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"
    TOTAL = "total"

    def number(self, at: datetime) -> int:
        """Which of all such windows `at` lies in."""
        if self is Window.HOUR:
            return millis(at) // _HOUR
        if self is Window.DAY:
            return millis(at) // _DAY
        if self is Window.MONTH:
            return at.astimezone(UTC).year * 12 + at.astimezone(UTC).month - 1
        return 0

    def resets_at(self, number: int) -> datetime | None:
        """When the next one begins; never, of the total."""
        if self is Window.MONTH:
            year, month = divmod(number + 1, 12)
            return datetime(year, month + 1, 1, tzinfo=UTC)
        if self is Window.TOTAL:
            return None
        return datetime.fromtimestamp((number + 1) * (_HOUR if self is Window.HOUR else _DAY) // 1000, UTC)


@dataclass(frozen=True, slots=True)
class Budget:
    """A cap in nano-USD on what calls of one subject cost within a window. `shards` parts of it may be drawn on apart.

    `since`, in milliseconds, tells it from an earlier budget of the same name.
    """

    scope: Scope
    subject: str
    window: Window
    cap: int
    since: int
    shards: int = 1
    updated_at: int = 0
    updated_by: str = ""

    @property
    def id(self) -> str:
        return budget_id(self.scope, self.subject, self.window)

    @property
    def name(self) -> str:
        return f"{self.scope}#{self.subject}#{self.window}"

    @property
    def code(self) -> str:
        """What its pot is called in the purse it lies in."""
        return f"{self.scope[0]}{self.window[0]}" if self.scope in ON_ACCOUNTS else self.window[0]

    @property
    def places(self) -> tuple["Place", ...]:
        """The purses that hold its money."""
        if self.scope is Scope.KEY:
            return (Place("accounts", f"key#{self.subject}"),)
        if self.scope is Scope.PRINCIPAL:
            return (home_of(self.subject),)
        return tuple(Place("budgets", f"{self.id}#{shard:02d}") for shard in range(self.shards))

    def portions(self) -> list[int]:
        """The cap, parted among the shards to the last nano-dollar."""
        whole, rest = divmod(self.cap, self.shards)
        return [whole + (shard < rest) for shard in range(self.shards)]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a purse lies: a table, and the item's id."""

    table: str
    id: str


def home_of(principal: str) -> Place:
    """The account that a principal's own budgets lie on, whatever account its calls come by."""
    return Place("accounts", "static#token" if principal == "static" else account_of(principal))


def budget_id(scope: Scope, subject: str, window: Window) -> str:
    """One scope, subject and window is one budget: whoever sets it twice changes it."""
    return "budget_" + sha256(f"{scope}\n{subject}\n{window}".encode()).hexdigest()[:26]


def shards_for(scope: Scope, cap: int) -> int:
    """A DynamoDB item takes 1,000 writes a second: what everybody draws on is parted, but not into crumbs."""
    return max(1, min(_MOST_SHARDS, cap // _SMALLEST_SHARD)) if scope in SHARED else 1


def subject_of(scope: Scope, subject: str | None) -> str:
    return _EVERYBODY if scope is Scope.SYSTEM else subject or ""


@dataclass(frozen=True, slots=True)
class State:
    """How a budget stands in its present window, in nano-USD. `reserved` is held for calls under way."""

    budget: Budget
    spent: int
    reserved: int
    resets_at: datetime | None

    @property
    def remaining(self) -> int:
        return max(0, self.budget.cap - self.spent - self.reserved)


@dataclass(frozen=True, slots=True)
class Reservation:
    """Money that is held for one call, in nano-USD, in every budget that bounds it.

    `settle` is what the call's record carries under that name, so that the record alone can settle it. It is complete
    once `Ledger.settle` has been awaited: copy it then. It is empty where no budget bounds the call.
    """

    call_id: str
    bound: int
    expires_at: datetime
    settle: dict[str, Any] = field(default_factory=dict)


class Ledger(Protocol):
    """Raises Failure(EXHAUSTED) that names the scope, or what `payer.confirm` raises for one who was turned out."""

    async def reserve(
        self, payer: Payer, call_id: str, bound: int, now: datetime, seconds: float, /, *, provider: str, model: str
    ) -> Reservation:
        """All or nothing over every scope that applies. `seconds` is how long the call may take at the most.

        For whoever has no budget it only notes that the caller still stands. The Failure's details have `affordable`,
        the nano-USD that are free in the tightest scope: the core may clamp max_tokens and ask again. A call id that
        holds a reservation already, e.g. of a worker that died, takes it over.
        """
        ...

    async def settle(self, reservation: Reservation, cost: int, /) -> None:
        """Exactly once per call id, whoever repeats it. Costs no round trip: the call's record settles it for good.

        `cost` is at most the bound: what is above it is not charged.
        """
        ...

    async def release(self, reservation: Reservation, /) -> None:
        """For a call that never reached a vendor: at once."""
        ...


Facts = Mapping[str, Any]
