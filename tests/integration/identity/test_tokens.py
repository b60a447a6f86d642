"""cyborgmind.md's token endpoint and its words for credentials, through the function's handler."""

from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from quintet.identity.tokens import keyring
from quintet.store.clock import epoch
from tests.examples import like
from tests.integration.identity.conftest import Caller, Configure

# The document's own.
REQUEST = {"subject": "user123", "expiry_minutes": 120}
ANSWER = {
    "access_token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9...",
    "token_type": "bearer",
    "expires_at": "2025-12-04T02:00:00",
    "subject": "user123",
}
NOT_ENABLED = {"detail": "JWT authentication is not enabled. Set api.jwt_enabled=true in config."}
STATIC_TOKEN = "cyborg-secret-v2"


def test_the_documents_request_gets_the_documents_answer(caller: Caller) -> None:
    answer = caller("POST", "/auth/token", json=REQUEST)
    assert answer.status == 200
    assert like(ANSWER, answer.json())
    assert (answer.json()["token_type"], answer.json()["subject"]) == ("bearer", "user123")
    ends = datetime.strptime(answer.json()["expires_at"], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    assert abs(ends - datetime.now(UTC) - timedelta(minutes=120)) < timedelta(seconds=20)
    assert answer.headers["cache-control"] == "no-store"


def test_the_token_has_the_documents_claims(caller: Caller) -> None:
    token = caller("POST", "/auth/token", json={"subject": "api_client_001", "expiry_minutes": 60}).json()
    claims = jwt.decode(token["access_token"], options={"verify_signature": False})
    assert claims.keys() >= {"sub", "iat", "exp", "iss", "aud"}
    assert (claims["sub"], claims["iss"], claims["aud"]) == ("api_client_001", "cyborg-api", "cyborg-clients")
    assert claims["exp"] - claims["iat"] == 3600


def test_a_token_lives_for_an_hour_unless_another_time_is_asked_for(caller: Caller) -> None:
    token = caller("POST", "/auth/token", json={"subject": "user123"}).json()["access_token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 3600


def test_a_token_names_its_subject(caller: Caller) -> None:
    token = caller("POST", "/auth/token", json=REQUEST).json()["access_token"]
    me = caller("GET", "/v1/auth/me", headers={"Authorization": f"Bearer {token}"})
    assert me.json()["data"]["id"] == "user123"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "subject"),
        ({"subject": ""}, "subject"),
        ({"subject": "x" * 256}, "subject"),
        ({"subject": "😀" * 65}, "subject"),
        ({"subject": "a\0b"}, "subject"),
        ({"subject": 7}, "subject"),
        ({"subject": "x", "expiry_minutes": 0}, "expiry_minutes"),
        ({"subject": "x", "expiry_minutes": -1}, "expiry_minutes"),
        ({"subject": "x", "expiry_minutes": 1.5}, "expiry_minutes"),
        ({"subject": "x", "expiry_minutes": "soon"}, "expiry_minutes"),
        ({"subject": "x", "expiry_minutes": 10_081}, "expiry_minutes"),
        ({"subject": "x", "expiry_minutes": 10**30}, "expiry_minutes"),
    ],
)
def test_a_request_out_of_bounds_names_the_field(caller: Caller, body: dict[str, Any], field: str) -> None:
    answer = caller("POST", "/auth/token", json=body)
    assert answer.status == 422
    assert answer.json().keys() == {"detail"}
    assert answer.json()["detail"].startswith(f"{field}: ")


@pytest.mark.parametrize("body", ["", "{", "nonsense", b"\xff\xfe"])
def test_a_body_that_is_no_json_is_422(caller: Caller, body: str | bytes) -> None:
    answer = caller("POST", "/auth/token", body=body, headers={"Content-Type": "application/json"})
    assert answer.status == 422
    assert answer.json().keys() == {"detail"}


def test_a_stack_without_tokens_answers_501(caller: Caller, configure: Configure) -> None:
    configure(jwt_enabled=False, open_access=False)
    answer = caller("POST", "/auth/token", json=REQUEST)
    assert (answer.status, answer.json()) == (501, NOT_ENABLED)


def test_a_closed_stack_asks_for_credentials(caller: Caller, configure: Configure) -> None:
    configure(open_access=False)
    answer = caller("POST", "/auth/token", json=REQUEST)
    assert (answer.status, answer.json()) == (403, {"detail": "Not authenticated"})


def test_a_closed_stack_hands_out_what_the_caller_may_do(caller: Caller, configure: Configure) -> None:
    configure(open_access=False)
    bearer = {"Authorization": f"Bearer {STATIC_TOKEN}"}
    token = caller("POST", "/auth/token", json=REQUEST, headers=bearer).json()["access_token"]
    own = caller("GET", "/v1/auth/me", headers=bearer).json()["data"]["permissions"]
    got = caller("GET", "/v1/auth/me", headers={"Authorization": f"Bearer {token}"}).json()["data"]["permissions"]
    assert got == own


def test_nobody_orders_a_token_in_the_name_of_a_user(caller: Caller) -> None:
    answer = caller("POST", "/auth/token", json={"subject": f"user_{'0' * 26}"})
    assert answer.status == 403
    assert "logging in" in answer.json()["detail"]


# ---- the words for credentials, on a path of cyborgmind.md that asks for them


@pytest.fixture
def closed(configure: Configure) -> None:
    configure(open_access=False)


def detail(caller: Caller, token: str) -> tuple[int, Any]:
    answer = caller("POST", "/auth/token", json=REQUEST, headers={"Authorization": f"Bearer {token}"})
    assert "x-ratelimit-limit" in answer.headers
    return answer.status, answer.json()


def signed(**changes: Any) -> str:
    now = epoch(datetime.now(UTC))
    claims = {
        "sub": "user123",
        "iat": now,
        "exp": now + 60,
        "iss": "cyborg-api",
        "aud": "cyborg-clients",
    }
    return jwt.encode({**claims, **changes}, keyring().signing, algorithm="HS256")


@pytest.mark.usefixtures("closed")
class TestTheWords:
    def test_for_the_static_token(self, caller: Caller) -> None:
        assert detail(caller, STATIC_TOKEN)[0] == 200

    def test_for_a_token_like_the_documents(self, caller: Caller) -> None:
        assert detail(caller, signed())[0] == 200

    def test_for_a_wrong_token(self, caller: Caller) -> None:
        assert detail(caller, "wrong") == (403, {"detail": "Invalid authentication token"})

    def test_for_an_expired_token(self, caller: Caller) -> None:
        assert detail(caller, signed(exp=1)) == (403, {"detail": "Token has expired"})

    def test_for_a_wrong_issuer(self, caller: Caller) -> None:
        assert detail(caller, signed(iss="x")) == (403, {"detail": "Invalid token issuer"})

    def test_for_a_wrong_audience(self, caller: Caller) -> None:
        assert detail(caller, signed(aud="x")) == (403, {"detail": "Invalid token audience"})

    def test_for_a_token_without_a_signature(self, caller: Caller) -> None:
        token = jwt.encode({"sub": "user123"}, "", algorithm="none")
        assert detail(caller, token) == (403, {"detail": "Invalid authentication token"})

    def test_for_a_tampered_token(self, caller: Caller) -> None:
        head, body, signature = signed().split(".")
        assert detail(caller, f"{head}.{body}.{signature[::-1]}") == (403, {"detail": "Invalid authentication token"})
