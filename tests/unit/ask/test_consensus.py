"""What several answers agree on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quintet.ask.consensus import agreed, similarity


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("Paris.", "paris", 1.0),
        ("It is Paris", "It is Rome", 2 / 3),
        ("a a b", "a b b", 2 / 3),
        ("yes", "no", 0.0),
        ("", "", 1.0),
        ("...", "", 1.0),
        ("yes", "", 0.0),
    ],
)
def test_answers_are_as_similar_as_their_words(one: str, other: str, expected: float) -> None:
    assert similarity(one, other) == pytest.approx(expected)


def test_the_consensus_is_what_is_closest_to_the_others() -> None:
    place, agreement = agreed(["It is Rome", "It is Paris", "Paris it is!"])
    assert place == 1
    assert agreement == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)


def test_the_earlier_of_two_equals_speaks() -> None:
    assert agreed(["yes", "no"]) == (0, 0.0)
    assert agreed(["same", "same"]) == (0, 1.0)
    assert agreed(["alone"]) == (0, 1.0)


@given(st.lists(st.text("ab c", max_size=20), min_size=1, max_size=6))
def test_the_agreement_is_a_share(answers: list[str]) -> None:
    place, agreement = agreed(answers)
    assert 0 <= place < len(answers)
    assert 0 <= agreement <= 1 + 1e-9
