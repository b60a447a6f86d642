"""The catalogue as kyros.md sees it: which models there are, how they do, and what work on them would cost."""

from dataclasses import dataclass
from datetime import datetime

from quintet.errors import Failure, Kind
from quintet.gateway.catalogue.model import Model
from quintet.gateway.view import View

_CALLS = 2  # beside the steps: the plan, the review
_INSTRUCTIONS = 800  # tokens that each call costs beside what is said of the task
_OUTPUT = 2000  # tokens of an answer, as agents are configured
_CHARACTERS_A_TOKEN = 4
AVAILABLE, DEGRADED, UNAVAILABLE = "available", "degraded", "unavailable"


@dataclass(frozen=True, slots=True)
class Estimate:
    """`cost` is in nano-USD."""

    cost: int
    seconds: int


def standing(view: View, model: Model, now: datetime) -> str:
    if view.standing(model) is not None:
        return UNAVAILABLE
    health = view.present.of(model.provider)
    if health.cooling(now):
        return UNAVAILABLE
    return AVAILABLE if health.errors < 2 else DEGRADED


def usable(view: View, name: str) -> Model:
    """One that the catalogue has and nobody has switched off; its vendor may still be out of reach.

    Raises Failure.
    """
    model = view.catalogue.named(name)
    if model is None or not model.enabled:
        why = "is switched off" if model else "is not in the catalogue"
        raise unavailable(f"The model '{name}' {why}")
    return model


def unavailable(message: str) -> Failure:
    return Failure(Kind.UNAVAILABLE, message, code="MODEL_UNAVAILABLE")


def first_usable(view: View, *names: str) -> str:
    """Of these; where none is, one that can be called. Raises Failure."""
    for name in names:
        model = view.catalogue.named(name)
        if model is not None and model.enabled:
            return model.id
    able = sorted(view.routable(), key=lambda model: -model.weight)
    if not able:
        raise unavailable("There is no model that can be called")
    return able[0].id


def estimate(view: View, name: str, characters: int, steps: int) -> Estimate:
    """Of a whole task: every step tells the model of the task and of the steps before it."""
    model = view.catalogue.named(name)
    if model is None:
        return Estimate(0, 0)
    calls = steps + _CALLS
    told = _INSTRUCTIONS + characters // _CHARACTERS_A_TOKEN
    earlier = _OUTPUT // 4 * steps * (steps + 1) // 2
    cost = model.price.of(calls * told + earlier, calls * _OUTPUT)
    measured = view.present.learned.models.get(model.id)
    latency = measured.latency_ms if measured else model.latency_ms
    return Estimate(cost, max(1, round(calls * latency / 1000)))
