"""Somebody to be, in a stack that had nobody."""

import pytest

from quintet.identity.model import ROLES
from quintet.identity.store import users as user_table
from tests.conftest import Stack
from tests.integration.identity.conftest import Caller
from tests.integration.identity.test_login import log_in


@pytest.fixture
def seeded(stack: Stack) -> dict[str, str]:
    return stack.keys


def test_seeding_again_answers_the_same(stack: Stack, seeded: dict[str, str]) -> None:
    assert stack.system.seed() == seeded


@pytest.mark.parametrize(
    ("name", "role"),
    [("API_KEY", "admin"), ("RYUZEN_KEY", "developer"), ("REVIEWER_KEY", "reviewer"), ("VIEWER_KEY", "viewer")],
)
def test_there_is_a_key_for_every_role(seeded: dict[str, str], caller: Caller, name: str, role: str) -> None:
    me = caller("GET", "/v1/auth/me", headers={"X-Ryuzen-Key": seeded[name]}).json()["data"]
    assert me["roles"] == [role]
    assert me["permissions"] == sorted(ROLES[role])


def test_no_two_of_them_are_one_person(seeded: dict[str, str], caller: Caller) -> None:
    """An escalation is not approved by whoever asked for it."""
    keys = ("API_KEY", "RYUZEN_KEY", "REVIEWER_KEY", "VIEWER_KEY")
    ids = {caller("GET", "/v1/auth/me", headers={"X-API-Key": seeded[key]}).json()["data"]["id"] for key in keys}
    assert len(ids) == len(keys)


def test_the_administrator_logs_in(seeded: dict[str, str], caller: Caller) -> None:
    answer = log_in(caller, seeded["ADMIN_USER"], seeded["ADMIN_PASSWORD"])
    assert answer.json()["data"]["user"]["roles"] == ["admin"]
    token = answer.json()["data"]["access_token"]
    assert caller("GET", "/admin/v1/users", headers={"Authorization": f"Bearer {token}"}).status == 200


def test_the_static_token_is_named(seeded: dict[str, str], caller: Caller) -> None:
    bearer = {"Authorization": f"Bearer {seeded['STATIC_TOKEN']}"}
    assert caller("GET", "/v1/auth/me", headers=bearer).json()["data"]["id"] == "static"


def test_a_seeding_that_stopped_halfway_is_done_again(stack: Stack, seeded: dict[str, str], caller: Caller) -> None:
    """The user is there already, and nobody knows its password."""
    secrets = stack.endpoint.client("secretsmanager")
    secrets.delete_secret(SecretId="quintet-seed", ForceDeleteWithoutRecovery=True)
    del stack.keys
    again = stack.keys
    assert again["ADMIN_PASSWORD"] != seeded["ADMIN_PASSWORD"]
    assert log_in(caller, again["ADMIN_USER"], again["ADMIN_PASSWORD"]).status == 200
    assert user_table.by_name("login#admin") is not None
