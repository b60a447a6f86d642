"""The keys and the nonces of sealed prompts: the fakes, and KMS and the table alike."""

import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from quintet.ask.envelope import kms, store
from quintet.ask.envelope.kms import KmsKeys, published
from quintet.ask.envelope.model import Wrap
from quintet.ask.envelope.opening import Keys, Replays, Unopened
from tests.conftest import Stack
from tests.fakes.sealing import FakeKeys, FakeReplays
from tests.loops import on_a_loop
from tests.sealing import NAME, with_rsa

CONTEXT = {"purpose": "toron-request-v1", "principal": "key_1"}
Generate = Callable[[Mapping[str, str]], tuple[bytes, bytes]]


@dataclass
class Store:
    keys: Keys
    generate: Generate


@pytest.fixture(params=["fake", "kms"])
def stored(request: pytest.FixtureRequest) -> Iterator[Store]:
    if request.param == "fake":
        fake = FakeKeys(NAME)
        yield Store(fake, fake.generate)
        return
    request.getfixturevalue("function_environment")
    stack: Stack = request.getfixturevalue("stack")
    client = stack.endpoint.client("kms")
    published.cache_clear()
    kms._client.cache_clear()

    def generate(context: Mapping[str, str]) -> tuple[bytes, bytes]:
        made = client.generate_data_key(
            KeyId=published()[NAME].symmetric, KeySpec="AES_256", EncryptionContext=dict(context)
        )
        return made["Plaintext"], made["CiphertextBlob"]

    yield Store(KmsKeys(), generate)
    published.cache_clear()
    kms._client.cache_clear()


@pytest.fixture(params=["fake", "table"])
def replays(request: pytest.FixtureRequest) -> Replays:
    if request.param == "fake":
        return FakeReplays()
    request.getfixturevalue("quiet_tables")
    return store


@on_a_loop
async def test_a_key_wrapped_by_kms_opens_under_its_context_alone(stored: Store) -> None:
    key, wrapped = stored.generate(CONTEXT)
    assert await stored.keys.unwrap(NAME, Wrap.KMS, wrapped, CONTEXT) == key
    for wrong in ({**CONTEXT, "principal": "key_2"}, {**CONTEXT, "purpose": "other"}, {}):
        with pytest.raises(Unopened):
            await stored.keys.unwrap(NAME, Wrap.KMS, wrapped, wrong)


@on_a_loop
async def test_a_key_wrapped_for_the_published_key_opens(stored: Store) -> None:
    public, key = await stored.keys.public_key(NAME), secrets.token_bytes(32)
    assert public is not None
    wrapped = with_rsa(public)(key)
    assert await stored.keys.unwrap(NAME, Wrap.RSA, wrapped, CONTEXT) == key


@on_a_loop
async def test_what_is_no_wrapped_key_does_not_open(stored: Store) -> None:
    _, wrapped = stored.generate(CONTEXT)
    for wrap, blob in (
        (Wrap.RSA, wrapped),
        (Wrap.RSA, b"x"),
        (Wrap.KMS, b"x"),
        (Wrap.RSA, secrets.token_bytes(384)),
    ):
        with pytest.raises(Unopened):
            await stored.keys.unwrap(NAME, wrap, blob, CONTEXT)


@on_a_loop
@pytest.mark.parametrize("name", ["", "kms:projects/other", "arn:aws:kms:us-east-1:000000000000:key/1"])
async def test_only_published_names_are_keys(stored: Store, name: str) -> None:
    assert await stored.keys.public_key(name) is None
    with pytest.raises(Unopened):
        await stored.keys.unwrap(name, Wrap.KMS, stored.generate(CONTEXT)[1], CONTEXT)


@on_a_loop
async def test_a_nonce_is_first_once(replays: Replays) -> None:
    until, mark = datetime.now(UTC) + timedelta(days=1), secrets.token_hex(32)
    assert [await replays.first(mark, until) for _ in range(3)] == [True, False, False]
    assert await replays.first(secrets.token_hex(32), until)
