"""Signatures, as the public library reads them."""

import base64
import hmac
import json
from datetime import UTC, datetime
from hashlib import sha256

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from quintet.webhooks.model import body, new_secret
from quintet.webhooks.signing import signed

BODY = body(
    "task.created", datetime(2026, 11, 20, 10, 30, tzinfo=UTC), {"task_id": "task_1", "title": "Grüße"}
).encode()


@pytest.mark.parametrize("secret", [new_secret(), "your_webhook_secret"], ids=["made", "given"])
def test_a_receivers_library_accepts_it(secret: str) -> None:
    headers = signed("evt_1", BODY, [secret], datetime.now(UTC))
    library = Webhook(secret) if secret.startswith("whsec_") else Webhook(secret.encode())
    assert library.verify(BODY.decode(), headers) == json.loads(BODY)
    with pytest.raises(WebhookVerificationError):
        library.verify(BODY.decode() + " ", headers)
    with pytest.raises(WebhookVerificationError):
        library.verify(BODY.decode(), {**headers, "webhook-id": "evt_2"})


def test_both_secrets_sign_while_one_replaces_the_other() -> None:
    old, new = new_secret(), new_secret()
    headers = signed("evt_1", BODY, [new, old], datetime.now(UTC))
    for secret in (old, new):
        Webhook(secret).verify(BODY.decode(), headers)
    assert headers["webhook-signature"].count("v1,") == 2


def test_the_plain_signature_covers_the_body_alone() -> None:
    headers = signed("evt_1", BODY, ["your_webhook_secret"], datetime.now(UTC))
    assert headers["x-kyros-signature"] == hmac.new(b"your_webhook_secret", BODY, sha256).hexdigest()


def test_a_generated_secret_is_the_librarys_kind() -> None:
    secret = new_secret()
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
