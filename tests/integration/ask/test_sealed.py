"""Sealed prompts over a real socket, with the emulator's KMS: both ways to wrap a key, and nothing left behind."""

import base64
import json
import logging
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from quintet.ask.envelope.model import context_of
from tests.conftest import Stack
from tests.readme import block
from tests.sealing import NAME, Sealer, with_rsa

PATIENCE = 60
CANARY = "canary-7d1f-Zebrafink"
Seal = Callable[..., Sealer]


@pytest.fixture
def sealer(stack: Stack, front: str, keyed: dict[str, str]) -> Seal:
    me = requests.get(f"{front}/api/v1/keys/me", headers=keyed, timeout=PATIENCE).json()
    assert me["encryption"]["key_ids"] == [NAME]

    def make(wrap: str, **more: Any) -> Sealer:
        if wrap == "KMS":
            symmetric = stack.system.deployed.environments["AskFunction"]["ENVELOPE_KEYS"].split("=")[1].split(",")[0]
            made = stack.endpoint.client("kms").generate_data_key(
                KeyId=symmetric, KeySpec="AES_256", EncryptionContext=context_of(me["key_id"])
            )
            key, wrapped = made["Plaintext"], made["CiphertextBlob"]
        else:
            public = requests.get(f"{front}/api/v1/keys/{NAME}", headers=keyed, timeout=PATIENCE).json()["public_key"]
            key = secrets.token_bytes(32)
            wrapped = with_rsa(public.encode())(key)
        return Sealer(me["subject"], wrap, wrapped, key, **more)

    return make


def post(front: str, keyed: dict[str, str], body: Any, path: str = "/api/v1/ask") -> requests.Response:
    return requests.post(f"{front}{path}", headers=keyed, json=body, timeout=PATIENCE)


WRAPS = pytest.mark.parametrize("wrap", ["KMS", "RSA-OAEP-256"])


@WRAPS
def test_a_sealed_prompt_is_answered_and_its_replay_refused(
    front: str, keyed: dict[str, str], sealer: Seal, wrap: str
) -> None:
    body = sealer(wrap).seal("line 7: panic", {"prompt": "Classify this log line"})
    answered = post(front, keyed, body)
    assert answered.status_code == 200, answered.text
    assert "Classify this log line line 7: panic" in answered.json()["output"]
    again = post(front, keyed, body)
    assert (again.status_code, again.json()["status"]) == (409, "error")


@WRAPS
def test_a_sealed_answer_opens_with_another_library(front: str, keyed: dict[str, str], sealer: Seal, wrap: str) -> None:
    seal = sealer(wrap)
    answered = post(front, keyed, seal.seal("a secret", {"prompt": "Repeat"}, respond=True)).json()
    assert answered["output"] is None
    assert "a secret" in seal.open(answered["encryption"], answered["id"])
    assert "a secret" not in json.dumps(answered)


