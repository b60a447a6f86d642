"""Sealed prompts: they open for whom they were sealed, once, and in one piece."""

import asyncio
import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from quintet.ask.envelope.model import Place, context_of, read
from quintet.ask.envelope.opening import Opened, Opener
from quintet.errors import Failure, Kind
from quintet.store.clock import SystemClock
from tests.fakes.sealing import FakeKeys, FakeReplays
from tests.sealing import NAME, Sealer, with_rsa

SUBJECT = "key_1"
BODY = {"prompt": "Classify this log line", "model": "gpt-4o", "metadata": {"n": 1.5}}
SECRET = "user bob failed to sign in"


@dataclass
class House:
    keys: FakeKeys = field(default_factory=lambda: FakeKeys(NAME))
    replays: FakeReplays = field(default_factory=FakeReplays)

    def open(self, body: Mapping[str, Any], place: Place | None = None) -> Opened:
        place = place or Place("POST", "/api/v1/ask", SUBJECT)
        opening = Opener(self.keys, self.replays).open(read(body["encryption"]), body, place, SystemClock().now())
        return asyncio.run(opening)

    def sealer(self, wrap: str) -> Sealer:
        if wrap == "KMS":
            key, wrapped = self.keys.generate(context_of(SUBJECT))
        else:
            public = asyncio.run(self.keys.public_key(NAME))
            assert public is not None
            key = secrets.token_bytes(32)
            wrapped = with_rsa(public)(key)
        return Sealer(SUBJECT, wrap, wrapped, key)


_KEYS = FakeKeys(NAME)


@pytest.fixture
def house() -> House:
    return House(_KEYS)


WRAPS = pytest.mark.parametrize("wrap", ["KMS", "RSA-OAEP-256"])


def refused(house: House, body: Mapping[str, Any], place: Place | None = None) -> Failure:
    with pytest.raises(Failure) as failure:
        house.open(body, place)
    return failure.value


@WRAPS
def test_text_belongs_to_the_prompt(house: House, wrap: str) -> None:
    opened = house.open(house.sealer(wrap).seal(SECRET, BODY))
    assert opened.laid_over(BODY) == {**BODY, "prompt": f"{BODY['prompt']}\n\n{SECRET}"}


@WRAPS
def test_an_object_is_laid_over_the_body(house: House, wrap: str) -> None:
    sealed = {"prompt": SECRET, "max_tokens": 5}
    body = house.sealer(wrap).seal(json.dumps(sealed), {"model": "m"}, content_type="application/json")
    assert house.open(body).laid_over(body) == {"model": "m", **sealed}


def test_a_prompt_may_be_sealed_whole(house: House) -> None:
    body = house.sealer("KMS").seal(SECRET)
    assert house.open(body).laid_over(body) == {"prompt": SECRET}


@WRAPS
def test_an_answer_is_sealed_under_the_callers_own_key(house: House, wrap: str) -> None:
    sealer = house.sealer(wrap)
    opened = house.open(sealer.seal(SECRET, BODY, respond=True))
    block, other = opened.seal("grüße", "rec_1"), opened.seal("grüße", "rec_1")
    assert sealer.open(block, "rec_1") == "grüße"
    assert block["nonce"] not in {other["nonce"], opened.envelope.nonce}
    for wrong in (("rec_2", "output"), ("rec_1", "answers.0")):
        with pytest.raises(ValueError, match="MAC"):
            sealer.open(block, *wrong)


@WRAPS
def test_what_was_opened_once_is_a_replay(house: House, wrap: str) -> None:
    body = house.sealer(wrap).seal(SECRET, BODY)
    house.open(body)
    assert refused(house, body).kind is Kind.CONFLICT


def test_a_nonce_under_which_nothing_opened_is_not_used_up(house: House) -> None:
    body = house.sealer("KMS").seal(SECRET, BODY)
    damaged = {**body, "prompt": "other"}
    assert refused(house, damaged).message == "decryption failed"
    house.open(body)


def flipped(text: str) -> str:
    """The same base64 with another first letter."""
    return ("B" if text[0] == "A" else "A") + text[1:]


def changed(body: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**body, "encryption": {**body["encryption"], **changes}}


