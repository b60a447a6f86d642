"""What we sign, and what we believe."""

import hmac
import json
from base64 import urlsafe_b64encode
from contextlib import suppress
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from quintet.errors import Failure, Kind
from quintet.identity.model import BARE, PrincipalKind, permissions_of
from quintet.identity.tokens import Claims, Keyring, Use, keyring
from quintet.store.clock import SystemClock, epoch
from tests.unit.identity.conftest import SECRET, Configure

NOW = SystemClock().now().replace(microsecond=0)
HOUR = timedelta(hours=1)

unhurried = hypothesis_settings(deadline=None)  # a busy machine is no counterexample


@pytest.fixture(scope="module")
def private() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


@pytest.fixture(scope="module")
def public(private: str) -> str:
    key = serialization.load_pem_private_key(private.encode(), None).public_key()
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.fixture
def keys(configure: Configure) -> Keyring:
    return keyring()


def documented(**changes: Any) -> dict[str, Any]:
    """The claims of the token in cyborgmind.md, at another time. None leaves a claim out."""
    claims = {
        "sub": "user123",
        "iat": epoch(NOW),
        "exp": epoch(NOW + HOUR),
        "iss": "cyborg-api",
        "aud": "cyborg-clients",
    }
    return {name: value for name, value in {**claims, **changes}.items() if value is not None}


def signed(claims: dict[str, Any], secret: str = SECRET, algorithm: str = "HS256", **header: Any) -> str:
    return jwt.encode(claims, secret, algorithm=algorithm, headers=header)


def refusal(keys: Keyring, token: str, use: Use = Use.ACCESS) -> str:
    with pytest.raises(Failure) as failure:
        keys.read(token, use)
    assert failure.value.kind is Kind.UNAUTHENTICATED
    return failure.value.message


def test_the_documents_claims_are_believed_and_may_step_and_ask(keys: Keyring) -> None:
    claims = keys.read(signed(documented()))
    assert (claims.subject, claims.bare, claims.expires_at) == ("user123", True, NOW + HOUR)
    caller = claims.principal()
    assert (caller.id, caller.kind, caller.account) == ("user123", PrincipalKind.SERVICE, "user#user123")
    assert caller.permissions == BARE


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        ({"exp": epoch(NOW - HOUR)}, "Token has expired"),
        ({"iss": "somebody-else"}, "Invalid token issuer"),
        ({"iss": None}, "Invalid token issuer"),
        ({"aud": "somebody-else"}, "Invalid token audience"),
        ({"aud": ["a", "b"]}, "Invalid token audience"),
        ({"aud": None}, "Invalid token audience"),
        ({"exp": None}, "Invalid authentication token"),
        ({"iat": None}, "Invalid authentication token"),
        ({"sub": None}, "Invalid authentication token"),
        ({"sub": ""}, "Invalid authentication token"),
        ({"sub": "x" * 256}, "Invalid authentication token"),
        ({"sub": 7}, "Invalid authentication token"),
        ({"jti": 7}, "Invalid authentication token"),
        ({"iat": epoch(NOW + HOUR)}, "Invalid authentication token"),
        ({"nbf": epoch(NOW + HOUR)}, "Invalid authentication token"),
        ({"exp": "soon"}, "Invalid authentication token"),
        ({"token_use": "refresh"}, "Invalid authentication token"),
    ],
)
def test_refuses_in_the_documents_words(keys: Keyring, claims: dict[str, Any], message: str) -> None:
    assert refusal(keys, signed(documented(**claims))) == message


def test_clocks_may_differ_by_thirty_seconds(keys: Keyring) -> None:
    now = SystemClock().now()
    just_over = documented(exp=epoch(now - timedelta(seconds=15)), iat=epoch(now + timedelta(seconds=15)))
    assert keys.read(signed(just_over)).subject == "user123"
    assert refusal(keys, signed(documented(exp=epoch(now - timedelta(seconds=31))))) == "Token has expired"