def test_a_sealed_stream_is_sealed_token_by_token(front: str, keyed: dict[str, str], sealer: Seal) -> None:
    seal = sealer("RSA-OAEP-256", path="/api/v1/stream")
    answered = post(front, keyed, seal.seal("one two", respond=True), "/api/v1/stream")
    events = [line[6:] for line in answered.text.splitlines() if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    sealed = [json.loads(event) for event in events[:-1]]
    assert all("token" not in each for each in sealed)
    assert "one two" not in answered.text
    tokens = [seal.open(each["encryption"], each["id"], f"token.{each['index']}") for each in sealed]
    assert "one two" in "".join(tokens)


def test_every_answer_of_several_models_is_sealed(front: str, keyed: dict[str, str], sealer: Seal) -> None:
    seal = sealer("KMS")
    body = seal.seal("a secret", {"prompt": "Repeat", "models": ["gpt-4o", "auto"]}, respond=True)
    answered = post(front, keyed, body).json()
    assert "a secret" not in json.dumps(answered)
    second = answered["answers"][1]
    assert "a secret" in seal.open(second["encryption"], answered["id"], "answers.1")


def test_the_readmes_helper_opens_what_comes_back_sealed(front: str, keyed: dict[str, str], sealer: Seal) -> None:
    helper: dict[str, Any] = {}
    exec(block("test:seal"), helper)
    seal = sealer("KMS")
    body = seal.seal("a secret", {"prompt": "Repeat", "models": ["gpt-4o", "auto"]}, respond=True)
    answered = post(front, keyed, body).json()
    given = (seal.data_key, body["encryption"], answered["id"])
    assert "a secret" in helper["opened"](*given, answered["encryption"])
    assert "a secret" in helper["opened"](*given, answered["answers"][1]["encryption"], "answers.1")


def test_the_readmes_helper(front: str, keyed: dict[str, str]) -> None:
    helper: dict[str, Any] = {}
    exec(block("test:seal"), helper)
    metadata = {"b": "ü", "a": 1}
    answered = helper["ask_sealed"](front, keyed["X-Ryuzen-Key"], "line 7: panic", prompt="Classify", metadata=metadata)
    assert answered.status_code == 200, answered.text
    assert "line 7: panic" in answered.json()["output"]
    assert answered.json()["metadata"] == metadata


def test_the_documents_own_block_is_refused_and_told_why(front: str, keyed: dict[str, str]) -> None:
    answered = post(
        front,
        keyed,
        {
            "prompt": "Classify this log line",
            "encryption": {
                "key_id": "kms:projects/.../keys/telemetry",
                "nonce": "v1-169990",
                "algorithm": "XChaCha20-Poly1305",
                "payload": "<base64 ciphertext>",
            },
        },
    )
    assert answered.status_code == 400
    assert "base64url of 24 random bytes" in answered.json()["error"]


def test_another_callers_envelope_does_not_open(front: str, stack: Stack, sealer: Seal) -> None:
    body = sealer("RSA-OAEP-256").seal("x", {"prompt": "y"})
    token = {"Authorization": "Bearer cyborg-secret-v2"}
    answered = post(front, token, body)
    assert (answered.status_code, answered.json()) == (400, {"status": "error", "error": "decryption failed"})


@pytest.fixture
def in_process(function_environment: None, caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG):
        yield caplog


def everything_stored(stack: Stack) -> str:
    """All items of all tables, with what is base64 in them also decoded."""
    dynamodb = stack.endpoint.client("dynamodb")
    texts = []
    for table in dynamodb.list_tables()["TableNames"]:
        for page in dynamodb.get_paginator("scan").paginate(TableName=table):
            texts += [repr(item) for item in page["Items"]]
    return "\n".join(texts)


@pytest.mark.parametrize(
    ("sealed", "body", "status"),
    [
        (CANARY, {"prompt": "x"}, 200),
        (json.dumps({"prompt": CANARY, "metadata": {"request_id": CANARY}}), {}, 200),
        (json.dumps({"prompt": "x", "models": [CANARY, CANARY]}), {}, 400),
        (json.dumps({"prompt": "x", "model": f"{CANARY}\n"}), {}, 400),
        (json.dumps({"prompt": {"a": CANARY}}), {}, 400),
        (json.dumps({"prompt": "x", "stream": CANARY}), {}, 400),
        (f"{CANARY}\0", {"prompt": "x"}, 400),
        (f'{{"{CANARY}": ', {}, 400),
    ],
)
def test_nothing_of_a_sealed_prompt_is_ever_left_behind(
    front: str,
    stack: Stack,
    keyed: dict[str, str],
    sealer: Seal,
    in_process: pytest.LogCaptureFixture,
    sealed: str,
    body: dict[str, Any],
    status: int,
) -> None:
    """In answers that may not hold it, in logs down to debug, in traces, in tables, and in what is told of an error."""
    from ask.app import handler
    from tests.gateway import call

    content = "application/json" if sealed.startswith("{") else "text/plain"
    whole = sealer("RSA-OAEP-256").seal(sealed, body, content_type=content, respond=True)
    answered = call(handler, "POST", "/api/v1/ask", headers=keyed, json=whole)
    assert answered.status == status, answered.text
    logged = in_process.text + "".join(repr(record.__dict__) for record in in_process.records)
    for place in (answered.text, repr(answered.all_headers), logged, everything_stored(stack)):
        for form in (CANARY, base64.b64encode(CANARY.encode()).decode()[:24], CANARY.encode().hex()):
            assert form not in place
