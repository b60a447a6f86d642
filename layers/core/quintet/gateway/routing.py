"""Which model is to answer: pure, explained, and the same again for the same view, wish and seed."""

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from quintet.gateway.catalogue.model import BUILTIN, Defaults, Model
from quintet.gateway.model import NANO, Ask, Terms
from quintet.gateway.view import View

# Of cost, latency, error rate and quality, in this order. Another mode counts as normal.
WEIGHTS: Mapping[str, tuple[float, float, float, float]] = {
    "cheap": (0.7, 0.1, 0.1, 0.1),
    "normal": (0.25, 0.25, 0.25, 0.25),
    "high_confidence": (0.05, 0.1, 0.15, 0.7),
    "planning": (0.1, 0.1, 0.2, 0.6),
    "adversarial": (0.1, 0.1, 0.2, 0.6),
}
THOMPSON = "thompson"
MODES = frozenset({*WEIGHTS, THOMPSON})

EXPECTED_OUTPUT = 512
_CHARACTERS_A_TOKEN = 4
_HEADROOM = 1.15
_GRID = 128
_TIE = 12  # digits: what differs less is equal

_SENSES = {"image_url": "vision", "input_audio": "audio"}

# One word for what callers name in many.
_SYNONYMS = {
    "function_calling": "tools",
    "functions": "tools",
    "tool_use": "tools",
    "tool_calls": "tools",
    "json_mode": "json",
    "json_object": "json",
    "json_schema": "json",
    "structured_output": "json",
    "structured_outputs": "json",
    "image": "vision",
    "images": "vision",
    "multimodal": "vision",
    "stream": "streaming",
    "thinking": "reasoning",
}


@dataclass(frozen=True, slots=True)
class Wish:
    """What a call asks of a model, with the defaults filled in. Money is in nano-USD.

    `capabilities` must be named by the model; `needs` follow from the request, and a model that names none at all may
    well have them.
    """

    mode: str
    max_budget: int
    max_latency_ms: int
    min_weight: float
    tokens: int
    output: int
    capabilities: frozenset[str] = frozenset()
    needs: frozenset[str] = frozenset()
    hint: str | None = None
    avoid: frozenset[str] = frozenset()

    @property
    def bucket(self) -> str:
        return bucket_of(self.tokens)


@dataclass(frozen=True, slots=True)
class Candidate:
    """`score`: lower wins. In Thompson's mode it is the negated sample."""

    model: str
    provider: str
    weight: float
    cost: int
    latency_ms: float
    error_rate: float
    score: float = 0.0

    def told(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "score": round(self.score, 6),
            "cost": self.cost,
            "latency_ms": self.latency_ms,
            "error_rate": self.error_rate,
            "weight": self.weight,
        }


@dataclass(frozen=True, slots=True)
class Decision:
    """`ranking` is the order in which models are tried. `propensity` is how likely the first was to be chosen.

    `off` are the models that nobody could have chosen: they are most of a catalogue, and no part of a record.
    """

    wish: Wish
    seed: int
    ranking: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    excluded: Mapping[str, str]
    off: Mapping[str, str]
    reason: str
    propensity: float = 1.0
    hinted: str | None = None  # the catalogue's id of the model that was wished for
    wait: float | None = None  # seconds until a vendor that is left alone may be asked again; None where none is

    def candidate(self, model: str) -> Candidate | None:
        return next((each for each in self.candidates if each.model == model), None)


@dataclass(slots=True)
class _Exclusions:
    """What stands against each model, and which of the caller's constraints that was."""

    why: dict[str, str] = field(default_factory=dict)
    windows: list[int] = field(default_factory=list)
    words: set[str] = field(default_factory=set)
    cooling: dict[str, float] = field(default_factory=dict)
    weight: bool = False
    budget: bool = False


def wish_of(ask: Ask, terms: Terms, defaults: Defaults) -> Wish:
    tokens = terms.estimated_input_tokens
    return Wish(
        mode=defaults.mode if terms.mode is None else terms.mode,
        max_budget=defaults.max_budget if terms.max_budget is None else terms.max_budget,
        max_latency_ms=terms.max_latency_ms or defaults.max_latency_ms,
        min_weight=defaults.min_weight if terms.min_weight is None else terms.min_weight,
        tokens=estimated_tokens(ask) if tokens is None else tokens,
        output=EXPECTED_OUTPUT if ask.max_tokens is None else ask.max_tokens,
        capabilities=normalised(terms.capabilities),
        needs=needs_of(ask),
        hint=terms.hint,
        avoid=terms.avoid,
    )


def normalised(words: Iterable[str]) -> frozenset[str]:
    return frozenset(_SYNONYMS.get(word, word) for word in (each.strip().lower() for each in words))


def bucket_of(tokens: int) -> str:
    if tokens < 1000:
        return "small"
    return "medium" if tokens <= 10_000 else "large"


