"""The vault that functions use: one per process."""

from functools import cache

from quintet.events.audit import audited
from quintet.gateway.vault import store
from quintet.gateway.vault.vault import Glance, Vault
from quintet.settings import settings
from quintet.store import kms
from quintet.store.clock import SystemClock


class _Kms:
    """Wraps the vault's key. The context keeps a lease of one stack from opening in another."""

    async def wrap(self, key: bytes) -> bytes:
        return await kms.encrypt(settings().vault_key_id, key, _context())

    async def unwrap(self, wrapped: bytes) -> bytes:
        return await kms.decrypt(settings().vault_key_id, wrapped, _context())


@cache
def vault() -> Vault:
    return Vault(store, _Kms(), SystemClock(), audited)


@cache
def glance() -> Glance:
    return Glance(store, SystemClock())


def _context() -> dict[str, str]:
    return {"purpose": "quintet-vault-v1", "table": settings().table("vault")}
