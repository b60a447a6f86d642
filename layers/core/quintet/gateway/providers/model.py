"""What the gateway's core and an adapter say to each other."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from quintet.gateway.model import Ask, Choice, Delta, Usage
from quintet.net.guard import Rules


class Fault(StrEnum):
    """Why a vendor did not answer, as routing needs it."""

    RATE_LIMITED = "rate_limited"  # 429: next model; `retry_after` cools the provider down
    SERVER = "server"  # 5xx, overloaded
    TIMEOUT = "timeout"
    NETWORK = "network"  # no connection, or it broke
    CONTEXT = "context_overflow"  # a larger model may do
    REFUSED = "refused"  # 400, 422: what was asked does not suit this model
    UNAUTHORIZED = "unauthorized"  # 401, 403, no key, an empty account
    MALFORMED = "malformed"  # what came is not what the protocol says
    FORBIDDEN = "forbidden_address"  # its base URL leads where this stack may not call
    UNSUPPORTED = "unsupported"  # our adapter knows that this vendor cannot do it


class ProviderFault(Exception):  # noqa: N818 - the vendor's outcome
    """`message` may be shown to an admin: it holds no key and no prompt. `retry_after` is in seconds.

    `field` names what the vendor cannot do, with UNSUPPORTED. `charged` says that tokens may have been spent.
    """

    def __init__(
        self,
        fault: Fault,
        message: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        field: str | None = None,
        charged: bool = False,
    ) -> None:
        super().__init__(message)
        self.fault = fault
        self.message = message
        self.status = status
        self.retry_after = retry_after
        self.field = field
        self.charged = charged


@dataclass(frozen=True, slots=True)
class Target:
    """One model at one vendor, with the way to it.

    `name` is the vendor's own name of the model. `abilities` are the catalogue's words of what it can do; `options`
    what the catalogue says beside:

    - `sampling`: which sampling parameters it takes: true (all), false, or a list of their names
    - openai: `max_tokens_field`, what the limit is called; `auth`, a header for the key other than Authorization
    - anthropic: `version` and `beta` of the API; `auth: bearer`; `json_schema: native` where it keeps to a schema
    - bedrock: `region`; `fields`, handed on as additionalModelRequestFields
    """

    name: str
    base_url: str = ""
    api_key: str = field(default="", repr=False)
    abilities: frozenset[str] = frozenset()
    max_output: int = 0  # tokens; 0 = not known
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    options: Mapping[str, Any] = field(default_factory=dict)
    rules: Rules | None = None  # where the base URL may lead; None = anywhere, for those that the environment names


@dataclass(frozen=True, slots=True)
class Answer:
    """`usage` is None where the vendor did not say."""

    choices: tuple[Choice, ...]
    usage: Usage | None
    raw: Any = None


class Provider(Protocol):
    """One protocol, e.g. OpenAI's. `seconds` bounds a whole answer, or the time until a stream's first piece.

    Both raise ProviderFault, before the first piece or in the middle.
    """

    async def complete(self, ask: Ask, target: Target, seconds: float, /) -> Answer: ...

    def stream(
        self, ask: Ask, target: Target, seconds: float, /
    ) -> AbstractAsyncContextManager[AsyncIterator[Delta | Usage]]:
        """Pieces as they arrive, and the usage once if the vendor says it. Leaving the block hangs up."""
        ...
