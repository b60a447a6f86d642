"""Identity as it is deployed: through API Gateway, in the functions' own roles, so that a missing permission shows."""

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.conftest import Stack
from tests.integration.identity.conftest import CLIENT, Provider, provider_process

__all__ = ["provider_process"]
JSON = dict[str, Any]


@pytest.fixture(scope="module")
def seeded(stack: Stack) -> dict[str, str]:
    return stack.keys


class Deployed:
    def __init__(self, stack: Stack, key: str) -> None:
        self.stack = stack
        self.headers = {"X-API-Key": key}

    def __call__(self, method: str, path: str, status: int = 200, **options: Any) -> JSON:
        answer = self.stack.request(method, path, **{"headers": self.headers, **options})
        assert answer.status_code == status, answer.text
        body: JSON = answer.json()
        return body


@pytest.fixture
def deployed(stack: Stack, seeded: dict[str, str]) -> Deployed:
    return Deployed(stack, seeded["API_KEY"])


def test_a_user_lives_from_creation_to_removal(deployed: Deployed) -> None:
    word = secrets.token_hex(6)
    user = deployed("POST", "/admin/v1/users", 201, json={"email": f"{word}@example.test", "roles": ["developer"]})
    path = f"/admin/v1/users/{user['id']}"
    form = {"username": user["email"], "password": user["password"]}
    grant = deployed("POST", "/v1/auth/login", data=form)["data"]
    bearer = {"Authorization": f"Bearer {grant['access_token']}"}
    assert deployed("GET", "/v1/auth/me", headers=bearer)["data"]["id"] == user["id"]
    refresh = {"refresh_token": grant["refresh_token"]}
    deployed("POST", "/v1/auth/refresh", json=refresh)
    deployed("POST", "/v1/auth/refresh", 401, json=refresh)
    deployed("GET", "/v1/auth/me", 401, headers=bearer)
    key = deployed("POST", "/admin/v1/keys", 201, json={"name": "own", "owner": user["id"]})
    deployed("PATCH", path, json={"name": "Ada"})
    deployed("POST", f"{path}/password")
    deployed("DELETE", f"{path}/sessions")
    assert user["id"] in {each["id"] for each in deployed("GET", "/admin/v1/users?limit=500")["users"]}
    deployed("PATCH", path, json={"disabled": True})
    assert deployed("GET", f"/admin/v1/keys/{key['id']}")["revoked_at"]
    deployed("DELETE", path)
    deployed("GET", path, 404)


def test_a_key_lives_from_issue_to_revocation(deployed: Deployed) -> None:
    key = deployed("POST", "/admin/v1/keys", 201, json={"name": "ci", "owner": "team", "scopes": ["policy"]})
    path = f"/admin/v1/keys/{key['id']}"
    for _ in range(2):  # a second rotation takes the first secret away
        newer = deployed("POST", f"{path}/rotate", json={"overlap_seconds": 60})
    assert key["id"] in {each["id"] for each in deployed("GET", "/admin/v1/keys?owner=team")["keys"]}
    assert deployed("GET", "/admin/v1/keys?limit=1")["next_cursor"]
    header = {"X-API-Key": newer["key"]}
    minted = deployed("POST", "/auth/token", headers=header, json={"subject": "agent"})
    bearer = {"Authorization": f"Bearer {minted['access_token']}"}
    for credentials in (header, bearer):
        assert deployed("GET", "/v1/auth/me", headers=credentials)["data"]["permissions"] == ["infer"]
    assert deployed("GET", path)["last_used"]
    deployed("DELETE", path)
    for credentials in (header, bearer):
        deployed("GET", "/v1/auth/me", 401, headers=credentials)


@pytest.fixture
def with_provider(stack: Stack, provider_process: Provider) -> Iterator[None]:
    """The deployed function is told of a provider."""
    name = stack.system.deployed.names["IdentityFunction"]
    told = stack.lambda_.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    more = {"OAUTH_CUSTOM_CLIENT_ID": CLIENT, "OAUTH_CUSTOM_ISSUER": provider_process.issuer}
    stack.lambda_.update_function_configuration(FunctionName=name, Environment={"Variables": {**told, **more}})
    yield
    stack.lambda_.update_function_configuration(FunctionName=name, Environment={"Variables": told})


@pytest.mark.usefixtures("with_provider")
def test_a_person_signs_in_elsewhere(stack: Stack) -> None:
    away = stack.request("GET", "/v1/auth/oauth2/custom", allow_redirects=False)
    assert away.status_code == 302, away.text
    back = requests.get(away.headers["location"], allow_redirects=False, timeout=60).headers["location"]
    cookie = away.headers["set-cookie"].partition(";")[0]
    path = "/v1/auth/oauth2/custom/callback?" + back.partition("?")[2]
    answer = stack.request("GET", path, headers={"Cookie": cookie})
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"]["user"]["roles"] == ["viewer"]
    assert stack.request("GET", path, headers={"Cookie": cookie}).status_code == 400
