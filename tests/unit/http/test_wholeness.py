"""JSON from outside that holds halves of surrogate pairs."""

import pytest

import personas.bodies
from quintet.http.wholeness import whole


@pytest.mark.parametrize("told", [{"a": ["\N{GRINNING FACE}", 1, 2.5, None, True]}, "text", 5, None])
def test_what_is_text_stays_as_it_is(told: object) -> None:
    assert whole(told) is told


def test_half_a_surrogate_pair_becomes_a_question_mark_wherever_it_stands() -> None:
    assert whole({"\ud800": ["\udc00", {"b": "c\ud83d"}]}) == {"?": ["?", {"b": "c?"}]}


def test_a_body_of_the_personas_is_whole() -> None:
    assert personas.bodies.parsed(rb'{"event": {"text": "Hello \ud83d"}}') == {"event": {"text": "Hello ?"}}
