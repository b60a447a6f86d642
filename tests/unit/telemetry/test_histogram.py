import random
from itertools import pairwise

import pytest

from quintet.telemetry.histogram import LIMITS, at_most, class_of, quantile


def counted(durations: list[int]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for each in durations:
        counts[class_of(each)] = counts.get(class_of(each), 0) + 1
    return counts


def test_classes_lie_close_together_and_in_order() -> None:
    assert list(LIMITS) == sorted(set(LIMITS))
    assert all(upper / lower < 1.17 for lower, upper in pairwise(LIMITS))


@pytest.mark.parametrize("limit", [100, 1000, 2500, 5000, 7500, 10_000_000])
def test_a_limit_belongs_to_its_own_class(limit: int) -> None:
    assert LIMITS[class_of(limit)] == limit
    assert at_most(counted([limit, limit + 1]), limit) == 1


@pytest.mark.parametrize("share", [0.5, 0.95, 0.99])
def test_a_percentile_is_within_a_class_of_the_true_one(share: float) -> None:
    dice = random.Random(7)
    durations = sorted(round(dice.lognormvariate(12, 1.5)) for _ in range(5000))
    true = durations[round(share * len(durations)) - 1]
    found = quantile(counted(durations), share)
    assert found == pytest.approx(true, rel=0.17)


def test_percentiles_of_two_parts_are_those_of_the_whole() -> None:
    parts = [counted([100, 200, 300]), counted([5000, 7000])]
    together = {index: sum(part.get(index, 0) for part in parts) for index in {*parts[0], *parts[1]}}
    assert quantile(together, 0.95) == quantile(counted([100, 200, 300, 5000, 7000]), 0.95)


def test_nothing_has_no_percentile() -> None:
    assert quantile({}, 0.95) is None


def test_what_is_longer_than_all_classes_counts_as_the_last_limit() -> None:
    assert quantile(counted([10**12]), 0.95) == LIMITS[-1]
