"""Processes that a test watches: whether they live, and waiting for what they bring about."""

import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
PATIENCE = 90.0  # it only bounds a failure: a busy machine is none


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
    return pid in _parents()


def family(pid: int) -> list[int]:
    """The process and all that it has started."""
    parents = _parents()
    found = [pid]
    for member in found:
        found += [child for child, parent in parents.items() if parent == member]
    return found


def _parents() -> dict[int, int]:
    """Every living process and its parent."""
    if Path("/proc/self/stat").exists():
        stats = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):  # it has just ended
                stats.append(path.read_text())
        fields = [(stat.split(" ", 1)[0], *stat.rpartition(")")[2].split()[:2]) for stat in stats]
    else:
        listing = subprocess.run(["ps", "-axo", "pid=,stat=,ppid="], check=True, capture_output=True, text=True)
        fields = [(pid, state, parent) for pid, state, parent in map(str.split, listing.stdout.splitlines())]
    return {int(pid): int(parent) for pid, state, parent in fields if not state.startswith("Z")}
