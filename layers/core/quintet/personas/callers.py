"""What a caller is called: by the phone, by the call, by the request, or by nobody's name."""

import re
import secrets
import time
from collections.abc import Mapping
from typing import Any

_PHONE = re.compile(r"\+?[0-9]{3,20}")
_NAME = re.compile(r"[\x21-\x7e]{1,128}")
_SPACING = re.compile(r"[\s().-]")


def phone_of(text: Any) -> str:
    """Without what people put between digits; empty when it is no number. What is no number may still be a name."""
    if not isinstance(text, str):
        return ""
    bare = _SPACING.sub("", text)
    return bare if _PHONE.fullmatch(bare) else name_of(text)


def name_of(text: Any) -> str:
    """Empty when it cannot be one."""
    return text.strip() if isinstance(text, str) and _NAME.fullmatch(text.strip()) else ""


def phone_in(body: Mapping[str, Any]) -> str:
    """Where VAPI puts the caller's number, in today's bodies and in older ones."""
    call = _mapping(body.get("call"))
    places = (_mapping(body.get("customer")), _mapping(call.get("customer")))
    told = [place.get("number") for place in places] + [call.get("from")]
    return next((phone for phone in map(phone_of, told) if phone), "")


def call_in(body: Mapping[str, Any]) -> str:
    call = _mapping(body.get("call"))
    return name_of(call.get("id")) or name_of(call.get("callId"))


def anonymous_name() -> str:
    """Nanoseconds, and enough besides that no two callers are taken for one."""
    return f"anonymous-{time.time_ns()}{secrets.randbelow(10**6):06d}"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
