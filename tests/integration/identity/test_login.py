"""kyros.md's logins, through the function's handler and the real tables."""

import asyncio
import json
import secrets
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import pytest

from quintet.identity.keys import Issued, Keys
from quintet.identity.model import PERMISSIONS, User
from quintet.identity.passwords import Passwords
from quintet.identity.store import keys as key_table
from quintet.identity.store import users as user_table
from quintet.identity.users import Users
from quintet.store.clock import SystemClock
from tests.asgi import ask
from tests.examples import like
from tests.gateway import Answer
from tests.integration.identity.conftest import Caller, Configure
from tests.loops import on_a_loop

# The document's own, with the fields that its standard envelope adds.
LOGIN = {
    "success": True,
    "data": {
        "access_token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9...",
        "token_type": "bearer",
        "expires_in": 3600,
        "refresh_token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9...",
        "user": {"id": "user_123", "email": "user@example.com", "roles": ["developer", "admin"]},
    },
}
ME = {
    "success": True,
    "data": {
        "id": "user_123",
        "email": "user@example.com",
        "name": "John Doe",
        "roles": ["developer", "admin"],
        "permissions": ["create_task", "review_code"],
        "created_at": "2024-01-01T00:00:00Z",
        "last_login": "2024-01-15T10:30:00Z",
    },
}
ERROR = {
    "success": False,
    "error": {"code": "RESOURCE_NOT_FOUND", "message": "The requested resource was not found", "details": {}},
    "timestamp": "2024-01-15T10:30:00Z",
    "request_id": "req_123456789",
}
ENVELOPE = ("message", "timestamp", "request_id")
PASSWORD = "correct horse"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def ada(caller: Caller) -> User:
    word = secrets.token_hex(6)
    return users().create(
        f"{word}@example.test",
        PASSWORD,
        username=word,
        name="Ada",
        roles=["developer", "admin"],
        actor="test",
        now=SystemClock().now(),
    )


@pytest.fixture
def unlimited(configure: Configure) -> None:
    """For tests that log in more often than five times a minute."""
    configure(rate_limit_auth=0)


def users() -> Users:
    return Users(user_table, keys(), Passwords(memory_kib=8, passes=1))


def keys() -> Keys:
    return Keys(key_table, "local")


def issued(*scopes: str) -> Issued:
    return keys().issue("ci", "team", scopes=scopes, actor="test", now=SystemClock().now())


def log_in(caller: Caller, name: str | None, password: str = PASSWORD) -> Answer:
    return caller("POST", "/v1/auth/login", headers=FORM, body=urlencode({"username": name, "password": password}))


def refresh(caller: Caller, token: str) -> Answer:
    return caller("POST", "/v1/auth/refresh", json={"refresh_token": token})


async def everywhere(path: str, body: Any, times: int) -> list[int]:
    """The same request from many addresses at the same moment: the statuses of the answers."""
    from identity.app import app

    content = json.dumps(body).encode()
    asked = [ask(app, "POST", path, body=content, client=(f"198.51.100.{n}", 1)) for n in range(times)]
    return [answer.status for answer in await asyncio.gather(*asked)]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def me(caller: Caller, token: str) -> Answer:
    return caller("GET", "/v1/auth/me", headers=bearer(token))


def error(answer: Answer, status: int, code: str) -> str:
    assert answer.status == status, answer.text
    body = answer.json()
    assert like(ERROR, {**body, "error": {**body["error"], "details": {}}})
    assert body["error"]["code"] == code
    assert answer.headers["x-request-id"] == body["request_id"]
    return str(body["error"]["message"])


def test_a_form_gets_the_documents_answer(caller: Caller, ada: User) -> None:
    answer = log_in(caller, ada.username)
    assert answer.status == 200
    assert like(LOGIN, answer.json(), more=ENVELOPE)
    data = answer.json()["data"]
    assert (data["token_type"], data["expires_in"]) == ("bearer", 3600)
    assert data["user"] == {"id": ada.id, "email": ada.email, "roles": ["developer", "admin"]}
    assert answer.headers["cache-control"] == "no-store"


def test_json_is_as_good_as_a_form_and_an_address_as_a_name(caller: Caller, ada: User) -> None:
    answer = caller("POST", "/v1/auth/login", json={"username": ada.email, "password": PASSWORD})
    assert answer.status == 200


def test_the_profile_is_the_documents(caller: Caller, ada: User) -> None:
    answer = me(caller, log_in(caller, ada.username).json()["data"]["access_token"])
    assert like(ME, answer.json(), more=ENVELOPE)
    data = answer.json()["data"]
    assert (data["id"], data["email"], data["name"], data["roles"]) == (ada.id, ada.email, "Ada", list(ada.roles))
    assert data["permissions"] == sorted(PERMISSIONS)
    assert data["last_login"] >= data["created_at"]


