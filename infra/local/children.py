"""Child processes that never outlive us: the end of their standard input, which our death brings too, ends them."""

import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, TextIO

ROOT = Path(__file__).resolve().parents[2]
# All that a child needs of our environment: what else stands there may be a secret, and functions would inherit it.
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "SYSTEMROOT")


class ChildFailed(Exception):  # noqa: N818 - an outcome
    """It ended, or said nothing in time."""


class Child:
    """`python -m module`, told what to do in a line of JSON, answering with lines of JSON."""

    def __init__(
        self,
        module: str,
        told: Mapping[str, Any],
        *,
        environment: Mapping[str, str],
        log: int | IO[Any] | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.module = module
        self._unread = b""
        self._process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=ROOT,
            env=dict(environment),
            pass_fds=pass_fds,
            start_new_session=True,  # Ctrl-C is ours to hear: we end our children in order
        )
        self.tell(told)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def tell(self, what: Mapping[str, Any]) -> None:
        """A child that has failed is not told: `reply` says so."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(what).encode() + b"\n")
            self._process.stdin.flush()

    def reply(self, seconds: float) -> dict[str, Any]:
        """Raises ChildFailed when it ends, or is silent for so long."""
        assert self._process.stdout is not None
        until = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._unread:
                if not selector.select(until - time.monotonic()):
                    raise ChildFailed(f"{self.module} was not ready within {seconds:.0f} s")
                piece = os.read(self._process.stdout.fileno(), 65536)
                if not piece:
                    raise ChildFailed(f"{self.module} ended with status {self._process.wait()}")
                self._unread += piece
        line, _, self._unread = self._unread.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def dismiss(self) -> None:
        """Asks it to end, and does not wait."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()

    def stop(self, seconds: float = 5.0) -> None:
        """Returns when it and whatever it started are gone."""
        self.dismiss()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def bare_environment() -> dict[str, str]:
    """Ours without anything private; AWS clients find no files of the user's either."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return kept | {
        "PYTHONPATH": os.pathsep.join([str(ROOT / "layers/core"), str(ROOT)]),
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def private_stdout() -> TextIO:
    """In a child: the way to answer. Whatever else prints goes to the log instead."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return replies


def at_end_of_input(stop: Callable[[], object]) -> None:
    """In a child: calls `stop`, in a thread, when our parent dismisses us or is gone."""

    def wait() -> None:
        with suppress(OSError, ValueError):
            sys.stdin.read()
        stop()

    threading.Thread(target=wait, daemon=True, name="end-of-input").start()
