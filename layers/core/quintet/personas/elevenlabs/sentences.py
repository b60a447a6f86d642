"""A stream of words, handed on sentence by sentence: a voice that gets half a sentence stresses it wrongly."""

import re

_END = re.compile(r"""[.!?\u2026\u3002\uff01\uff1f]+["'\u201d\u2019)\]]*(?=\s)|\n""")
_LONGEST = 240  # characters without an end: then a pause between words has to do


class Sentences:
    def __init__(self) -> None:
        self._held = ""

    def add(self, text: str) -> list[str]:
        """What is whole by now, with the space before the next one."""
        self._held += text
        whole = []
        while (cut := self._cut()) > 0:
            whole.append(self._held[:cut])
            self._held = self._held[cut:]
        return whole

    def rest(self) -> str:
        held, self._held = self._held, ""
        return held

    def _cut(self) -> int:
        """Where the first sentence ends; 0 while it does not. Before the space after it there may come more."""
        found = _END.search(self._held)
        if found:
            end = found.end()
            while end < len(self._held) and self._held[end].isspace():
                end += 1
            return end
        space = self._held.rfind(" ", 0, _LONGEST)
        return space + 1 if len(self._held) > _LONGEST and space > 0 else 0