def test_a_token_that_never_ends_ends_with_time_itself(keys: Keyring) -> None:
    assert keys.read(signed(documented(exp=10**15))).expires_at.year == 9999


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", ""])
def test_refuses_a_token_without_a_signature(keys: Keyring, algorithm: str) -> None:
    header = _segment({"alg": algorithm, "typ": "JWT"})
    assert refusal(keys, f"{header}.{_segment(documented())}.") == "Invalid authentication token"


def test_refuses_a_changed_claim(keys: Keyring) -> None:
    header, _, signature = signed(documented()).split(".")
    assert refusal(keys, f"{header}.{_segment(documented(sub='root'))}.{signature}") == "Invalid authentication token"


def test_refuses_another_secret(keys: Keyring) -> None:
    assert refusal(keys, signed(documented(), secret="x" * 32)) == "Invalid authentication token"


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_refuses_another_algorithm_with_the_right_secret(configure: Configure, algorithm: str) -> None:
    long_enough = SECRET * 2
    configure(jwt_secret=long_enough)
    assert refusal(keyring(), signed(documented(), long_enough, algorithm)) == "Invalid authentication token"


class TestWithAnRsaKey:
    @pytest.fixture
    def keys(self, configure: Configure, private: str, public: str) -> Keyring:
        one_line = private.replace("\n", "\\n")  # as a PEM often comes through an environment
        configure(jwt_algorithm="RS256", jwt_secret=one_line, jwt_public_key=public)
        return keyring()

    def test_believes_what_it_signed(self, keys: Keyring) -> None:
        token = keys.sign(Claims("user123", NOW + HOUR), NOW)
        assert jwt.get_unverified_header(token)["alg"] == "RS256"
        assert keys.read(token).subject == "user123"

    def test_believes_who_holds_the_private_key(self, keys: Keyring, private: str) -> None:
        assert keys.read(jwt.encode(documented(), private, algorithm="RS256")).bare

    def test_refuses_the_public_key_taken_for_a_shared_secret(self, keys: Keyring, public: str) -> None:
        assert refusal(keys, _hs256(documented(), public.encode())) == "Invalid authentication token"

    def test_refuses_another_key(self, keys: Keyring) -> None:
        other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        assert refusal(keys, jwt.encode(documented(), other, algorithm="RS256")) == "Invalid authentication token"

    def test_refuses_a_token_without_a_signature(self, keys: Keyring) -> None:
        token = f"{_segment({'alg': 'none'})}.{_segment(documented())}."
        assert refusal(keys, token) == "Invalid authentication token"


def test_refuses_an_rsa_signature_where_a_secret_is_pinned(keys: Keyring, private: str) -> None:
    assert refusal(keys, jwt.encode(documented(), private, algorithm="RS256")) == "Invalid authentication token"


@unhurried
@given(st.text() | st.from_regex(r"[\w-]*\.[\w-]*\.[\w-]*", fullmatch=True))
def test_refuses_whatever_else(text: str) -> None:
    keys = Keyring("HS256", "i", "a", SECRET.encode(), SECRET.encode())
    assert refusal(keys, text) == "Invalid authentication token"


