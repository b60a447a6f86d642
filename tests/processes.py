"""Processes that a test watches: whether they live, and waiting for what they bring about."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
PATIENCE = 30.0


def eventually(look: Callable[[], T | None], seconds: float = PATIENCE) -> T:
    """What `look` finds once it finds something. A file that is not there yet is nothing found."""
    until = time.monotonic() + seconds
    while True:
        with suppress(OSError):
            found = look()
            if found:
                return found
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    """A zombie, which only waits for its parent to ask how it ended, is not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"
