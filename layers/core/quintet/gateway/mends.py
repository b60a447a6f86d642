"""Why nobody could answer, in words for the person who asked: which models, and what can be done about it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from quintet.gateway.providers.model import Fault
from quintet.gateway.routing import Decision

_MOST = 3  # models by name: a catalogue has dozens
_WAIT = re.compile(r"cools down for (\d+) s")
# How a reason of `routing` begins, and what can be done.
_CURES = {
    "weight ": "lower min_weight",
    "estimated ": "raise the budget of the request, or lower max_tokens",
    "cannot do: ": "ask without what they cannot do, or add a model that can",
    "1.15 x ": "send less, or add a model with a larger window",
}
_CONNECT = "an administrator can give a vendor its key (POST /admin/v1/providers) or enable a model"
# What can be done about a failure; about any other, wait.
_AFTER = {
    Fault.UNAUTHORIZED: "an administrator can check the vendor's key and account",
    Fault.FORBIDDEN: "an administrator can check the vendor's base_url",
    Fault.CONTEXT: "send less",
    Fault.REFUSED: "change what is asked",
    Fault.UNSUPPORTED: "change what is asked",
}
_LATER = "try again later"


def mend_of(decision: Decision) -> str:
    """Where nobody was eligible. The model that the caller named comes first."""
    cures = [cure for start, cure in _CURES.items() if any(why.startswith(start) for why in decision.excluded.values())]
    waits = [int(found[1]) for why in decision.excluded.values() if (found := _WAIT.search(why))]
    if waits:
        cures.append(f"try again in {max(1, min(waits))} s")
    return _told([*_named(decision), *_others(decision)], ", or ".join(cures) or _CONNECT)


def mend_after(attempts: Sequence[Mapping[str, Any]], decision: Decision | None) -> str:
    """Where everybody failed. What the vendors said stays out."""
    failed = list(dict.fromkeys(f"'{each['model']}' failed ({each['failure']})" for each in attempts))
    cure = ", or ".join(dict.fromkeys(_AFTER.get(each["failure"], _LATER) for each in attempts))
    if decision is None:
        return _told(failed, cure)
    asked = any(each["model"] == decision.hinted for each in attempts)
    return _told([*([] if asked else _named(decision)), *failed, *_others(decision)], cure)


def _named(decision: Decision) -> list[str]:
    if decision.wish.hint is None:
        return []
    if decision.hinted is None:
        return [f"there is no model '{decision.wish.hint}'"]
    why = decision.excluded.get(decision.hinted) or decision.off.get(decision.hinted)
    return [f"'{decision.hinted}': {why}"] if why else []


def _others(decision: Decision) -> list[str]:
    return [f"'{model}': {why}" for model, why in sorted(decision.excluded.items()) if model != decision.hinted]


def _told(reasons: Sequence[str], cure: str) -> str:
    more = [f"and {len(reasons) - _MOST} more"] if len(reasons) > _MOST else []
    return "; ".join([*reasons[:_MOST], *more, cure])
