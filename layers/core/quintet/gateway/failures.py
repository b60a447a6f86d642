"""What a vendor's fault means: to the provider's health, to the chain of attempts, and to whoever called."""

from collections.abc import Mapping, Sequence
from typing import Any

from quintet.errors import Failure, Kind
from quintet.gateway.mends import mend_after, mend_of
from quintet.gateway.present import COOLDOWN
from quintet.gateway.providers.model import Fault, ProviderFault
from quintet.gateway.routing import Decision

# Trying the same model again may do.
PASSING = frozenset({Fault.SERVER, Fault.TIMEOUT, Fault.NETWORK})
# The provider is ill, or we are not let in: it is not the request's fault.
SICKENING = frozenset({*PASSING, Fault.MALFORMED, Fault.UNAUTHORIZED, Fault.FORBIDDEN})

NOTHING_ELIGIBLE = "no eligible models"
ALL_FAILED = "all providers failed"
_TOLD = ("model", "provider", "failure", "message")  # of an attempt, to the caller


def nothing_eligible(decision: Decision) -> Failure:
    return Failure(
        Kind.UPSTREAM,
        NOTHING_ELIGIBLE,
        code="no_eligible_models",
        details={"excluded": {**decision.off, **decision.excluded}},
        mend=mend_of(decision),
        retry_after=decision.wait,
    )


def all_failed(attempts: Sequence[Mapping[str, Any]], decision: Decision | None) -> Failure:
    told = [{name: each[name] for name in _TOLD if name in each} for each in attempts]
    excluded = {**decision.off, **decision.excluded} if decision else {}
    details = {"attempts": told, "excluded": excluded}
    mend = mend_after(attempts, decision)
    return Failure(Kind.UPSTREAM, ALL_FAILED, code="all_providers_failed", details=details, mend=mend)


def model_not_found(name: str, why: str = "does not exist") -> Failure:
    return Failure(
        Kind.NOT_FOUND, f"The model '{name}' {why}", code="model_not_found", details={"field": "model", "model": name}
    )


def failure_of(model: str, fault: ProviderFault) -> Failure:
    """For a model that was asked for by its name: its own failure, as the caller should know it."""
    details: dict[str, Any] = {"model": model, "failure": fault.fault.value}
    match fault.fault:
        case Fault.RATE_LIMITED:
            return Failure(
                Kind.LIMITED,
                f"The vendor of '{model}' takes no more requests for now",
                details=details,
                retry_after=COOLDOWN.total_seconds() if fault.retry_after is None else fault.retry_after,
            )
        case Fault.CONTEXT:
            details["field"] = "messages"
            return Failure(
                Kind.REJECTED,
                f"The request is longer than the context window of '{model}'",
                code="context_length_exceeded",
                details=details,
            )
        case Fault.REFUSED:
            return Failure(Kind.REJECTED, f"'{model}' refused the request: {fault.message}", details=details)
        case Fault.UNSUPPORTED:
            if fault.field:
                details["field"] = fault.field
            return Failure(
                Kind.REJECTED, f"'{model}' cannot do this: {fault.message}", code="unsupported", details=details
            )
        case Fault.TIMEOUT:
            return Failure(Kind.TIMEOUT, f"'{model}' did not answer in time", details=details)
        case _:
            return Failure(Kind.UPSTREAM, f"'{model}' failed ({fault.fault.value})", details=details)


def broke_off(model: str, fault: ProviderFault) -> Failure:
    """In the middle of an answer: nobody else can go on from there."""
    kind = Kind.TIMEOUT if fault.fault is Fault.TIMEOUT else Kind.UPSTREAM
    return Failure(kind, f"'{model}' broke off its answer", details={"model": model, "failure": fault.fault.value})
