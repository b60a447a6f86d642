"""A function as Lambda runs it: a process with AWS's or our runtime in it, and the Runtime API on the other side."""

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

ROOT = Path(__file__).parent.parent
PATIENCE = 60.0


class Ended(Exception):  # noqa: N818 - what a stream does
    """There is no further piece."""


@dataclass
class Invocation:
    """One event on its way through the function. What comes back is read piece by piece."""

    event: bytes
    deadline_ms: int
    extra: Mapping[str, str]
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    headers: dict[str, str] = field(default_factory=dict)
    trailers: dict[str, str] = field(default_factory=dict)
    error: dict[str, Any] | None = None  # posted instead of an answer
    cut: bool = False  # the function hung up in the middle of its answer
    sent_at: float = 0.0
    answered_at: float = 0.0
    _pieces: "queue.Queue[bytes | None]" = field(default_factory=queue.Queue)
    _connection: Any = None

    def piece(self) -> bytes:
        """The next chunk, as soon as it has arrived."""
        piece = self._pieces.get(timeout=PATIENCE)
        if piece is None:
            self._pieces.put(None)
            raise Ended
        return piece

    def body(self) -> bytes:
        """All the rest."""
        body = b""
        try:
            while True:
                body += self.piece()
        except Ended:
            return body

    def json(self) -> Any:
        return json.loads(self.body())

    def prelude(self) -> Any:
        text, separator, rest = self.piece().partition(b"\0" * 8)
        assert separator
        assert not rest
        return json.loads(text)

    def trailing_error(self) -> Any:
        return json.loads(b64decode(self.trailers["lambda-runtime-function-error-body"]))

    def hang_up(self) -> None:
        """As when the caller has gone."""
        self._connection.shutdown(2)

    def refuse(self, status: int) -> None:
        """Answers before the function has said all."""
        self._connection.sendall(b"HTTP/1.1 %d Refused\r\nContent-Length: 0\r\n\r\n" % status)


class Service:
    """The Runtime API of one sandbox."""

    def __init__(self) -> None:
        self.ready = threading.Event()  # the first /next, or an error while starting
        self.ready_at = 0.0
        self.restoring = threading.Event()
        self.restored = threading.Event()
        self.init_error: dict[str, Any] | None = None
        self.restore_error: dict[str, Any] | None = None
        self._waiting: queue.Queue[Invocation | None] = queue.Queue()
        self._running: dict[str, Invocation] = {}
        service = self

        class Handler(_Handler):
            service_ = service

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        self.address = f"127.0.0.1:{self._server.server_port}"

    def invoke(self, invocation: Invocation) -> None:
        self._running[invocation.id] = invocation
        self._waiting.put(invocation)

    def next(self) -> Invocation | None:
        return self._waiting.get()

    def running(self, request_id: str) -> Invocation:
        return self._running[request_id]

    def close(self) -> None:
        self._waiting.put(None)
        self.restored.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # the process was ended while it waited
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    service_: Service
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        if self.path.endswith("/restore/next"):
            self.service_.restoring.set()
            self.service_.restored.wait()
            self._answer(200, b"")
            return
        if not self.service_.ready.is_set():
            self.service_.ready_at = time.perf_counter()
            self.service_.ready.set()
        invocation = self.service_.next()
        if invocation is None:
            self.close_connection = True
            return
        headers = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": invocation.id,
            "Lambda-Runtime-Deadline-Ms": str(invocation.deadline_ms),
            "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:000000000000:function:f",
            **invocation.extra,
        }
        invocation.sent_at = time.perf_counter()
        self._answer(200, invocation.event, headers)

    def do_POST(self) -> None:
        *_, subject, verb = self.path.split("/")
        if (subject, verb) == ("init", "error"):
            self.service_.init_error = json.loads(self._body())
            self._answer(202, b"{}")
            self.service_.ready.set()
        elif (subject, verb) == ("restore", "error"):
            self.service_.restore_error = json.loads(self._body())
            self._answer(202, b"{}")
        else:
            invocation = self.service_.running(subject)
            invocation.headers = {name.lower(): value for name, value in self.headers.items()}
            if verb == "error":
                invocation.error = json.loads(self._body())
            elif invocation.headers.get("transfer-encoding") == "chunked":
                self._chunks(invocation)
            else:
                invocation._pieces.put(self._body())
            invocation.answered_at = time.perf_counter()
            if not invocation.cut:
                self._answer(202, b"{}")
            invocation._pieces.put(None)

    def _chunks(self, invocation: Invocation) -> None:
        invocation._connection = self.connection
        try:
            while size := int(self.rfile.readline(), 16):
                invocation._pieces.put(self.rfile.read(size))
                assert self.rfile.readline() == b"\r\n"
        except (ValueError, OSError):
            invocation.cut = True
            self.close_connection = True
            return
        while line := self.rfile.readline().strip():
            name, _, value = line.decode().partition(":")
            invocation.trailers[name.lower()] = value.strip()

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """In one write: two would wait for each other's acknowledgement."""
        lines = [f"HTTP/1.1 {status} OK", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self.wfile.write("\r\n".join([*lines, "", ""]).encode() + body)


class Sandbox:
    """A process with a function in it. Leaving the block ends both.

    The first folder of `path` is the task's. `command` starts the runtime in another way than from the working tree.
    """

    def __init__(
        self,
        handler: str,
        *,
        runtime: Literal["aws", "ours"],
        path: Sequence[Path] = (ROOT / "functions", ROOT / "layers/core", ROOT),
        environment: Mapping[str, str] | None = None,
        python: str = sys.executable,
        command: Sequence[str] | None = None,
    ) -> None:
        self.service = Service()
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the block is left
        commands = {
            "aws": [python, "-m", "awslambdaric", handler],
            "ours": [str(ROOT / "layers/core/stream"), python, "/var/runtime/bootstrap.py"],
        }
        self.started_at = time.perf_counter()
        self.process = subprocess.Popen(
            command or commands[runtime],
            cwd=ROOT,
            env=self._environment(handler, path, environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self.process.kill()
        self.process.wait()
        self.service.close()
        self._output.close()

    def wait_until_ready(self) -> Self:
        assert self.service.ready.wait(PATIENCE), self.log()
        return self

    def invoke(self, event: Any, *, seconds: float = 30.0, headers: Mapping[str, str] | None = None) -> Invocation:
        """`headers` are more of what the Runtime API tells with the event."""
        deadline_ms = int((time.time() + seconds) * 1000)
        invocation = Invocation(json.dumps(event).encode(), deadline_ms, headers or {})
        self.service.invoke(invocation)
        return invocation

    def cpu_seconds(self) -> float:
        """What the process has used, to the nanosecond: the clock that Linux keeps for each process."""
        return time.clock_gettime((~self.process.pid << 3) | 2)

    def peak_memory(self) -> int:
        """Bytes resident at the most so far (Linux)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM"))

    def log(self) -> str:
        """What the process has written so far."""
        self._output.seek(0)
        return self._output.read().decode()

    def _environment(self, handler: str, path: Sequence[Path], more: Mapping[str, str]) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "PYTHONPATH": os.pathsep.join(map(str, path)),
            "AWS_LAMBDA_RUNTIME_API": self.service.address,
            "AWS_LAMBDA_FUNCTION_NAME": "f",
            "AWS_LAMBDA_FUNCTION_VERSION": "1",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/f",
            "AWS_LAMBDA_LOG_STREAM_NAME": "1",
            "AWS_REGION": "us-east-1",
            "LAMBDA_TASK_ROOT": str(path[0]),
            "_HANDLER": handler,
            **more,
        }
