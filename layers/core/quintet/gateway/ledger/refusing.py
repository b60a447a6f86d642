"""How the ledger says no."""

from quintet.errors import Failure, Kind
from quintet.gateway.ledger.model import Budget, Scope
from quintet.gateway.model import NANO
from quintet.store.clock import iso


def exhausted(budget: Budget, number: int, spent: int, affordable: int) -> Failure:
    """`number` is the window; `affordable` what is free in it, in nano-USD."""
    resets_at = budget.window.resets_at(number)
    whose = "The system's" if budget.scope is Scope.SYSTEM else f"The {budget.scope} {budget.subject}'s"
    span = "total budget" if resets_at is None else f"budget of this {budget.window}"
    until = "it does not reset: raise its cap" if resets_at is None else f"it resets at {iso(resets_at)}"
    left = f"{usd(budget.cap)} USD) has {usd(max(0, affordable))} USD left, less than this call may cost"
    return Failure(
        Kind.EXHAUSTED,
        f"{whose} {span} ({left}; {until}",
        details={
            "scope": budget.scope.value,
            "subject": budget.subject,
            "window": budget.window.value,
            "cap_usd": budget.cap / NANO,
            "spent_usd": spent / NANO,
            "resets_at": iso(resets_at) if resets_at else None,
            "affordable": affordable,
        },
    )


def crowded() -> Failure:
    return Failure(Kind.LIMITED, "Too many calls are under way on one budget: wait for some to end", retry_after=1)


def turned_out() -> Failure:
    return Failure(Kind.UNAUTHENTICATED, "These credentials have been revoked or changed")


def usd(nano: int) -> str:
    """All digits that there are, and no exponent."""
    whole, rest = divmod(nano, NANO)
    return f"{whole}.{rest:09d}".rstrip("0").rstrip(".")
