"""The nouns of a prompt, pure: what is asked, and what comes of it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from quintet.errors import Failure, Kind
from quintet.gateway.model import Ask, Completion, Terms

MAX_PROMPT = 512 << 10  # bytes: what is longer fits no model that we know, or costs a fortune by mistake
MAX_MODELS = 8
AUTO = "auto"  # asks for routing, as naming no model does
_SANE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+-]{0,127}")


@dataclass(frozen=True, slots=True)
class Question:
    """`models` are asked all; none leaves the choice to routing. `system` is what the model is told beforehand."""

    prompt: str
    models: tuple[str, ...] = ()
    system: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def ask(self) -> Ask:
        messages = [{"role": "system", "content": self.system}] if self.system else []
        messages.append({"role": "user", "content": self.prompt})
        return Ask(messages, max_tokens=self.max_tokens, temperature=self.temperature)

    def terms(self, model: str | None) -> Terms:
        """A model is a wish: where it cannot answer, another one does, and the answer says which."""
        return Terms(hint=None if model == AUTO else model)


@dataclass(frozen=True, slots=True)
class Reply:
    """What one of several models said; `failure` is why it said nothing."""

    model: str
    output: str = ""
    tokens: int = 0
    latency_ms: int = 0
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """`agreement` (0..1) and `replies` are there where several models were asked."""

    output: str
    tokens: int
    models: tuple[str, ...]
    agreement: float | None = None
    replies: Sequence[Reply] = ()


def told(completion: Completion) -> str:
    """A refusal is an answer too."""
    choice = completion.choices[0]
    return choice.content or choice.refusal or ""


def check_prompt(prompt: str, field: str = "prompt") -> None:
    """Raises Failure that says what is wrong, and never quotes it."""
    issue, kind = "", Kind.INVALID
    if not prompt.strip():
        issue = "Must not be empty"
    elif "\0" in prompt:
        issue = "Must not hold NUL characters"
    else:
        try:
            size = len(prompt.encode())
        except UnicodeEncodeError:
            issue = "Must be Unicode text: it holds half a surrogate pair"
        else:
            if size > MAX_PROMPT:
                issue, kind = f"Must not be larger than {MAX_PROMPT >> 10} KB: it has {size >> 10}", Kind.TOO_LARGE
    if issue:
        raise Failure(kind, f"{field}: {issue}", details={"field": field, "issue": issue})


def correlation_of(metadata: Mapping[str, Any]) -> str | None:
    """The caller's own name for its request, by which logs, traces and records can be searched."""
    for name in ("request_id", "requestId", "trace_id", "correlation_id"):
        given = metadata.get(name)
        if isinstance(given, str) and _SANE_ID.fullmatch(given):
            return given
    return None
