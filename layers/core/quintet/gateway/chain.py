"""Which model is tried next: one chain of attempts a call, with one deadline and one budget of retries."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from quintet.gateway.catalogue.model import Model
from quintet.gateway.failures import PASSING
from quintet.gateway.providers.model import Fault, ProviderFault

RETRIES = 2  # of the whole chain: never retries x fallbacks
MOST_ATTEMPTS = 8
FIRST_PAUSE = 0.1
_SHARE = 2 / 3  # of the time that is left, while there is somebody else to ask
LEAST_SECONDS = 0.05
_MESSAGE = 200


@dataclass(slots=True)
class Chain:
    """`larger` finds a model with more room than this one, among those that were not tried."""

    queue: list[Model]
    larger: Callable[[Model, Sequence[str]], Model | None]
    retries: int = RETRIES
    attempts: list[dict[str, Any]] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)
    last: tuple[Model, ProviderFault] | None = None

    def next(self, left: float) -> Model | None:
        """None when nobody is left, or no time."""
        if not self.queue or left < LEAST_SECONDS or len(self.attempts) >= MOST_ATTEMPTS:
            return None
        model = self.queue[0]
        if model.id not in self.tried:
            self.tried.append(model.id)
        return model

    def seconds(self, left: float) -> float:
        """For one attempt: a vendor that hangs must not use up the time of the others."""
        return left * _SHARE if len(self.queue) > 1 else left

    def skip(self) -> None:
        self.queue.pop(0)

    def failed(self, model: Model, fault: ProviderFault, latency_ms: float, left: float) -> bool:
        """Notes the attempt and chooses who is next. Answers whether the same model is, after a pause.

        It is only if there is time for another attempt as long as this one was.
        """
        self.note(model, fault, latency_ms)
        if fault.fault in PASSING and self.retries and left > max(FIRST_PAUSE + LEAST_SECONDS, latency_ms / 1000):
            self.retries -= 1
            return True
        self.skip()
        if fault.fault is Fault.RATE_LIMITED:
            self.leave(model.provider)
        elif fault.fault is Fault.CONTEXT:
            self.queue = [each for each in self.queue if _roomier(each, model)]  # the others would overflow too
            larger = self.larger(model, self.tried)
            if larger is not None:
                self.queue = [larger, *(each for each in self.queue if each.id != larger.id)]
        return False

    def note(self, model: Model, fault: ProviderFault, latency_ms: float) -> None:
        self.last = (model, fault)
        self.attempts.append(
            {
                "model": model.id,
                "provider": model.provider,
                "failure": fault.fault.value,
                "message": fault.message[:_MESSAGE],
                "latency_ms": round(latency_ms, 3),
            }
        )

    def leave(self, provider: str) -> None:
        self.queue = [each for each in self.queue if each.provider != provider]

    def pause(self, chance: float) -> float:
        """Seconds before the next try of the same model; `chance` is between 0 and 1."""
        return FIRST_PAUSE * float(2 ** (RETRIES - self.retries - 1)) * (0.5 + chance)

    @property
    def failover(self) -> str:
        """The first model that failed and why, as the answer's reason tells it."""
        first = next((each for each in self.attempts if each["model"] != self.tried[-1]), None)
        return f";failover={first['model']}:{first['failure']}" if first else ""


def _roomier(model: Model, than: Model) -> bool:
    return not model.context_window or model.context_window > than.context_window
