"""How good a call was, from 0 to 1: what the bandit learns from."""

from quintet.gateway.model import NANO

_DEAR = 0.1  # USD: as bad as it gets
_LEAST_BUDGET_MS = 1000


def reward_of(*, ok: bool, cost: int, latency_ms: float, budget_ms: float) -> float:
    """`cost` is in nano-USD."""
    if not ok:
        return 0.0
    cheap = 1 - min(cost / NANO / _DEAR, 1)
    quick = 1 - min(latency_ms / max(budget_ms, _LEAST_BUDGET_MS), 1)
    return round(0.3 * cheap + 0.3 * quick + 0.4, 6)
