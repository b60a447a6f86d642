"""What clients say on a socket, as JSON that every table takes."""

import pytest

from quintet.sockets.model import parsed


@pytest.mark.parametrize(
    "message", ['{"a": "\\ud83d\\ude00", "n": [1, 2.5, null, true]}', b'{"a": "\xf0\x9f\x98\x80"}']
)
def test_what_is_text_stays_as_it_is(message: str | bytes) -> None:
    assert parsed(message)["a"] == "\N{GRINNING FACE}"


def test_half_a_surrogate_pair_becomes_a_question_mark_wherever_it_stands() -> None:
    assert parsed(r'{"\ud800": ["\udc00", {"b": "c\ud83d"}]}') == {"?": ["?", {"b": "c?"}]}


@pytest.mark.parametrize("message", ["", "{", b"\xff", "1" * 5000])
def test_what_is_no_json_is_refused(message: str | bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - in whatever words json has for it
        parsed(message)


def test_what_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises(RecursionError):
        parsed("[" * 100_000)
