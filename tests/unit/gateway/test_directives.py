"""Routing directives in the first user message."""

from typing import Any

import pytest

from quintet.gateway.directives import directed
from quintet.gateway.model import Terms

TERMS = Terms(mode="normal", max_budget=1, min_weight=2)


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


@pytest.mark.parametrize("spelling", ["quintet", "tokenhub"])
def test_a_directive_overrides_the_policy_and_is_stripped(spelling: str) -> None:
    line = f"@@{spelling} mode=cheap budget=0.25 latency=1500 min_weight=6.5"
    messages, terms = directed([{"role": "system", "content": "Be kind"}, user(f"{line}\nHello")], TERMS)
    assert messages == [{"role": "system", "content": "Be kind"}, user("Hello")]
    assert (terms.mode, terms.max_budget, terms.max_latency_ms, terms.min_weight) == ("cheap", 250_000_000, 1500, 6.5)


def test_what_it_does_not_say_stays() -> None:
    _, terms = directed([user("Hello\n  @@quintet latency=10")], TERMS)
    assert (terms.mode, terms.max_budget, terms.max_latency_ms) == ("normal", 1, 10)


@pytest.mark.parametrize("words", ["budget=-1", "budget=NaN", "budget=1e999", "latency=0", "min_weight=11", "x=y", ""])
def test_what_makes_no_sense_is_ignored(words: str) -> None:
    assert directed([user(f"@@quintet {words}\nHello")], TERMS) == ([user("Hello")], TERMS)


def test_only_the_first_user_message_is_looked_at() -> None:
    messages = [user("Hello"), {"role": "assistant", "content": "Hi"}, user("@@quintet mode=cheap")]
    assert directed(messages, TERMS) == (messages, TERMS)


@pytest.mark.parametrize("text", ["mail me @@quintet mode=cheap", "@@quintetto mode=cheap", "no directive"])
def test_only_a_line_of_its_own_is_one(text: str) -> None:
    assert directed([user(text)], TERMS) == ([user(text)], TERMS)


def test_it_is_found_in_the_first_text_of_a_list_of_parts() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:,"}}
    messages, terms = directed([user([image, {"type": "text", "text": "@@quintet mode=cheap\nHello"}])], TERMS)
    assert messages == [user([image, {"type": "text", "text": "Hello"}])]
    assert terms.mode == "cheap"
