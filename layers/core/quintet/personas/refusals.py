"""What a failed call means to the caller: an outage of ours, or a wish that no model here can fulfil."""

from collections.abc import Mapping, Sequence
from typing import Any

from quintet.errors import Failure, Kind

_WISHES = frozenset({"unsupported", "refused", "context_overflow"})
_CANNOT = "cannot do"
_PASSING = "cools down"


def as_asked(failure: Failure) -> Failure:
    """A request that was routed and that every model refused is refused: trying again would not help."""
    if failure.code == "all_providers_failed":
        return _refused_by_all(failure, failure.details.get("attempts") or ())
    if failure.code == "no_eligible_models":
        return _beyond_all(failure, failure.details.get("excluded") or {})
    return failure


def misnamed(failure: Failure, name: str, persona: str) -> Failure:
    """Nobody could answer for the persona, and the caller may have meant a model: that comes first."""
    if failure.code not in ("all_providers_failed", "no_eligible_models"):
        return failure
    return Failure(
        failure.kind,
        failure.message,
        code=failure.code,
        details=failure.details,
        retry_after=failure.retry_after,
        mend=f"there is no model or persona '{name}', so {persona} was asked; {failure.mend}",
    )


def _refused_by_all(failure: Failure, attempts: Sequence[Mapping[str, Any]]) -> Failure:
    if not attempts or any(each.get("failure") not in _WISHES for each in attempts):
        return failure
    last = attempts[-1]
    return Failure(
        Kind.REJECTED,
        f"'{last.get('model')}' cannot do this: {last.get('message')}",
        code="unsupported",
        details=failure.details,
    )


def _beyond_all(failure: Failure, excluded: Mapping[str, str]) -> Failure:
    unable = {model: why for model, why in excluded.items() if why.startswith(_CANNOT)}
    if not unable or any(_PASSING in why for why in excluded.values()):
        return failure
    told = "; ".join(f"'{model}' {why}" for model, why in sorted(unable.items())[:5])
    return Failure(
        Kind.REJECTED,
        f"No model that can be used can do what is asked: {told}",
        code="unsupported",
        details=failure.details,
    )
