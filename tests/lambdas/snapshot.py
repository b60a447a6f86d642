"""A function with hooks around its snapshot."""

from typing import Any

from snapshot_restore_py import register_after_restore, register_before_snapshot

from quintet.settings import settings

told: list[str] = []


def fail() -> None:
    raise LookupError("no way back")


register_before_snapshot(told.append, "before, registered first")
register_before_snapshot(told.append, "before, registered last")
register_after_restore(told.append, "after, registered first")
register_after_restore(told.append, "after, registered last")
if settings().stage == "unrestorable":
    register_after_restore(fail)


def handler(_event: Any, _context: Any) -> list[str]:
    return told
