"""What a call can cost at the most: bounds of tokens that hold whatever tokenizer the vendor has."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from quintet.gateway.catalogue.model import Model
from quintet.gateway.model import Ask

DEFAULT_OUTPUT = 4096
DEFAULT_REASONED_OUTPUT = 16_384  # what is thought counts as output
LEAST_OUTPUT = 16  # an answer that is cut below that is of no use to anybody

_PER_CALL = 64
_PER_MESSAGE = 16  # the marks around it in a vendor's template
_FOR_TOOLS = 1024  # vendors explain the use of tools to their models, on our bill
_PER_IMAGE = 10_000  # `image_tokens` in a model's options says otherwise
_CHARACTERS_A_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Bound:
    """`cost` is in nano-USD. `ask` is what is sent: its max_tokens makes the bound true."""

    ask: Ask
    input: int
    output: int  # tokens of all answers together
    cost: int


def bound_of(ask: Ask, model: Model, most_output: int | None = None) -> Bound:
    """`most_output` clamps what one answer may have, further than the model and its window do."""
    answers = answers_of(ask)
    given = most_input(ask, int(model.options.get("image_tokens", _PER_IMAGE)))
    output = _output(ask, model, given)
    if most_output is not None:
        output = max(1, min(output, most_output))
    asked = ask if ask.max_tokens == output else replace(ask, max_tokens=output)
    return Bound(asked, given, output * answers, model.price.most_of(given, output * answers))


def affordable_output(bound: Bound, model: Model, money: int) -> int:
    """Tokens that an answer may have if the call must not cost more than `money`; below 1 when none is affordable."""
    fixed = model.price.most_of(bound.input, 0)
    each = model.price.most_output() * answers_of(bound.ask)
    if money < fixed:
        return 0
    return (money - fixed) // each if each else bound.output


def answers_of(ask: Ask) -> int:
    wanted = ask.extra.get("n")
    return max(1, wanted) if isinstance(wanted, int) else 1


def most_input(ask: Ask, per_image: int = _PER_IMAGE) -> int:
    """A token is a byte at the least: no text has more tokens than bytes in UTF-8."""
    tokens = _PER_CALL + sum(_PER_MESSAGE + _most_of(message, per_image) for message in ask.messages)
    if ask.tools or ask.response_format:
        tokens += _FOR_TOOLS + _size(list(ask.tools)) + _size(ask.response_format)
    for name in ("prediction", "functions", "web_search_options"):
        if ask.extra.get(name):
            tokens += _size(ask.extra[name])
    return tokens


def _output(ask: Ask, model: Model, given: int) -> int:
    usual = DEFAULT_REASONED_OUTPUT if "reasoning" in model.capabilities else DEFAULT_OUTPUT
    output = usual if ask.max_tokens is None else ask.max_tokens
    if model.max_output:
        output = min(output, model.max_output)
    if model.context_window:  # vendors refuse what could not fit; how much the input has is an estimate here
        room = model.context_window - given // _CHARACTERS_A_TOKEN
        output = min(output, max(room, LEAST_OUTPUT))
    return max(1, output)


def _most_of(message: Mapping[str, Any], per_image: int) -> int:
    """Images by a fixed bound: their bytes say nothing of their tokens."""
    content = message.get("content")
    beside = {name: value for name, value in message.items() if name != "content"}
    tokens = _size(beside)
    if isinstance(content, str):
        return tokens + _bytes(content)
    if isinstance(content, list | tuple):
        for part in content:
            if isinstance(part, Mapping) and part.get("type") == "image_url":
                tokens += per_image
            else:
                tokens += _bytes(part) if isinstance(part, str) else _size(part)
    return tokens


def _size(value: Any) -> int:
    return _bytes(json.dumps(value, ensure_ascii=False, default=str)) if value else 0


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "replace"))
