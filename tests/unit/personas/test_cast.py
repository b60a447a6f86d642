"""The personas' file: five of them, and a sixth without code."""

import json
from typing import Any

import pytest

from quintet.personas.cast import BadCast, cast, read
from quintet.personas.model import Activity

SIXTH = {
    "id": "sam",
    "name": "Sam",
    "title": "COO",
    "character": "You run operations.",
    "topics": ["operations"],
    "timezone": "Asia/Tokyo",
    "hours": {"post": [9, 9, 12]},
}


def one(**changes: Any) -> str:
    return json.dumps({"personas": [{**SIXTH, **changes}]})


def test_five_personas_live_by_the_documents_hours() -> None:
    assert cast().names == ["Tony", "Maya", "Alex", "Jordan", "Riley"]
    for persona in cast().personas:
        hours = {name.value: told for name, told in persona.hours.items()}
        assert hours.pop("post")
        assert hours == {
            "news": (6, 12, 18),
            "goals": (9,),
            "team_check": (10, 14, 17),
            "reflection": (15, 21),
            "journal": (18, 22),
        }


@pytest.mark.parametrize("word", ["tony", "Tony", " TONY "])
def test_a_persona_answers_to_its_name_however_it_is_written(word: str) -> None:
    assert cast().find(word) is cast().first
    assert cast().find("gpt-4o") is None


def test_a_sixth_persona_needs_no_code() -> None:
    sam = read(one()).find("sam")
    assert sam is not None
    assert sam.hours == {Activity.POST: (9, 12)}
    assert (sam.model, sam.temperature, sam.sources) == ("auto", None, ())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"timezone": "Mars/Olympus"}, "no time zone"),
        ({"timezone": 3}, "no time zone"),
        ({"hours": {"nap": [1]}}, "no activity 'nap'"),
        ({"hours": {"post": [24]}}, "hours.post"),
        ({"hours": {"post": [True]}}, "hours.post"),
        ({"hours": []}, "hours is no object"),
        ({"temperature": 2.5}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"sources": ["ftp://example.com/feed"]}, "address of a feed"),
        ({"id": "auto"}, "id is a short word"),
        ({"id": "Sam!"}, "id is a short word"),
        ({"name": " "}, "name is no text"),
        ({"topics": "ops"}, "topics is no list"),
        ({"shoes": "red"}, "no field 'shoes'"),
    ],
)
def test_what_is_wrong_with_a_persona_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadCast, match=message):
        read(one(**changes))


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"personas": []}', '{"personas": 3}', '{"personas": [3]}'])
def test_what_is_no_cast_is_refused(text: str) -> None:
    with pytest.raises(BadCast):
        read(text)


def test_nobody_is_called_twice_and_nothing_needed_is_missing() -> None:
    with pytest.raises(BadCast, match="two personas"):
        read(json.dumps({"personas": [SIXTH, {**SIXTH, "id": "other"}]}))
    with pytest.raises(BadCast, match="title is missing"):
        read(json.dumps({"personas": [{name: value for name, value in SIXTH.items() if name != "title"}]}))
