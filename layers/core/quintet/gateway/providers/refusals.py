"""What a vendor's error means: by its code or type first, by its status next, by its wording last."""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from quintet.gateway.providers.model import Fault, ProviderFault

_LONGEST_WAIT = 86_400.0
_WORD = re.compile(r"[A-Za-z0-9_.\-\[\] ]{1,80}")
_PATH = re.compile(r"\A([a-z_]+(?:\.[a-z0-9_]+)*): |`([a-z_]{1,40})`")

_CONTEXT_WORDS = frozenset(
    {
        "context_length_exceeded",
        "context_window_exceeded",
        "model_context_window_exceeded",
        "exceed_context_size_error",
        "max_tokens_exceeded",
        "request_too_large",
    }
)
_CONTEXT = re.compile(
    r"context (?:length|window|size|limit)"
    r"|(?:prompt|input|request) (?:is )?too (?:long|large)"
    r"|too many (?:input )?tokens"
    r"|maximum number of (?:input )?tokens"
    r"|input length and `?max_tokens"
    r"|reduce the length of"
    r"|inputs` tokens \+ `max_new_tokens",
    re.IGNORECASE,
)
_EMPTY_WORDS = frozenset(
    {
        "insufficient_quota",
        "billing_error",
        "billing_hard_limit_reached",
        "billing_not_active",
        "insufficient_balance",
        "account_deactivated",
        "servicequotaexceededexception",
    }
)
_EMPTY = re.compile(
    r"credit balance is too low|insufficient (?:balance|credits|quota)|exceeded your current quota", re.IGNORECASE
)
_STATUS_OF_WORD = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "requests": 429,
    "tokens": 429,
    "api_error": 500,
    "server_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
    # Bedrock's exceptions
    "throttlingexception": 429,
    "modelnotreadyexception": 503,
    "modelerrorexception": 500,
    "modelstreamerrorexception": 500,
    "modeltimeoutexception": 504,
    "internalserverexception": 500,
    "serviceunavailableexception": 503,
    "accessdeniedexception": 403,
    "unrecognizedclientexception": 403,
    "expiredtokenexception": 403,
    "invalidsignatureexception": 403,
    "resourcenotfoundexception": 404,
    "validationexception": 400,
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """What an error's body says. `words` are its code and type in lower case; `text` is never shown to anyone."""

    words: tuple[str, ...] = ()
    text: str = ""
    field: str | None = None
    status: int | None = None  # where the body itself names one

    @classmethod
    def read(cls, body: Any) -> "Refusal":
        """From any of the shapes that vendors use: an object, in a list, under `error`, or a bare text."""
        if isinstance(body, bytes):
            try:
                body = json.loads(body)
            except (ValueError, RecursionError):
                return cls(text=body[:4096].decode(errors="replace"))
        if isinstance(body, list):
            body = body[0] if body else {}
        if not isinstance(body, Mapping):
            return cls(text=str(body))
        error = body.get("error", body)
        if not isinstance(error, Mapping):
            return cls(text=str(error))
        given = [error.get(key) for key in ("code", "type", "status")]
        text = str(error.get("message") or error.get("detail") or "")[:4096]
        code, field = error.get("code"), error.get("param")
        validation = _validation(error.get("detail")) or _validation(error.get("message"))
        if validation is not None:
            given.append(validation[0])
            field = validation[1]
        words = tuple(each.lower() for each in given if isinstance(each, str))
        if not isinstance(field, str):
            field = field_in(text)
        return cls(words, text, field, code if isinstance(code, int) and 400 <= code < 600 else None)


def _validation(told: Any) -> tuple[str, str] | None:
    """The first finding's type and field, as servers written with FastAPI tell them."""
    found = told.get("detail") if isinstance(told, Mapping) else told
    first = found[0] if isinstance(found, list) and found else None
    if not isinstance(first, Mapping):
        return None
    place = first.get("loc")
    if not isinstance(place, list) or not place:
        return None
    return str(first.get("type")), str(place[-1])


def field_in(text: str) -> str | None:
    """The parameter that the prose is about, where it begins with one or has one in backticks."""
    found = _PATH.search(text)
    return (found[1] or found[2]) if found else None


class VendorFault(ProviderFault):
    """A fault in the vendor's own words: its codes and types in lower case."""

    words: tuple[str, ...] = ()


def fault_of(
    refusal: Refusal,
    *,
    vendor: str,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
    charged: bool = False,
) -> VendorFault:
    """`status` is the answer's own; in the middle of a stream only the words tell one.

    The message names codes, never the vendor's prose: it may quote the prompt or the key.
    """
    told = next((_STATUS_OF_WORD[word] for word in refusal.words if word in _STATUS_OF_WORD), None)
    status = status or refusal.status or told or 500
    words = "/".join(dict.fromkeys(word for word in refusal.words if _WORD.fullmatch(word)))
    field = refusal.field if refusal.field and _WORD.fullmatch(refusal.field) else None
    said = f"{vendor} answered {status}" + (f": {words}" if words else "") + (f" ({field})" if field else "")
    fault = VendorFault(
        _fault(status, refusal),
        said,
        status=status,
        retry_after=retry_after(headers or {}),
        field=field,
        charged=charged,
    )
    fault.words = refusal.words
    return fault


def _fault(status: int, refusal: Refusal) -> Fault:
    words = frozenset(refusal.words)
    if words & _EMPTY_WORDS:
        return Fault.UNAUTHORIZED
    if words & _CONTEXT_WORDS:
        return Fault.CONTEXT
    if status in (401, 402, 403):
        return Fault.UNAUTHORIZED
    if status in (408, 504):
        return Fault.TIMEOUT
    if status in (429, 400) and _EMPTY.search(refusal.text):
        return Fault.UNAUTHORIZED
    if status == 429:
        return Fault.RATE_LIMITED
    if status >= 500 or status in (409, 425):
        return Fault.SERVER
    if status == 413 or (status in (400, 422) and _CONTEXT.search(refusal.text)):
        return Fault.CONTEXT
    return Fault.REFUSED


def retry_after(headers: Mapping[str, str]) -> float | None:
    """In seconds, from `retry-after-ms` or from `retry-after` as a number or a date. At most a day."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) / unit
        except (KeyError, ValueError):
            continue
        if seconds == seconds:  # not a NaN
            return min(max(seconds, 0.0), _LONGEST_WAIT)
    try:
        when = parsedate_to_datetime(headers["retry-after"]).timestamp()
    except (KeyError, ValueError, OverflowError):
        return None
    return min(max(when - time.time(), 0.0), _LONGEST_WAIT)
