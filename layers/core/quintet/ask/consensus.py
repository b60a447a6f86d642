"""Several answers to one prompt: how far they agree, and which of them speaks for all. Pure.

Two answers are as similar as their words are the same: twice the words that they share (each as often as both have it)
by the words of both, 0 to 1. Case and punctuation do not count. The consensus is the answer that is most similar to the
others, the earlier one where two are; the agreement is the mean similarity of all pairs.
"""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import combinations

_WORD = re.compile(r"\w+")


def similarity(one: str, other: str) -> float:
    mine, theirs = _words(one), _words(other)
    total = mine.total() + theirs.total()
    return 2 * (mine & theirs).total() / total if total else 1.0


def agreed(answers: Sequence[str]) -> tuple[int, float]:
    """The place of the consensus among the answers, and the agreement. One answer agrees with itself."""
    if len(answers) == 1:
        return 0, 1.0
    closeness = [0.0] * len(answers)
    for one, other in combinations(range(len(answers)), 2):
        alike = similarity(answers[one], answers[other])
        closeness[one] += alike
        closeness[other] += alike
    best = max(range(len(answers)), key=lambda place: (closeness[place], -place))
    pairs = len(answers) * (len(answers) - 1)
    return best, sum(closeness) / pairs


def _words(text: str) -> Counter[str]:
    return Counter(_WORD.findall(text.casefold()))
