"""What callers show, and how a key is written."""

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quintet.identity.credentials import Credential, Shape, digest, is_key, key_text, presented

KEY = key_text("local", bytes(range(32)))


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_bearer_is_presented(scheme: str) -> None:
    assert presented({"authorization": f"{scheme}  word "}) == [Credential("word", bearer=True)]


@pytest.mark.parametrize("header", ["x-api-key", "x-ryuzen-key"])
def test_a_key_is_presented_in_either_header(header: str) -> None:
    assert presented({header: " word "}) == [Credential("word", bearer=False)]


def test_a_bearer_comes_before_keys() -> None:
    shown = presented({"x-ryuzen-key": "c", "x-api-key": "b", "authorization": "Bearer a"})
    assert shown == [Credential("a", bearer=True), Credential("b", bearer=False), Credential("c", bearer=False)]


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "word"])
def test_what_is_no_bearer_hides_no_key(authorization: str) -> None:
    assert presented({"authorization": authorization}) == []
    assert presented({"authorization": authorization, "x-api-key": "b"}) == [Credential("b", bearer=False)]


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        (KEY, Shape.KEY),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln", Shape.TOKEN),
        ("eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.", Shape.TOKEN),
        ("cyborg-secret-v2", Shape.OTHER),
        (KEY + "x", Shape.OTHER),
        ("a.b", Shape.OTHER),
        ("", Shape.OTHER),
    ],
)
def test_the_shape_is_told_without_a_look_up(text: str, shape: Shape) -> None:
    assert Credential(text, bearer=True).shape is shape


def test_a_credential_is_not_shown() -> None:
    assert "word" not in repr(Credential("word", bearer=True))


def test_a_key_names_its_stage_and_has_256_bits() -> None:
    assert KEY.startswith("qk_local_")
    assert key_text("local", b"\xff" * 32) != key_text("local", b"\xff" * 31 + b"\xfe")
    assert len({len(key_text("local", secrets.token_bytes(32))) for _ in range(50)}) == 1


@given(st.binary(min_size=32, max_size=32), st.sampled_from(["local", "dev", "prod2"]))
def test_every_key_is_one(entropy: bytes, stage: str) -> None:
    assert is_key(key_text(stage, entropy))


@given(st.binary(min_size=32, max_size=32), st.data())
def test_a_key_with_a_wrong_letter_is_none(entropy: bytes, data: st.DataObject) -> None:
    text = key_text("local", entropy)
    place = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.sampled_from("0aZ_").filter(lambda letter: letter != text[place]))
    assert not is_key(text[:place] + letter + text[place + 1 :])


def test_a_digest_is_sha256() -> None:
    assert digest("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