def test_the_profile_asks_who_is_calling(caller: Caller) -> None:
    assert "X-API-Key" in error(caller("GET", "/v1/auth/me"), 401, "UNAUTHORIZED")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "username"),
        ({"username": "ada"}, "password"),
        ({"username": "", "password": "x"}, "username"),
        ({"username": "x" * 321, "password": "x"}, "username"),
        ({"username": "ada", "password": "x" * 8193}, "password"),
        ([], ""),
    ],
)
def test_an_incomplete_login_names_the_field_and_never_the_password(caller: Caller, body: Any, field: str) -> None:
    answer = caller("POST", "/v1/auth/login", json=body)
    error(answer, 422, "VALIDATION_ERROR")
    assert answer.json()["error"]["details"]["field"] == field
    assert "xxx" not in answer.text


@pytest.mark.parametrize("body", ["{", "", b"\xff"])
def test_a_broken_body_is_refused(caller: Caller, body: str | bytes) -> None:
    error(caller("POST", "/v1/auth/login", body=body), 422, "VALIDATION_ERROR")
    if body:
        error(caller("POST", "/v1/auth/login", body=body, headers=FORM), 422, "VALIDATION_ERROR")


def test_the_fifth_wrong_password_says_that_the_account_is_locked(caller: Caller, ada: User) -> None:
    """The address has five requests a minute: the last one that is answered must say it."""
    answers = [log_in(caller, ada.username, "wrong password") for _ in range(6)]
    for answer in answers[:4]:
        assert error(answer, 401, "UNAUTHORIZED") == "Wrong username or password"
    message = error(answers[4], 423, "ACCOUNT_LOCKED")
    assert message == "Too many wrong passwords: this account is locked, try again in 15 minutes"
    assert answers[4].headers["retry-after"] == "900"
    error(answers[5], 429, "RATE_LIMITED")
    error(log_in(Caller(), ada.username), 423, "ACCOUNT_LOCKED")


def test_a_name_that_nobody_has_is_locked_like_any_other(caller: Caller) -> None:
    name = secrets.token_hex(6)
    answers = [log_in(caller, name, "wrong password") for _ in range(5)]
    assert [answer.status for answer in answers] == [401, 401, 401, 401, 423]


@on_a_loop
async def test_guesses_from_everywhere_at_once_are_five(ada: User) -> None:
    answers = await everywhere("/v1/auth/login", {"username": ada.username, "password": "wrong password"}, 20)
    assert [answers.count(status) for status in (401, 423)] == [4, 16]


# ---- refreshing


def test_a_refresh_gets_the_documents_answer(caller: Caller, ada: User) -> None:
    first = log_in(caller, ada.username).json()["data"]
    answer = refresh(caller, first["refresh_token"])
    assert like(LOGIN, answer.json(), more=ENVELOPE)
    assert answer.json()["data"]["refresh_token"] != first["refresh_token"]
    assert me(caller, answer.json()["data"]["access_token"]).status == 200


@pytest.mark.usefixtures("unlimited")
def test_a_replayed_refresh_token_ends_the_family_at_once(caller: Caller, ada: User) -> None:
    first = log_in(caller, ada.username).json()["data"]
    other = log_in(caller, ada.username).json()["data"]
    second = refresh(caller, first["refresh_token"]).json()["data"]
    assert me(caller, second["access_token"]).status == 200
    assert "used before" in error(refresh(caller, first["refresh_token"]), 401, "UNAUTHORIZED")
    for token in (first["access_token"], second["access_token"]):
        assert "session has ended" in error(me(caller, token), 401, "UNAUTHORIZED")
    error(refresh(caller, second["refresh_token"]), 401, "UNAUTHORIZED")
    assert me(caller, other["access_token"]).status == 200


def test_of_racing_refreshes_one_wins(caller: Caller, ada: User) -> None:
    first = log_in(caller, ada.username).json()["data"]["refresh_token"]
    answers = asyncio.run(everywhere("/v1/auth/refresh", {"refresh_token": first}, 8))
    assert [answers.count(status) for status in (200, 401)] == [1, 7]


def test_an_access_token_does_not_refresh(caller: Caller, ada: User) -> None:
    access = log_in(caller, ada.username).json()["data"]["access_token"]
    assert error(refresh(caller, access), 401, "UNAUTHORIZED") == "Invalid authentication token"


def test_a_refresh_token_opens_nothing(caller: Caller, ada: User) -> None:
    token = log_in(caller, ada.username).json()["data"]["refresh_token"]
    assert error(me(caller, token), 401, "UNAUTHORIZED") == "Invalid authentication token"


# ---- OAuth2's token endpoint


