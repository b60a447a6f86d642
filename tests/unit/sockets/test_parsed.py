"""What clients say on a socket, as JSON that every table takes."""

import pytest

from quintet.sockets.model import parsed


@pytest.mark.parametrize("message", [r'{"a": "\ud83d\ude00"}', b'{"a": "\xf0\x9f\x98\x80"}'])
def test_messages_are_text_or_bytes(message: str | bytes) -> None:
    assert parsed(message) == {"a": "\N{GRINNING FACE}"}


def test_half_a_surrogate_pair_is_a_question_mark() -> None:
    assert parsed(r'{"token": "\ud800"}') == {"token": "?"}


@pytest.mark.parametrize("message", ["", "{", b"\xff", "1" * 5000])
def test_what_is_no_json_is_refused(message: str | bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - in whatever words json has for it
        parsed(message)


def test_what_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises(RecursionError):
        parsed("[" * 100_000)
