"""What the gateway's core and the ledger say to each other: the nouns of money held and spent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from quintet.gateway.model import Payer


@dataclass(frozen=True, slots=True)
class Reservation:
    """Money that is held for one call, in nano-USD, in every budget that bounds it.

    `settle` is what the call's record carries, so that the record alone can settle it.
    """

    call_id: str
    bound: int
    expires_at: datetime
    settle: Mapping[str, Any] = field(default_factory=dict)


class Ledger(Protocol):
    """Raises Failure(EXHAUSTED) that names the scope, or what `payer.confirm` raises for one who was turned out."""

    async def reserve(
        self, payer: Payer, call_id: str, bound: int, now: datetime, seconds: float, /, *, provider: str, model: str
    ) -> Reservation:
        """All or nothing over every scope that applies. `seconds` is how long the call may take at the most.

        For whoever has no budget it only notes that the caller still stands. The Failure's details have `affordable`,
        the nano-USD that are free in the tightest scope: the core may clamp max_tokens and ask again.
        """
        ...

    async def settle(self, reservation: Reservation, cost: int, /) -> None:
        """Exactly once per call id, whoever repeats it. Costs no round trip: the call's record settles it for good."""
        ...

    async def release(self, reservation: Reservation, /) -> None:
        """For a call that never reached a vendor: at once."""
        ...
