"""What can go wrong, said once: every failure has a kind, and each dialect has a word and a status for every kind."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    MALFORMED = "malformed"  # the bytes are not what they claim to be: broken JSON, broken UTF-8
    INVALID = "invalid"  # well formed, but a field breaks its declared type or range
    REJECTED = "rejected"  # a valid request that a rule of the domain refuses as it stands
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    CONFLICT = "conflict"
    GONE = "gone"
    PRECONDITION_FAILED = "precondition_failed"
    TOO_LARGE = "too_large"
    LOCKED = "locked"
    LIMITED = "limited"  # too many requests: try again later
    EXHAUSTED = "exhausted"  # a budget is spent: trying again does not help
    UNSUPPORTED = "unsupported"  # not implemented, or switched off in this stack
    UPSTREAM = "upstream"  # a model vendor or another service failed
    UNAVAILABLE = "unavailable"
    TIMEOUT = "timeout"
    INTERNAL = "internal"


class Failure(Exception):  # noqa: N818 - it is the noun every room uses
    """A refusal or a fault that the caller may see: the message must hold no secret.

    `code` is a word of the owning dialect that is more precise than the kind's own (`TASK_NOT_FOUND`).
    `retry_after` is in seconds. `mend` is what stands in the way and what can be done about it, where a dialect's own
    words for the message leave that out.
    """

    def __init__(
        self,
        kind: Kind,
        message: str,
        *,
        code: str | None = None,
        details: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
        mend: str = "",
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.code = code
        self.details = dict(details or {})
        self.retry_after = retry_after
        self.headers = dict(headers or {})
        self.mend = mend

    @property
    def told(self) -> str:
        """All of it in one sentence."""
        return f"{self.message}: {self.mend}" if self.mend else self.message


def invalid(field: str, issue: str) -> Failure:
    """Of a field that breaks its declared type or range."""
    return Failure(Kind.INVALID, f"{field}: {issue}", details={"field": field, "issue": issue})
