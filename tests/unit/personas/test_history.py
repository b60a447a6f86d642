"""What is known of a conversation, and what of it a model is shown."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from quintet.personas import history
from quintet.personas.model import KEPT_TURNS

Message = dict[str, Any]


def user(text: str) -> Message:
    return {"role": "user", "content": text}


def answer(text: str | None, *calls: str) -> Message:
    message: Message = {"role": "assistant", "content": text}
    if calls:
        message["tool_calls"] = [
            {"id": call, "type": "function", "function": {"name": "f", "arguments": "{}"}} for call in calls
        ]
    return message


def result(call: str) -> Message:
    return {"role": "tool", "tool_call_id": call, "content": "42"}


def long(count: int) -> list[Message]:
    return [message for n in range(count) for message in (user(f"q{n}"), answer(f"a{n}"))]


def texts(messages: Sequence[Any]) -> list[str]:
    return [history.text_of(each) for each in messages]


def test_an_unknown_conversation_is_taken_over_without_its_instructions() -> None:
    asked = [{"role": "system", "content": "x"}, user("a"), answer("b"), user("c")]
    assert texts(history.new_messages([], asked)) == ["a", "b", "c"]


def test_of_a_known_one_only_what_follows_the_last_answer_is_new() -> None:
    known = [user("a"), answer("b")]
    assert texts(history.new_messages(known, [user("a"), answer("b"), user("c")])) == ["c"]
    assert texts(history.new_messages(known, [user("c")])) == ["c"]
    assert history.new_messages([*known, answer(None, "t1")], [user("a"), answer(None, "t1"), result("t1")]) == [
        result("t1")
    ]


def test_the_same_words_again_are_said_again() -> None:
    assert texts(history.new_messages([user("yes"), answer("really?")], [user("yes")])) == ["yes"]


def test_a_question_that_was_cut_off_is_not_asked_twice() -> None:
    known = [user("a"), answer("hm")]
    assert texts(history.new_messages(known, [user("a"), user("b")])) == ["b"]


def test_whoever_ends_with_our_answer_wants_it_continued() -> None:
    assert texts(history.new_messages([user("a")], [user("a"), answer("Well,")])) == ["Well,"]


def test_a_tool_call_that_nobody_answered_does_not_stay() -> None:
    assert history.mended([user("a"), answer(None, "t1"), user("b")]) == [user("a"), user("b")]
    assert history.mended([user("a"), answer("Wait.", "t1"), user("b")]) == [user("a"), answer("Wait."), user("b")]
    assert history.mended([answer(None, "t1", "t2"), result("t1"), user("b")]) == [user("b")]


def test_an_answer_that_nobody_asked_for_does_not_stay() -> None:
    assert history.mended([result("t9"), user("a")]) == [user("a")]
    whole = [user("a"), answer(None, "t1", "t2"), result("t2"), result("t1"), answer("b")]
    assert [each["role"] for each in history.mended([*whole[:2], result("t9"), *whole[2:]])] == [
        "user", "assistant", "tool", "tool", "assistant",
    ]  # fmt: skip


def test_a_model_is_shown_the_last_fifty_turns() -> None:
    shown = history.recent(long(80))
    assert len(history.turns(shown)) == KEPT_TURNS
    assert texts(shown)[0] == "q30"


def test_older_turns_wait_for_a_summary() -> None:
    assert history.to_fold(long(KEPT_TURNS)) == ([], long(KEPT_TURNS))
    old, new = history.to_fold(long(KEPT_TURNS + 1))
    assert len(history.turns(new)) == history.FOLDED_TO
    assert [*old, *new] == long(KEPT_TURNS + 1)


def test_what_is_kept_fits_into_an_item() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 900_000}}
    kept = history.kept([{"role": "user", "content": [{"type": "text", "text": "See:"}, picture]}])
    assert kept == [user("See:\n[image_url]")]
    kept = history.kept([message for n in range(99) for message in (user("ü" * 50_000), answer(f"a{n}"))])
    assert len(str(kept).encode()) < 380_000
    assert texts(kept)[-1] == "a98"
    assert len(history.turns(history.kept(long(300)))) == history.MOST_TURNS


def called(*arguments: str) -> dict[str, Any]:
    calls = [
        {"id": f"t{n}", "type": "function", "function": {"name": "f", "arguments": each}}
        for n, each in enumerate(arguments)
    ]
    return {"role": "assistant", "content": None, "tool_calls": calls}


@pytest.mark.parametrize(
    "messages",
    [
        [user("w" * 480) for _ in range(2000)],  # one turn: nobody answered
        [user("\0" * 12_000) for _ in range(40)],  # six characters each in JSON
        [user("a"), called("x" * 450_000), result("t0"), answer("b")],
        [user("a"), called(*["x" * 5_000] * 100), *[result(f"t{n}") for n in range(100)], answer("b")],
    ],
)
def test_no_turn_is_too_large_to_keep(messages: list[Message]) -> None:
    kept = history.kept(messages)
    assert len(json.dumps(kept).encode()) < 380_000
    assert kept[-1] == messages[-1]
    shown = history.mended(kept)
    assert [each["role"] for each in shown if each.get("tool_calls") or each["role"] == "tool"] == []


def test_a_call_whose_arguments_are_too_long_to_keep_is_kept_as_words() -> None:
    kept = history.kept([user("a"), {**called("x" * 450_000), "content": "Wait."}])
    assert kept == [user("a"), {"role": "assistant", "content": "Wait."}]
    assert history.kept([called("x" * 450_000)]) == [{"role": "assistant", "content": "[f]"}]


def test_two_messages_in_a_row_are_one_turn() -> None:
    assert len(history.turns([user("a"), user("b"), answer("c"), user("d")])) == 2
