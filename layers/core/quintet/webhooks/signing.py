"""How a receiver knows that it was us: Standard Webhooks' signature, and a plain one over the body."""

import base64
import hmac
from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256

from quintet.store.clock import epoch
from quintet.webhooks.model import key_of


def signed(event_id: str, body: bytes, secrets: Iterable[str], at: datetime) -> dict[str, str]:
    """The headers of one attempt. The newest secret comes first, and alone makes the plain signature."""
    keys = [key_of(secret) for secret in secrets]
    stamp = str(epoch(at))
    content = b".".join((event_id.encode(), stamp.encode(), body))
    return {
        "webhook-id": event_id,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(f"v1,{base64.b64encode(_mac(key, content)).decode()}" for key in keys),
        "x-kyros-signature": _mac(keys[0], body).hex(),
    }


def _mac(key: bytes, content: bytes) -> bytes:
    return hmac.new(key, content, sha256).digest()
