"""What a post may be: short, and without the words that its persona must not say."""

import re
from collections.abc import Iterable

LONGEST = 288  # characters
QUIET_MINUTES = 10
_QUOTES = "\"'“”„«»"


def fitted(text: str) -> str:
    """On one line, without the quotation marks that models like to put around it, cut between words."""
    words = " ".join(text.split())
    if len(words) > 1 and words[0] in _QUOTES and words[-1] in _QUOTES:
        words = words[1:-1].strip()
    if len(words) <= LONGEST:
        return words
    cut = words[: LONGEST - 1]
    space = cut.rfind(" ")
    return (cut[:space] if space > LONGEST // 2 else cut).rstrip(" ,;:-") + "…"


def blocked(text: str, words: Iterable[str]) -> str | None:
    """The first forbidden word in it, whole and however it is capitalised."""
    folded = text.casefold()
    for word in words:
        if re.search(rf"(?<!\w){re.escape(word.casefold())}(?!\w)", folded):
            return word
    return None
