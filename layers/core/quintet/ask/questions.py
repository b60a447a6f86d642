"""From a body to a question: every field checked, and what is wrong said without quoting it."""

from collections.abc import Mapping
from typing import Any

from quintet.ask.model import MAX_MODELS, Question, check_prompt
from quintet.errors import invalid

_LONGEST_NAME = 200
_MOST_TOKENS = 1_000_000
_MAX_METADATA = 64  # names; the size is the body's


def question_of(body: Mapping[str, Any]) -> Question:
    """Raises Failure that names the field."""
    if "prompt" not in body:
        raise invalid("prompt", "Field required")
    prompt = body["prompt"]
    if not isinstance(prompt, str):
        raise invalid("prompt", "Must be a string")
    check_prompt(prompt)
    return Question(
        prompt=prompt,
        models=_models(body),
        system=_system(body),
        max_tokens=_max_tokens(body),
        temperature=_temperature(body),
        metadata=_metadata(body),
    )


def wants_stream(body: Mapping[str, Any]) -> bool:
    given = body.get("stream")
    if given is None:
        return False
    if not isinstance(given, bool):
        raise invalid("stream", "Must be true or false")
    return given


def _models(body: Mapping[str, Any]) -> tuple[str, ...]:
    one, several = body.get("model"), body.get("models")
    if one is not None and several:
        raise invalid("models", "Give either model or models")
    if several is None:
        return () if one is None else (_name("model", one),)
    if not isinstance(several, list):
        raise invalid("models", "Must be a list of names")
    names = tuple(_name("models", name) for name in several)
    if len(names) > MAX_MODELS:
        raise invalid("models", f"Must not be more than {MAX_MODELS}")
    if len(set(names)) != len(names):
        raise invalid("models", "Must not name a model twice")
    return names or (() if one is None else (_name("model", one),))


def _name(field: str, value: Any) -> str:
    if not isinstance(value, str):
        raise invalid(field, "Must be a string" if field == "model" else "Must be a list of strings")
    if not value or len(value) > _LONGEST_NAME or not value.isprintable():
        raise invalid(field, f"Must be a name of 1 to {_LONGEST_NAME} printable characters")
    return value


def _system(body: Mapping[str, Any]) -> str | None:
    given = body.get("system")
    if given is None:
        return None
    if not isinstance(given, str):
        raise invalid("system", "Must be a string")
    check_prompt(given, "system")
    return given


def _max_tokens(body: Mapping[str, Any]) -> int | None:
    given = body.get("max_tokens")
    if given is None:
        return None
    if not isinstance(given, int) or isinstance(given, bool) or not 1 <= given <= _MOST_TOKENS:
        raise invalid("max_tokens", f"Must be a whole number from 1 to {_MOST_TOKENS}")
    return given


def _temperature(body: Mapping[str, Any]) -> float | None:
    given = body.get("temperature")
    if given is None:
        return None
    if not isinstance(given, int | float) or isinstance(given, bool) or not 0 <= given <= 2:
        raise invalid("temperature", "Must be a number from 0 to 2")
    return float(given)


def _metadata(body: Mapping[str, Any]) -> Mapping[str, Any]:
    given = body.get("metadata")
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise invalid("metadata", "Must be an object")
    if len(given) > _MAX_METADATA:
        raise invalid("metadata", f"Must not have more than {_MAX_METADATA} names")
    return given