def estimated_tokens(ask: Ask) -> int:
    """A quarter of the characters, rounded up."""
    return -(-sum(len(text) for text in texts_of(ask)) // _CHARACTERS_A_TOKEN)


def texts_of(ask: Ask) -> Iterable[str]:
    """All that a vendor counts as text."""
    for message in ask.messages:
        content = message.get("content")
        if isinstance(content, str):
            yield content
        elif isinstance(content, list | tuple):
            for part in content:
                if isinstance(part, str):
                    yield part
                elif isinstance(part, Mapping) and isinstance(part.get("text"), str):
                    yield part["text"]
        if message.get("tool_calls"):
            yield str(message["tool_calls"])
    if ask.tools:
        yield str(list(ask.tools))
    if ask.response_format:
        yield str(ask.response_format)


def needs_of(ask: Ask) -> frozenset[str]:
    needs = set()
    if ask.tools:
        needs.add("tools")
    if (ask.response_format or {}).get("type") in ("json_object", "json_schema"):
        needs.add("json")
    for message in ask.messages:
        content = message.get("content")
        if isinstance(content, list | tuple):
            kinds = {str(part.get("type")) for part in content if isinstance(part, Mapping)}
            needs.update(_SENSES[kind] for kind in kinds & _SENSES.keys())
    return frozenset(needs)


def lacks(model: Model, wish: Wish) -> list[str]:
    """What it cannot do of what is asked."""
    able = normalised(model.capabilities)
    wanted = wish.capabilities | (wish.needs if able else frozenset())
    return sorted(wanted - able)


def decide(view: View, wish: Wish, now: datetime, seed: int) -> Decision:
    exclusions = _Exclusions()
    off = dict(view.off)
    fitting = [model for model in view.routable() if _fits(model, wish, view, now, exclusions)]
    candidates = _scored([_candidate(model, wish, view) for model in fitting], wish, view, seed)
    propensity = _propensity(candidates, wish, view)
    ranking = [each.model for each in candidates]
    if wish.avoid:
        ranking.sort(key=lambda name: name in wish.avoid)
    reasons = _reasons(wish, exclusions)
    hinted = _hinted(view, wish, now)
    if hinted is not None:
        if hinted.id not in ranking:
            candidates = (*candidates, _candidate(hinted, wish, view))
            exclusions.why.pop(hinted.id, None)
            off.pop(hinted.id, None)
        ranking = [hinted.id, *(name for name in ranking if name != hinted.id)]
        reasons, propensity = [f"hint={hinted.id}"], 1.0
    reason = ";".join(reasons or [f"mode={_mode(wish)}"])
    wait = min(exclusions.cooling.values(), default=None)
    wished = view.catalogue.named(wish.hint) if wish.hint else None
    return Decision(
        wish,
        seed,
        tuple(ranking),
        tuple(candidates),
        exclusions.why,
        off,
        reason,
        propensity,
        wished.id if wished else None,
        wait,
    )


def larger(view: View, wish: Wish, now: datetime, than: Model, tried: Iterable[str]) -> Model | None:
    """The smallest model with more room than `than`, for a request that turned out to be longer than estimated."""
    if not than.context_window:
        return None
    fitting = [
        model
        for model in view.routable()
        if model.id not in set(tried)
        and (model.context_window > than.context_window or not model.context_window)
        and not lacks(model, wish)
        and not view.present.of(model.provider).cooling(now)
    ]
    return min(fitting, key=lambda model: (model.context_window or math.inf, model.id), default=None)


def _mode(wish: Wish) -> str:
    return wish.mode if wish.mode in MODES else "normal"


def _candidate(model: Model, wish: Wish, view: View) -> Candidate:
    measured = view.present.learned.models.get(model.id)
    return Candidate(
        model.id,
        model.provider,
        model.weight,
        model.price.of(wish.tokens, wish.output),
        measured.latency_ms if measured else model.latency_ms,
        measured.error_rate if measured else 0.0,
    )


def _fits(model: Model, wish: Wish, view: View, now: datetime, found: _Exclusions) -> bool:
    """Notes the first thing that stands against it."""
    if model.provider != BUILTIN and model.weight < wish.min_weight:
        found.weight = True
        return _out(model, found, f"weight {model.weight:g} < {wish.min_weight:g}")
    if not _holds(model, wish.tokens):
        found.windows.append(model.context_window)
        return _out(model, found, f"{_HEADROOM} x {wish.tokens} tokens > its window of {model.context_window}")
    missing = lacks(model, wish)
    if missing:
        found.words.update(missing)
        return _out(model, found, f"cannot do: {', '.join(missing)}")
    cooling = view.present.of(model.provider).cooling(now)
    if cooling:
        found.cooling[model.provider] = cooling
        return _out(model, found, f"provider '{model.provider}' cools down for {cooling:.0f} s")
    cost = model.price.of(wish.tokens, wish.output)
    if cost > wish.max_budget:
        found.budget = True
        return _out(model, found, f"estimated {usd(cost)} USD > {usd(wish.max_budget)}")
    return True


def _out(model: Model, found: _Exclusions, why: str) -> bool:
    found.why[model.id] = why
    return False


def _holds(model: Model, tokens: int) -> bool:
    return not model.context_window or _HEADROOM * tokens <= model.context_window


def _hinted(view: View, wish: Wish, now: datetime) -> Model | None:
    """Tried first even if weight or budget would exclude it; not if it cannot answer."""
    model = view.catalogue.named(wish.hint) if wish.hint else None
    if model is None or view.standing(model) is not None or not _holds(model, wish.tokens) or lacks(model, wish):
        return None
    return None if view.present.of(model.provider).cooling(now) else model


def _scored(candidates: Sequence[Candidate], wish: Wish, view: View, seed: int) -> tuple[Candidate, ...]:
    """Best first. Ties go to the cheaper, then to the id."""
    if not candidates:
        return ()
    if _mode(wish) == THOMPSON:
        scores = [-sample for sample in _samples(candidates, wish, view, seed)]
    else:
        scores = _scores(candidates, WEIGHTS[_mode(wish)])
    scored = [
        Candidate(each.model, each.provider, each.weight, each.cost, each.latency_ms, each.error_rate, score)
        for each, score in zip(candidates, scores, strict=True)
    ]
    return tuple(sorted(scored, key=lambda each: (round(each.score, _TIE), each.cost, each.model)))


def _scores(candidates: Sequence[Candidate], weights: tuple[float, float, float, float]) -> list[float]:
    """Each figure as a share of the largest among the eligible."""
    wc, wl, wf, ww = weights
    costs = _shares([float(each.cost) for each in candidates])
    latencies = _shares([each.latency_ms for each in candidates])
    failures = _shares([each.error_rate for each in candidates])
    qualities = _shares([each.weight for each in candidates])
    return [
        wc * cost + wl * latency + wf * failure - ww * quality
        for cost, latency, failure, quality in zip(costs, latencies, failures, qualities, strict=True)
    ]


def _shares(figures: Sequence[float]) -> list[float]:
    most = max(figures)
    return [figure / most if most else 0.0 for figure in figures]


def _posterior(candidate: Candidate, wish: Wish, view: View) -> tuple[float, float]:
    """Before anything is known, everything is as likely."""
    return view.present.learned.posteriors.get(candidate.model, {}).get(wish.bucket, (1.0, 1.0))


def _samples(candidates: Sequence[Candidate], wish: Wish, view: View, seed: int) -> list[float]:
    """In the order of the ids, so that nothing but the seed and the posteriors decides."""
    chance = random.Random(seed)  # noqa: S311 - it has to be replayable
    drawn = {
        each.model: chance.betavariate(*_posterior(each, wish, view))
        for each in sorted(candidates, key=lambda each: each.model)
    }
    return [drawn[each.model] for each in candidates]


def _propensity(candidates: Sequence[Candidate], wish: Wish, view: View) -> float:
    """The probability that the first one draws the most, by integrating over what it may draw."""
    if _mode(wish) != THOMPSON or len(candidates) < 2:
        return 1.0
    grids = [_beta_on_a_grid(*_posterior(each, wish, view)) for each in candidates]
    chosen, *others = grids
    below = [_chances_below(other) for other in others]
    return round(sum(mass * math.prod(each[index] for each in below) for index, mass in enumerate(chosen)), 6)


def _beta_on_a_grid(alpha: float, beta: float) -> list[float]:
    """The share of the distribution in each of equally wide pieces."""
    logs = [
        (alpha - 1) * math.log((index + 0.5) / _GRID) + (beta - 1) * math.log(1 - (index + 0.5) / _GRID)
        for index in range(_GRID)
    ]
    most = max(logs)
    masses = [math.exp(each - most) for each in logs]
    whole = sum(masses)
    return [each / whole for each in masses]


def _chances_below(masses: Sequence[float]) -> list[float]:
    """That a draw lies below the middle of each piece."""
    chances, so_far = [], 0.0
    for mass in masses:
        chances.append(so_far + mass / 2)
        so_far += mass
    return chances


def _reasons(wish: Wish, found: _Exclusions) -> list[str]:
    """The caller's constraints that kept a model out that could otherwise have answered."""
    reasons = []
    if found.windows:
        reasons.append(f"context>{_thousands(max(found.windows))}")
    if found.weight:
        reasons.append(f"min_weight={wish.min_weight:g}")
    if found.budget:
        reasons.append(f"max_budget_usd={usd(wish.max_budget)}")
    reasons += [f"capability={word}" for word in sorted(found.words)]
    reasons += [f"cooldown={provider}" for provider in sorted(found.cooling)]
    return reasons


def _thousands(tokens: int) -> str:
    if tokens < 1000:
        return str(tokens)
    return f"{tokens // 1024 if tokens % 1024 == 0 else tokens // 1000}k"


def usd(nano: int) -> str:
    """Exact, without an exponent: 0.05."""
    whole, rest = divmod(nano, NANO)
    return f"{whole}.{rest:09d}".rstrip("0").rstrip(".")
