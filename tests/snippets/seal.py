"""Asks with a secret that only the engine can read: sealed under a data key of its own, bound to this very request."""

import base64
import hashlib
import json
import secrets
from typing import Any

import requests
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt as encrypt

NAME = "kms:projects/quintet/keys/telemetry"


def ask_sealed(base: str, api_key: str, secret: str, key_id: str = NAME, **body: Any) -> requests.Response:
    """`body` is what stands beside the secret (prompt, model, metadata): names and texts, no fractions."""
    headers = {"X-Ryuzen-Key": api_key}
    me = requests.get(f"{base}/api/v1/keys/me", headers=headers, timeout=30).json()
    published = requests.get(f"{base}/api/v1/keys/{key_id}", headers=headers, timeout=30).json()
    public: Any = serialization.load_pem_public_key(published["public_key"].encode())
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    data_key, nonce = secrets.token_bytes(32), secrets.token_bytes(24)
    wrapped = base64.b64encode(public.encrypt(data_key, oaep)).decode()
    bound = {"v": "v1", "alg": "XChaCha20-Poly1305", "kid": key_id, "wrap": "RSA-OAEP-256", "edk": wrapped}
    bound |= {"cty": "text/plain", "htm": "POST", "htu": "/api/v1/ask", "sub": me["subject"]}
    bound |= {"body": hashlib.sha256(canonical(body)).hexdigest()}
    block = {"key_id": key_id, "nonce": "v1-" + base64.urlsafe_b64encode(nonce).decode()}
    block |= {"algorithm": bound["alg"], "key_wrap": bound["wrap"], "encrypted_key": wrapped}
    block["payload"] = base64.b64encode(encrypt(secret.encode(), canonical(bound), nonce, data_key)).decode()
    return requests.post(f"{base}/api/v1/ask", headers=headers, json={**body, "encryption": block}, timeout=120)


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
