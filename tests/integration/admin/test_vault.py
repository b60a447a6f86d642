"""The vault through the API, over the real table and KMS."""

import asyncio
from collections.abc import Iterator

import pytest

from quintet.events.audit import audited
from quintet.gateway.vault import live, store
from quintet.gateway.vault.vault import Vault
from quintet.settings import settings
from quintet.store import wire
from quintet.store.clock import SystemClock
from quintet.store.items import to_item
from tests.integration.admin.conftest import Admin
from tests.integration.admin.test_audit import numbered

PASSWORD, OTHER = "correct horse", "battery staple"


@pytest.fixture
def vault(admin: Admin) -> Iterator[Admin]:
    """Without a password, as on the first day."""

    async def empty() -> None:
        contents = await store.read()
        for sk in ("head", "lease", *(f"secret#{name}" for name in contents.sealed)):
            key = to_item({"pk": "vault", "sk": sk})
            await wire.call("DeleteItem", {"TableName": settings().table("vault"), "Key": key}, idempotent=True)

    asyncio.run(empty())
    yield admin
    asyncio.run(empty())


def secret(provider: str) -> str | None:
    """As another instance reads it."""
    return asyncio.run(Vault(store, live._Kms(), SystemClock(), audited).secret(provider))


def provider(id: str, **more: object) -> dict[str, object]:  # noqa: A002
    return {"id": id, "type": "openai", "base_url": "http://localhost:9/v1", **more}


def test_it_opens_closes_and_tells(vault: Admin) -> None:
    assert vault("GET", "/vault/status")["initialized"] is False
    opened = vault("POST", "/vault/unlock", {"admin_password": PASSWORD})
    assert (opened["status"], opened["unlocked"]) == ("unlocked", True)
    assert vault("POST", "/vault/lock")["unlocked"] is False
    assert (
        vault.refused("POST", "/vault/unlock", {"admin_password": OTHER}, status=401) == "The admin password is wrong"
    )
    assert vault("GET", "/vault/status")["unlocked"] is False
    assert vault("POST", "/vault/unlock", {"admin_password": PASSWORD})["expires_at"]
    numbered()
    told = [each["action"] for each in vault("GET", "/audit?limit=500")["audit"] if each["actor"] == vault.name]
    expected = ["vault.initialized", "vault.locked", "vault.unlock_refused", "vault.unlocked"]
    assert sorted(told)[-4:] == sorted(expected)


def test_a_short_first_password_is_refused(vault: Admin) -> None:
    assert "8 to 256" in vault.refused("POST", "/vault/unlock", {"admin_password": "short"}, status=400)
    assert vault("GET", "/vault/status")["initialized"] is False


@pytest.mark.parametrize("initialised", [True, False])
def test_a_key_for_a_locked_vault_is_refused_and_changes_nothing(vault: Admin, initialised: bool) -> None:
    if initialised:
        vault("POST", "/vault/unlock", {"admin_password": PASSWORD})
        vault("POST", "/vault/lock")
    vault("POST", "/providers", provider("kept", name="before"))
    before = vault("GET", "/providers/kept")
    assert "locked" in vault.refused("POST", "/providers", provider("kept", name="after", api_key="sk-1"), status=423)
    assert vault("GET", "/providers/kept") == before
    assert "unlock" in vault.refused("POST", "/providers", provider("fresh", api_key="sk-1"), status=423)
    vault("GET", "/providers/fresh", status=404)


def test_a_key_is_written_and_never_shown(vault: Admin) -> None:
    vault("POST", "/vault/unlock", {"admin_password": PASSWORD})
    answer = vault.answer("POST", "/providers", provider("safe", api_key="sk-very-secret"))
    assert (answer.status, answer.json()["cred_store"]) == (200, "vault")
    assert answer.json()["configured"] is True
    assert secret("safe") == "sk-very-secret"
    shown = [
        answer,
        *(vault.answer("GET", path) for path in ("/providers", "/providers/safe", "/vault/status", "/audit")),
    ]
    assert not any("sk-very-secret" in each.text for each in shown)
    vault("POST", "/providers", provider("safe", name="renamed"))
    assert secret("safe") == "sk-very-secret"
    vault("POST", "/vault/rotate", {"admin_password": PASSWORD, "new_password": OTHER})
    assert secret("safe") == "sk-very-secret"
    vault.refused("POST", "/vault/rotate", {"admin_password": PASSWORD, "new_password": OTHER}, status=401)
    vault("POST", "/vault/lock")
    assert secret("safe") is None
    assert vault("GET", "/providers/safe")["configured"] is False
    vault("POST", "/vault/unlock", {"admin_password": OTHER})
    vault("DELETE", "/providers/safe")
    assert secret("safe") is None
    assert vault("GET", "/vault/status")["providers"] == []


def test_it_is_for_admins_alone(vault: Admin, viewer: Admin) -> None:
    viewer.refused("POST", "/vault/unlock", {"admin_password": PASSWORD}, status=403)
    viewer.refused("GET", "/vault/status", status=403)
