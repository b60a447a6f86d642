"""KMS over our own client: two calls are all we need, and botocore's model of it takes 45 ms to load."""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from quintet.net import client
from quintet.net.sigv4 import sign
from quintet.settings import settings
from quintet.store.credentials import credentials
from quintet.store.meter import used

Context = Mapping[str, str]
_SECONDS = 5.0


class KmsRefused(Exception):  # noqa: N818 - an outcome
    """KMS said no: the key is another one, was disabled, or may not be used by us. `code` is its own word."""

    def __init__(self, code: str) -> None:
        super().__init__(f"KMS refused: {code}")
        self.code = code


async def encrypt(key_id: str, plaintext: bytes, context: Context) -> bytes:
    """At most 4,096 bytes. Who decrypts must know the same context."""
    request = {"KeyId": key_id, "Plaintext": b64encode(plaintext).decode(), "EncryptionContext": dict(context)}
    return b64decode((await _ask("Encrypt", request))["CiphertextBlob"])


async def decrypt(key_id: str, ciphertext: bytes, context: Context) -> bytes:
    request = {"KeyId": key_id, "CiphertextBlob": b64encode(ciphertext).decode(), "EncryptionContext": dict(context)}
    return b64decode((await _ask("Decrypt", request))["Plaintext"])


async def _ask(operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """Raises KmsRefused, or NetError."""
    region = settings().aws_region
    partition = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    url = settings().aws_endpoint_url or f"https://kms.{region}.{partition}/"
    body = json.dumps(request).encode()
    headers = sign(
        await credentials(),
        "kms",
        region,
        host=client.host_of(url),
        body=body,
        headers={"content-type": "application/x-amz-json-1.1", "x-amz-target": f"TrentService.{operation}"},
        now=datetime.now(UTC),
    )
    used("kms_request")
    answer = await client.send("POST", url, headers=headers, body=body, timeout=_SECONDS, idempotent=True)
    told = json.loads(answer.body or b"{}")
    if answer.status != 200:
        raise KmsRefused(str(told.get("__type", answer.status)).rpartition("#")[2])
    found: dict[str, Any] = told
    return found
