"""Slack's request signature, version 0: over the time and the body, good for five minutes."""

import hmac
from collections.abc import Mapping
from datetime import datetime

TOLERANCE_SECONDS = 300


def signed_by_slack(secret: str, headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
    """Header names are in lower case. A timestamp that is no number is no error, it is nobody's signature."""
    timestamp = headers.get("x-slack-request-timestamp", "")
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12):
        return False
    if abs(now.timestamp() - int(timestamp)) > TOLERANCE_SECONDS:
        return False
    shown = headers.get("x-slack-signature", "")
    return hmac.compare_digest(shown.encode(), signature_of(secret, timestamp, body).encode())


def signature_of(secret: str, timestamp: str, body: bytes) -> str:
    signed = b"v0:" + timestamp.encode() + b":" + body
    return "v0=" + hmac.digest(secret.encode(), signed, "sha256").hex()
