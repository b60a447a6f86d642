"""Passwords: argon2id, slow on purpose, and as slow for a user who is not there."""

import secrets
from base64 import b64encode
from functools import cached_property
from typing import TYPE_CHECKING

from quintet.errors import Failure, Kind

if TYPE_CHECKING:
    from argon2 import PasswordHasher

SHORTEST, LONGEST = 8, 256


class Passwords:
    """The costs that OWASP recommends for argon2id: a function has a third of a CPU, and many logins one laptop."""

    def __init__(self, memory_kib: int = 19_456, passes: int = 2) -> None:
        self._memory_kib = memory_kib
        self._passes = passes

    def hash(self, password: str) -> str:
        return self._hasher.hash(password)

    def match(self, hashed: str | None, password: str) -> bool:
        """Without a hash nothing matches, after the same time."""
        from argon2.exceptions import InvalidHashError, VerificationError

        try:
            return self._hasher.verify(hashed or self._nobodys, password) and hashed is not None
        except (VerificationError, InvalidHashError):
            return False

    @cached_property
    def _hasher(self) -> "PasswordHasher":
        from argon2 import PasswordHasher

        return PasswordHasher(time_cost=self._passes, memory_cost=self._memory_kib, parallelism=1)

    @cached_property
    def _nobodys(self) -> str:
        """No password has this hash but by a chance of 2**-256; checking one against it costs what any check does."""
        salt, hashed = (b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (16, 32))
        return f"$argon2id$v=19$m={self._memory_kib},t={self._passes},p=1${salt}${hashed}"


def acceptable(password: str) -> str:
    if not SHORTEST <= len(password) <= LONGEST:
        raise Failure(
            Kind.INVALID,
            f"password: must have {SHORTEST} to {LONGEST} characters",
            details={"field": "password", "issue": f"Must have {SHORTEST} to {LONGEST} characters"},
        )
    return password


def generated() -> str:
    return secrets.token_urlsafe(18)
