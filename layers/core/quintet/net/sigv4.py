"""AWS Signature Version 4, for calls without a query string."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from urllib.parse import quote

from quintet.copies import forget_in_copies


@dataclass(frozen=True, slots=True)
class Credentials:
    key_id: str
    secret: str = field(repr=False)
    token: str = field(default="", repr=False)


def sign(
    credentials: Credentials,
    service: str,
    region: str,
    *,
    host: str,
    body: bytes,
    headers: Mapping[str, str],
    now: datetime,
    method: str = "POST",
    path: str = "/",
) -> dict[str, str]:
    """The given headers and those that sign them; Host is signed too and is the client's to send.

    Names are in lower case, `now` is in UTC. `path` is percent-encoded as it is sent; what is signed is its second
    encoding, as every service but S3 wants it.
    """
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    sent = {**headers, "x-amz-date": stamp}
    if credentials.token:
        sent["x-amz-security-token"] = credentials.token
    signed = sorted({**sent, "host": host}.items())
    names = ";".join([name for name, _ in signed])
    lines = "".join([f"{name}:{' '.join(value.split())}\n" for name, value in signed])
    canonical = f"{method}\n{quote(path)}\n\n{lines}\n{names}\n{sha256(body).hexdigest()}"
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
    signature = hmac.digest(_key(credentials.secret, stamp[:8], region, service), text.encode(), "sha256").hex()
    sent["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credentials.key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return sent


@lru_cache(16)
def _key(secret: str, day: str, region: str, service: str) -> bytes:
    """Good for a day: four of the five digests of a signature."""
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


forget_in_copies(_key.cache_clear)
