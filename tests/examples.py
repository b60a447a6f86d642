"""The documents' own JSON, held against what we answer: the same fields, with values of the same kind."""

from typing import Any


def like(example: Any, answered: Any, *, more: tuple[str, ...] = ()) -> bool:
    """Whether an answer has exactly the example's fields (and `more`), with the example's types, all the way down.

    An empty list in an answer is like any list; lists are compared by their first elements.
    """
    if isinstance(example, dict):
        return (
            isinstance(answered, dict)
            and answered.keys() == example.keys() | set(more)
            and all(like(value, answered[name]) for name, value in example.items())
        )
    if isinstance(example, list):
        return isinstance(answered, list) and (not answered or not example or like(example[0], answered[0]))
    return type(answered) is type(example)