@WRAPS
@pytest.mark.parametrize(
    "tamper",
    [
        lambda body: {**body, "prompt": "Repeat this log line"},
        lambda body: {**body, "model": "gpt-5"},
        lambda body: {**body, "metadata": {"n": 1.25}},
        lambda body: {**body, "stream": True},
        lambda body: {name: value for name, value in body.items() if name != "model"},
        lambda body: changed(body, payload=flipped(body["encryption"]["payload"])),
        lambda body: changed(body, payload=body["encryption"]["payload"][:-8]),
        lambda body: changed(body, payload="AAAA"),
        lambda body: changed(body, payload="*" + body["encryption"]["payload"][1:]),
        lambda body: changed(body, payload=body["encryption"]["payload"] + "\n"),
        lambda body: changed(body, encrypted_key=flipped(body["encryption"]["encrypted_key"])),
        lambda body: changed(body, encrypted_key=base64.b64encode(b"x").decode()),
        lambda body: changed(body, encrypted_key="A" * 10_000),
        lambda body: changed(body, nonce="v1-" + flipped(body["encryption"]["nonce"][3:])),
        lambda body: changed(body, key_id="kms:projects/other"),
        lambda body: changed(body, key_id="arn:aws:kms:us-east-1:000000000000:key/1"),
        lambda body: changed(body, content_type="application/json"),
        lambda body: changed(
            body, key_wrap="KMS" if body["encryption"]["key_wrap"] == "RSA-OAEP-256" else "RSA-OAEP-256"
        ),
    ],
)
def test_whatever_is_exchanged_it_does_not_open_and_nobody_learns_why(house: House, wrap: str, tamper: Any) -> None:
    failure = refused(house, tamper(house.sealer(wrap).seal(SECRET, BODY)))
    assert (failure.kind, failure.message, failure.details) == (Kind.REJECTED, "decryption failed", {})
    assert house.replays.seen == {}


@WRAPS
@pytest.mark.parametrize(
    "place",
    [
        Place("POST", "/api/v1/ask", "key_2"),
        Place("POST", "/api/v1/stream", SUBJECT),
        Place("GET", "/api/v1/ask", SUBJECT),
    ],
)
def test_it_opens_at_its_own_place_for_its_own_caller_alone(house: House, wrap: str, place: Place) -> None:
    assert refused(house, house.sealer(wrap).seal(SECRET, BODY), place).message == "decryption failed"


def test_a_key_of_another_length_opens_nothing(house: House) -> None:
    sealer = house.sealer("RSA-OAEP-256")
    public = asyncio.run(house.keys.public_key(NAME))
    assert public is not None
    short = replace(sealer, wrapped=with_rsa(public)(sealer.data_key[:16]))
    assert refused(house, short.seal(SECRET, BODY)).message == "decryption failed"


@pytest.mark.parametrize("content", ["[]", "{", '{"encryption": {}}', "1", "null"])
def test_a_sealed_object_must_be_one(house: House, content: str) -> None:
    body = house.sealer("KMS").seal(content, content_type="application/json")
    opened = house.open(body)
    with pytest.raises(Failure, match="decryption failed"):
        opened.laid_over(body)


def test_sealed_bytes_that_are_no_text_are_refused(house: House) -> None:
    assert refused(house, house.sealer("KMS").seal(b"\xff")).message == "decryption failed"


def test_the_documents_own_block_is_refused_and_told_why() -> None:
    block = {
        "key_id": "kms:projects/.../keys/telemetry",
        "nonce": "v1-169990",
        "algorithm": "XChaCha20-Poly1305",
        "payload": "<base64 ciphertext>",
    }
    with pytest.raises(Failure) as failure:
        read(block)
    assert failure.value.kind is Kind.INVALID
    assert failure.value.message.startswith("encryption.nonce: must be 'v1-' and the base64url of 24 random bytes")
    assert "short label" in failure.value.message


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"algorithm": "AES-GCM"}, "encryption.algorithm"),
        ({"algorithm": None}, "encryption.algorithm"),
        ({"key_wrap": "none"}, "encryption.key_wrap"),
        ({"key_wrap": ["KMS"]}, "encryption.key_wrap"),
        ({"key_id": ""}, "encryption.key_id"),
        ({"payload": 7}, "encryption.payload"),
        ({"content_type": "text/html"}, "encryption.content_type"),
        ({"content_type": {}}, "encryption.content_type"),
        ({"respond": "yes"}, "encryption.respond"),
        ({"nonce": "v1-" + "=" * 32}, "encryption.nonce"),
    ],
)
def test_a_block_that_is_not_one_names_its_field(house: House, changes: dict[str, Any], field: str) -> None:
    body = changed(house.sealer("KMS").seal(SECRET, BODY), **changes)
    with pytest.raises(Failure) as failure:
        read(body["encryption"])
    assert (failure.value.kind, failure.value.details["field"]) == (Kind.INVALID, field)


@pytest.mark.parametrize("block", [None, "x", [], 7])
def test_a_block_must_be_an_object(block: Any) -> None:
    with pytest.raises(Failure, match="encryption: must be an object"):
        read(block)


def test_a_payload_is_bounded(house: House) -> None:
    assert house.open(house.sealer("KMS").seal("x" * (256 * 1024 - 16))).content
    assert refused(house, house.sealer("KMS").seal("x" * (256 * 1024))).message == "decryption failed"


def test_neither_the_content_nor_the_key_shows_in_a_repr(house: House) -> None:
    sealer = house.sealer("KMS")
    opened = house.open(sealer.seal(SECRET, BODY))
    assert SECRET not in repr(opened)
    assert repr(sealer.data_key) not in repr(opened)
