"""The shapes of this room's items, and how one becomes the next."""

from quintet.store.shapes import Shape

USER = Shape("user", in_place=frozenset({"rev", "last_login"}))
SESSION = Shape("session", in_place=frozenset({"user_id", "token_id", "used_at", "ended_at"}))
SECRET = Shape("key's secret", in_place=frozenset({"valid_until", "revoked_at", "rev"}))
KEY = Shape("key", in_place=frozenset({"current", "previous"}))