@unhurried
@given(
    st.dictionaries(
        st.sampled_from(["exp", "iat", "nbf", "iss", "aud", "sub", "jti", "sid", "roles", "scopes", "account"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers() | st.text()),
    )
)
def test_strange_claims_are_read_or_refused(claims: dict[str, Any]) -> None:
    keys = Keyring("HS256", "cyborg-api", "cyborg-clients", SECRET.encode(), SECRET.encode())
    with suppress(Failure):
        assert keys.read(_hs256({**documented(), **claims}, SECRET.encode())).subject


def test_what_was_signed_is_read_back(keys: Keyring) -> None:
    claims = Claims("s", NOW + HOUR, Use.ACCESS, "tok_1", "ses_1", "key#key_1", ("viewer",), ("infer",))
    assert keys.read(keys.sign(claims, NOW)) == claims
    refresh = Claims("s", NOW + HOUR, Use.REFRESH, "tok_2", "ses_1", bare=True)
    assert keys.read(keys.sign(refresh, NOW), Use.REFRESH) == refresh


def test_who_ordered_a_token_is_its_actor(keys: Keyring) -> None:
    token = keys.sign(Claims("user123", NOW + HOUR, ordered_by="team"), NOW)
    assert jwt.decode(token, options={"verify_signature": False})["act"] == {"sub": "team"}
    assert keys.read(token).principal().ordered_by == "team"


@pytest.mark.parametrize("actor", ["team", {"sub": 1}, {}, [], None])
def test_an_actor_that_is_none_is_passed_over(keys: Keyring, actor: Any) -> None:
    token = jwt.encode({**documented(), "act": actor}, SECRET, algorithm="HS256")
    assert keys.read(token).ordered_by is None


def test_every_token_has_an_id(keys: Keyring) -> None:
    ids = {keys.read(keys.sign(Claims("s", NOW + HOUR), NOW)).token_id for _ in range(3)}
    assert len(ids) == 3
    assert None not in ids


def test_a_token_is_good_for_its_own_use_alone(keys: Keyring) -> None:
    access, refresh = (keys.sign(Claims("s", NOW + HOUR, use), NOW) for use in Use)
    assert refusal(keys, refresh) == "Invalid authentication token"
    assert refusal(keys, access, Use.REFRESH) == "Invalid authentication token"


@pytest.mark.parametrize(
    ("claims", "permissions"),
    [
        ({"roles": ["viewer"]}, permissions_of(["viewer"], [])),
        ({"role": "viewer"}, permissions_of(["viewer"], [])),
        ({"scope": "tasks infer"}, permissions_of([], ["tasks", "infer"])),
        ({"scopes": ["tasks"], "permissions": ["infer"]}, permissions_of([], ["tasks", "infer"])),
        ({"scopes": []}, frozenset()),
        ({"scopes": [7, None]}, frozenset()),
        ({"roles": 7}, frozenset()),
    ],
)
def test_a_token_may_say_what_it_grants(keys: Keyring, claims: dict[str, Any], permissions: frozenset[str]) -> None:
    assert keys.read(signed(documented(**claims))).principal().permissions == permissions


def test_an_ordered_token_counts_on_the_account_of_who_ordered_it(keys: Keyring) -> None:
    token = keys.sign(Claims("user123", NOW + HOUR, account="key#key_1"), NOW)
    assert keys.read(token).principal().account == "key#key_1"


def test_the_keys_are_not_shown(keys: Keyring) -> None:
    assert SECRET not in repr(keys)


def test_a_stack_without_tokens_says_so_in_the_documents_words(configure: Configure) -> None:
    configure(jwt_enabled=False)
    with pytest.raises(Failure, match="JWT authentication is not enabled") as failure:
        keyring()
    assert failure.value.kind is Kind.UNSUPPORTED
    assert failure.value.message == "JWT authentication is not enabled. Set api.jwt_enabled=true in config."


@pytest.mark.parametrize("secret", ["guess me", "x" * 31])
def test_a_secret_that_can_be_guessed_is_none(configure: Configure, secret: str) -> None:
    configure(jwt_secret=secret)
    with pytest.raises(ValueError, match="JWT_SECRET") as error:
        keyring()
    assert secret not in str(error.value)


def test_only_two_algorithms_can_be_pinned(configure: Configure) -> None:
    configure(jwt_algorithm="none")
    with pytest.raises(ValueError, match="JWT_ALGORITHM"):
        keyring()


def _segment(value: dict[str, Any]) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _hs256(claims: dict[str, Any], key: bytes) -> str:
    """By hand: the library refuses to take a PEM for a secret."""
    body = f"{_segment({'alg': 'HS256', 'typ': 'JWT'})}.{_segment(claims)}"
    return f"{body}.{urlsafe_b64encode(hmac.digest(key, body.encode(), 'sha256')).rstrip(b'=').decode()}"
