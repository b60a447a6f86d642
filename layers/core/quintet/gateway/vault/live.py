"""The vault that functions use: one per process."""

from quintet.copies import own
from quintet.events.audit import audited
from quintet.gateway.vault import store
from quintet.gateway.vault.vault import Glance, Vault
from quintet.settings import settings
from quintet.store import kms
from quintet.store.clock import SystemClock

# What a key of KMS, or its context, says to what another one has wrapped.
_ANOTHERS = frozenset({"IncorrectKeyException", "InvalidCiphertextException"})


class _Kms:
    """Wraps the vault's key. The context keeps a lease of one stack from opening in another."""

    async def wrap(self, key: bytes) -> bytes:
        return await kms.encrypt(settings().vault_key_id, key, _context())

    async def unwrap(self, wrapped: bytes) -> bytes | None:
        try:
            return await kms.decrypt(settings().vault_key_id, wrapped, _context())
        except kms.KmsRefused as refused:
            if refused.code in _ANOTHERS:
                return None
            raise


@own
def vault() -> Vault:
    return Vault(store, _Kms(), SystemClock(), audited)


@own
def glance() -> Glance:
    return Glance(store, SystemClock())


def _context() -> dict[str, str]:
    return {"purpose": "quintet-vault-v1", "table": settings().table("vault")}
