"""Lambda's Runtime API, the calls that wait: nothing else runs meanwhile, and a process is frozen in one of them."""

import json
import logging
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from quintet.net import http1

ROOT = "/2018-06-01/runtime"

log = logging.getLogger("quintet.runtime")


@dataclass(frozen=True, slots=True)
class Invocation:
    request_id: str
    deadline_ms: int  # Unix time
    function_arn: str
    trace_id: str
    client_context: str
    tenant_id: str | None
    body: bytes


class RuntimeApi:
    def __init__(self, address: str) -> None:
        self.address = address
        host, _, port = address.rpartition(":")
        self._peer = (host, int(port))
        self._kept: socket.socket | None = None

    def connect(self) -> socket.socket:
        """The other side is on this machine: there is nothing to wait for."""
        connection = socket.create_connection(self._peer)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def next(self) -> Invocation:
        answer = self._call("GET", "/invocation/next")
        told = answer.headers
        return Invocation(
            request_id=told["lambda-runtime-aws-request-id"],
            deadline_ms=int(told["lambda-runtime-deadline-ms"]),
            function_arn=told.get("lambda-runtime-invoked-function-arn", ""),
            trace_id=told.get("lambda-runtime-trace-id", ""),
            client_context=told.get("lambda-runtime-client-context", ""),
            tenant_id=told.get("lambda-runtime-aws-tenant-id"),
            body=answer.take(),
        )

    def answer(self, request_id: str, body: bytes) -> None:
        self._post(f"/invocation/{request_id}/response", body)

    def fail(self, request_id: str, kind: str, message: str) -> None:
        """Only as long as no answer has begun."""
        self._post(f"/invocation/{request_id}/error", fault(kind, message), kind)

    def fail_to_start(self, kind: str, message: str) -> None:
        self._post("/init/error", fault(kind, message), kind)

    def wait_for_restore(self) -> None:
        """Returns in a copy of this process that was made from its snapshot."""
        self._call("GET", "/restore/next")

    def fail_to_restore(self, kind: str, message: str) -> None:
        self._post("/restore/error", fault(kind, message), kind)

    def _post(self, path: str, body: bytes, error_type: str = "") -> None:
        headers = {"content-type": "application/json"}
        if error_type:
            headers["lambda-runtime-function-error-type"] = error_type
        answer = self._call("POST", path, headers, body)
        if answer.status >= 300:
            log.error("Lambda refused what it was told", extra={"call": path, "status": answer.status})

    def _call(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> http1.Reader:
        request = http1.request(method, ROOT + path, self.address, headers or {}, body)
        while True:
            fresh = self._kept is None
            connection = self._kept = self._kept or self.connect()
            reader = http1.Reader(method)
            try:
                connection.sendall(request)
                while not reader.done:
                    if data := connection.recv(1 << 16):
                        reader.feed(data)
                    else:
                        reader.end()
            except (OSError, http1.Malformed):
                self._hang_up()
                if fresh or reader.started:
                    raise
                continue  # a kept connection may have gone stale while the process was frozen
            if not reader.keep:
                self._hang_up()
            return reader

    def _hang_up(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None


def fault(kind: str, message: str) -> bytes:
    """An error as Lambda shows it to whoever invoked the function."""
    return json.dumps({"errorType": kind, "errorMessage": message, "stackTrace": []}).encode()