def token(caller: Caller, form: Mapping[str, str], **headers: str) -> Answer:
    return caller("POST", "/v1/auth/token", headers={**FORM, **headers}, body=urlencode(form))


def as_client(secret: str, **more: str) -> dict[str, str]:
    return {"grant_type": "client_credentials", "client_secret": secret, **more}


def test_a_password_is_a_grant(caller: Caller, ada: User) -> None:
    answer = token(caller, {"grant_type": "password", "username": str(ada.username), "password": PASSWORD})
    assert like(LOGIN, answer.json(), more=ENVELOPE)


def test_a_refresh_token_is_a_grant(caller: Caller, ada: User) -> None:
    first = log_in(caller, ada.username).json()["data"]["refresh_token"]
    form = {"grant_type": "refresh_token", "refresh_token": first}
    assert token(caller, form).status == 200
    error(token(caller, form), 401, "UNAUTHORIZED")


def test_a_key_is_a_clients_secret(caller: Caller) -> None:
    key = issued("tasks", "infer")
    data = token(caller, as_client(key.secret, client_id=key.key.id)).json()["data"]
    assert data.keys() == {"access_token", "token_type", "expires_in", "scope"}
    assert data["scope"] == "cancel_task create_task infer read_tasks update_task"
    profile = me(caller, data["access_token"]).json()["data"]
    assert (profile["id"], " ".join(profile["permissions"])) == ("team", data["scope"])


def test_a_client_may_ask_for_less_and_gets_no_more(caller: Caller) -> None:
    secret = issued("tasks").secret
    data = token(caller, as_client(secret, scope="read_tasks admin")).json()["data"]
    assert data["scope"] == "read_tasks"


def test_a_client_may_name_itself_in_the_header(caller: Caller) -> None:
    key = issued("tasks")
    basic = b64encode(f"{key.key.id}:{key.secret}".encode()).decode()
    assert token(caller, {"grant_type": "client_credentials"}, Authorization=f"Basic {basic}").status == 200


@pytest.mark.parametrize(
    ("headers", "form"),
    [
        ({}, {"client_secret": "nonsense"}),
        ({}, {"client_secret": "cyborg-secret-v2"}),
        ({"Authorization": "Basic %%%"}, {}),
        ({"Authorization": "Basic eDp5"}, {}),
    ],
)
def test_a_client_without_a_key_gets_nothing(caller: Caller, headers: dict[str, str], form: dict[str, str]) -> None:
    answer = token(caller, {"grant_type": "client_credentials", **form}, **headers)
    error(answer, 401, "UNAUTHORIZED")


def test_a_client_under_another_name_gets_nothing(caller: Caller) -> None:
    answer = token(caller, as_client(issued("tasks").secret, client_id="other"))
    error(answer, 401, "UNAUTHORIZED")
    assert answer.json()["error"]["details"] == {"error": "invalid_client"}


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({}, "grant_type"),
        ({"grant_type": "magic"}, "grant_type"),
        ({"grant_type": "password", "username": "ada"}, "password"),
        ({"grant_type": "refresh_token"}, "refresh_token"),
        ({"grant_type": "client_credentials"}, "client_secret"),
    ],
)
def test_an_incomplete_grant_names_the_field(caller: Caller, form: dict[str, str], field: str) -> None:
    answer = token(caller, form)
    error(answer, 422, "VALIDATION_ERROR")
    assert answer.json()["error"]["details"]["field"] == field


# ---- who changes while they are known


@pytest.fixture
def known(caller: Caller, ada: User) -> Callable[[], Answer]:
    """Asks again with a token that this instance has just seen to be good."""
    access = log_in(caller, ada.username).json()["data"]["access_token"]
    assert me(caller, access).status == 200
    return lambda: me(caller, access)


def test_a_disabled_user_is_out_on_the_next_request(known: Callable[[], Answer], ada: User) -> None:
    users().change(ada.id, {"disabled": True}, actor="test", now=SystemClock().now())
    error(known(), 401, "UNAUTHORIZED")


def test_all_sessions_end_on_the_next_request(known: Callable[[], Answer], ada: User) -> None:
    users().end_sessions(ada.id, actor="test", now=SystemClock().now())
    assert "session has ended" in error(known(), 401, "UNAUTHORIZED")


def test_a_role_goes_on_the_next_request(known: Callable[[], Answer], ada: User) -> None:
    users().change(ada.id, {"roles": ("viewer",)}, actor="test", now=SystemClock().now())
    assert known().json()["data"]["roles"] == ["viewer"]


def test_a_removed_user_is_out_on_the_next_request(known: Callable[[], Answer], ada: User) -> None:
    users().remove(ada.id, actor="test", now=SystemClock().now())
    error(known(), 401, "UNAUTHORIZED")
