"""Who is calling, over a real socket: the documents' own requests against what `make run` serves."""

import pytest
import requests

from tests.conftest import Stack

LIMITS = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")


@pytest.fixture(scope="module")
def seeded(stack: Stack) -> dict[str, str]:
    return stack.keys


def test_the_documents_token_request(front: str) -> None:
    answer = requests.post(f"{front}/auth/token", json={"subject": "user123", "expiry_minutes": 120}, timeout=30)
    assert answer.json().keys() == {"access_token", "token_type", "expires_at", "subject"}


def test_the_documents_login(front: str, seeded: dict[str, str]) -> None:
    form = {"username": seeded["ADMIN_USER"], "password": seeded["ADMIN_PASSWORD"]}
    data = requests.post(f"{front}/v1/auth/login", data=form, timeout=30).json()["data"]
    me = requests.get(
        f"{front}/v1/auth/me", headers={"Authorization": f"Bearer {data['access_token']}"}, timeout=30
    ).json()
    assert me["data"]["id"] == data["user"]["id"]


def test_the_sample_clients_key_as_a_bearer(front: str, seeded: dict[str, str]) -> None:
    """kyros.md's Python client sends its API key as a bearer."""
    session = requests.Session()
    session.headers.update({"Authorization": f"Bearer {seeded['RYUZEN_KEY']}", "Content-Type": "application/json"})
    assert session.get(f"{front}/v1/auth/me", timeout=30).json()["data"]["roles"] == ["developer"]


@pytest.mark.parametrize(("path", "limited"), [("/v1/nowhere", True), ("/agents/x", True), ("/health", False)])
def test_limits_are_told_where_nobody_serves_and_not_on_probes(front: str, path: str, limited: bool) -> None:
    answer = requests.get(f"{front}{path}", timeout=30)
    assert [name in answer.headers for name in LIMITS] == [limited] * 3
