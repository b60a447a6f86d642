"""How secrets are sealed, pure: a password makes a key (Argon2id), the key seals each secret (AES-256-GCM)."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from quintet.errors import invalid

LEASE = timedelta(minutes=30)
SHORTEST, LONGEST = 8, 256
_RENEWED_BELOW = timedelta(minutes=25)  # a use renews the lease, but not every use writes
_NONCE = 12
_PROOF = "verifier"


@dataclass(frozen=True, slots=True)
class Costs:
    """Of Argon2id."""

    passes: int = 3
    memory_kib: int = 65_536
    lanes: int = 4


@dataclass(frozen=True, slots=True)
class Head:
    """What the password is checked against. `rev` grows with every rotation: what was sealed before is void then.

    `edits` grows with every secret that comes or goes.
    """

    salt: bytes
    costs: Costs
    proof: bytes = field(repr=False)
    rev: int = 1
    edits: int = 0


@dataclass(frozen=True, slots=True)
class Lease:
    """The key, wrapped by KMS, for every instance to use until it expires. `rev` is its head's."""

    wrapped: bytes = field(repr=False)
    expires_at: datetime
    rev: int

    def stands(self, now: datetime) -> bool:
        return now < self.expires_at

    def wants_renewal(self, now: datetime) -> bool:
        return self.expires_at - now < _RENEWED_BELOW


@dataclass(frozen=True, slots=True)
class Contents:
    """All that the vault holds, sealed."""

    head: Head | None = None
    lease: Lease | None = None
    sealed: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    def standing(self, now: datetime) -> Lease | None:
        """The lease, while the vault is open."""
        lease, head = self.lease, self.head
        return lease if lease and head and lease.rev == head.rev and lease.stands(now) else None


@dataclass(frozen=True, slots=True)
class Status:
    initialized: bool
    unlocked: bool
    expires_at: datetime | None
    providers: tuple[str, ...]


def new_head(password: str, costs: Costs, rev: int = 1) -> tuple[Head, bytes]:
    """With the key. Raises Failure for a password that is too short."""
    if not SHORTEST <= len(password) <= LONGEST:
        issue = f"Must have {SHORTEST} to {LONGEST} characters"
        raise invalid("admin_password", issue)
    salt = secrets.token_bytes(16)
    key = derived(password, salt, costs)
    return Head(salt, costs, seal(key, secrets.token_bytes(16), _PROOF), rev), key


def derived(password: str, salt: bytes, costs: Costs) -> bytes:
    from argon2.low_level import Type, hash_secret_raw

    return hash_secret_raw(password.encode(), salt, costs.passes, costs.memory_kib, costs.lanes, 32, Type.ID)


def opened(head: Head, password: str) -> bytes | None:
    """The key; None for a wrong password."""
    if len(password) > LONGEST:
        return None
    key = derived(password, head.salt, head.costs)
    return key if unseal(key, head.proof, _PROOF) is not None else None


def seal(key: bytes, secret: bytes, name: str) -> bytes:
    """Under a nonce of its own, and bound to a name: a sealed secret that was moved elsewhere does not open."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = secrets.token_bytes(_NONCE)
    return nonce + AESGCM(key).encrypt(nonce, secret, _bound(name))


def unseal(key: bytes, sealed: bytes, name: str) -> bytes | None:
    """None for another key, another name, or what was tampered with."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        return AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], _bound(name))
    except InvalidTag:
        return None


def _bound(name: str) -> bytes:
    return f"quintet-vault-v1:{name}".encode()
