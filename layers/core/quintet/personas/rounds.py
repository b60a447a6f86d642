"""One answer of a model within a turn: what of it is for the caller, and what for the persona's own tools."""

from dataclasses import replace

from quintet.gateway.model import Choice, Completion, Delta, Usage


class Round:
    """Passes on what the caller may hear, tool calls numbered anew. How it ends is told when the turn does."""

    completion: Completion

    def __init__(self, own: frozenset[str]) -> None:
        self.own = own
        self._places: dict[tuple[int, int], int | None] = {}  # by choice and index: ours have no place

    def take(self, delta: Delta) -> Delta | None:
        if delta.tool_index is not None:
            place = self._place(delta, (delta.choice, delta.tool_index))
            return None if place is None else replace(delta, tool_index=place, finish_reason=None)
        if delta.finish_reason is None:
            return delta
        speaks = delta.text or delta.refusal or delta.logprobs is not None
        return replace(delta, finish_reason=None) if speaks else None

    def _place(self, delta: Delta, key: tuple[int, int]) -> int | None:
        if key not in self._places:
            others = [place for (choice, _), place in self._places.items() if choice == key[0] and place is not None]
            self._places[key] = None if delta.tool_name in self.own else len(others)
        return self._places[key]


def without(own: frozenset[str], choice: Choice) -> Choice:
    """What the caller is told of a choice."""
    calls = tuple(call for call in choice.tool_calls if call.name not in own)
    ended = "stop" if choice.finish_reason == "tool_calls" and not calls else choice.finish_reason
    return replace(choice, tool_calls=calls, finish_reason=ended)


def total(one: Usage, other: Usage) -> Usage:
    return Usage(
        one.input + other.input,
        one.output + other.output,
        one.cached + other.cached,
        one.cache_written + other.cache_written,
        one.reasoning + other.reasoning,
        one.known and other.known,
    )
