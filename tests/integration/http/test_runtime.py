"""Our Lambda runtime as a real process, against the Runtime API."""

import json
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Literal

import pytest

from tests.gateway import event
from tests.sandbox import Ended, Invocation, Sandbox


class Upstream:
    """Speaks when the test says so."""

    def __init__(self) -> None:
        self.gone = threading.Event()  # the function has hung up
        self._asked: queue.Queue[socket.socket] = queue.Queue()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connection: socket.socket | None = None
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/"

    def say(self, text: str) -> None:
        self._write(b"%x\r\n%b\r\n" % (len(text), text.encode()))

    def end(self) -> None:
        self._write(b"0\r\n\r\n")

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        if self._connection is not None and not self.gone.is_set():
            self._connection.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    def _listen(self) -> None:
        with suppress(OSError), self._listener.accept()[0] as connection:
            connection.recv(1 << 16)
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            self._asked.put(connection)
            while connection.recv(1 << 16):
                pass
        self.gone.set()

    def _write(self, data: bytes) -> None:
        self._connection = self._connection or self._asked.get(timeout=60)
        self._connection.sendall(data)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    upstream = Upstream()
    yield upstream
    upstream.close()


@pytest.fixture(scope="module")
def streams() -> Iterator[Sandbox]:
    with Sandbox("tests.lambdas.streams.handler", runtime="ours") as sandbox:
        yield sandbox.wait_until_ready()


@pytest.fixture(scope="module")
def bare() -> Iterator[Sandbox]:
    with Sandbox("tests.lambdas.bare.handler", runtime="ours") as sandbox:
        yield sandbox.wait_until_ready()


def test_streams_each_event_as_the_upstream_says_it(streams: Sandbox, upstream: Upstream) -> None:
    invocation = streams.invoke(event("GET", f"/api/v1/stream?upstream={upstream.url}"))
    prelude = invocation.prelude()
    assert prelude["statusCode"] == 200
    assert prelude["headers"]["content-type"] == "text/event-stream; charset=utf-8"
    assert prelude["headers"]["x-request-id"].startswith("req_")
    assert invocation.headers["content-type"] == "application/vnd.awslambda.http-integration-response"
    assert invocation.headers["lambda-runtime-function-response-mode"] == "streaming"
    for word in ("one", "two", "three"):
        upstream.say(word)
        assert invocation.piece() == f"data: {word}\n\n".encode()
    upstream.end()
    assert invocation.body() == b"data: [DONE]\n\n"
    assert not invocation.trailers
    assert not invocation.cut


def test_a_failure_after_the_first_byte_is_an_event_and_then_a_whole_end(streams: Sandbox, upstream: Upstream) -> None:
    invocation = streams.invoke(event("GET", f"/api/v1/stream?upstream={upstream.url}"))
    invocation.prelude()
    upstream.say("refuse")
    assert invocation.body() == b"event: error\ndata: the upstream refused\n\n"
    assert not invocation.trailers


def test_hangs_up_on_the_upstream_when_the_caller_is_gone(streams: Sandbox, upstream: Upstream) -> None:
    invocation = streams.invoke(event("GET", f"/api/v1/stream?upstream={upstream.url}"))
    invocation.prelude()
    upstream.say("one")
    assert invocation.piece() == b"data: one\n\n"
    invocation.hang_up()
    assert upstream.gone.wait(60)
    after = streams.invoke(event("GET", "/api/v1/records"))
    after.prelude()
    assert after.json()[-1] == "/api/v1/stream 200 cut short"


def test_ends_a_stream_shortly_before_the_deadline(streams: Sandbox, upstream: Upstream) -> None:
    invocation = streams.invoke(event("GET", f"/api/v1/stream?upstream={upstream.url}"), seconds=4.0)
    invocation.prelude()
    assert invocation.body() == b"event: error\ndata: The answer took too long to finish\n\n"
    assert not invocation.trailers
    assert upstream.gone.wait(60)


def test_reads_the_request_as_the_buffered_way_does(streams: Sandbox) -> None:
    request = event("POST", "/api/v1/echo?name=a%20b", body='{"prompt":"é"}')
    ours = streams.invoke(request)
    assert ours.prelude()["statusCode"] == 200
    with Sandbox("tests.lambdas.streams.handler", runtime="aws") as sandbox:
        theirs = sandbox.wait_until_ready().invoke(request).json()
    assert json.loads(theirs["body"]) == ours.json() == {"body": '{"prompt":"é"}', "name": "a b"}


def test_serves_many_invocations_from_one_process(streams: Sandbox) -> None:
    """The list of records lives in the process: it grows."""
    counts = []
    for _ in range(3):
        invocation = streams.invoke(event("GET", "/api/v1/records"))
        invocation.prelude()
        counts.append(len(invocation.json()))
    assert counts == [counts[0], counts[0] + 1, counts[0] + 2]


def test_repeated_headers_and_cookies_survive(bare: Sandbox) -> None:
    assert bare.invoke(event("GET", "/many-headers")).prelude() == {
        "statusCode": 201,
        "headers": {"content-type": "text/plain"},
        "multiValueHeaders": {"vary": ["a", "b"]},
        "cookies": ["c=1; Path=/", "d=2"],
    }


def test_a_large_answer_arrives_whole(bare: Sandbox) -> None:
    invocation = bare.invoke(event("GET", "/large"))
    invocation.prelude()
    assert len(invocation.body()) == 64 << 20


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/fails", "LookupError"), ("/silent", "Runtime.NoEndOfAnswer"), ("/large-headers", "ValueError")],
)
def test_a_failure_before_the_first_byte_is_an_error_of_the_invocation(bare: Sandbox, path: str, kind: str) -> None:
    invocation = bare.invoke(event("GET", path))
    with pytest.raises(Ended):
        invocation.piece()
    assert invocation.error is not None
    assert invocation.error["errorType"] == invocation.headers["lambda-runtime-function-error-type"] == kind
    assert "s3cret" not in json.dumps(invocation.error)


@pytest.mark.parametrize(
    ("path", "kind"), [("/fails-midway", "LookupError"), ("/stops-midway", "Runtime.NoEndOfAnswer")]
)
def test_a_failure_after_the_first_byte_is_told_in_the_trailer(bare: Sandbox, path: str, kind: str) -> None:
    invocation = bare.invoke(event("GET", path))
    invocation.prelude()
    assert invocation.body() == b"half"
    assert invocation.trailers["lambda-runtime-function-error-type"] == kind
    assert invocation.trailing_error()["errorType"] == kind
    assert "s3cret" not in json.dumps(invocation.trailing_error())
    assert invocation.headers["trailer"] == "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body"


@pytest.mark.parametrize("leave", [Invocation.hang_up, lambda invocation: invocation.refuse(413)])
def test_an_app_learns_that_its_caller_is_gone(bare: Sandbox, leave: Callable[[Invocation], None]) -> None:
    invocation = bare.invoke(event("GET", "/until-gone"))
    invocation.prelude()
    assert invocation.piece() == b"there"
    leave(invocation)
    after = bare.invoke(event("GET", "/how-it-ended"))
    after.prelude()
    assert after.body().endswith(b"http.disconnect")


def test_events_that_are_no_requests_are_answered_whole(bare: Sandbox) -> None:
    told = bare.invoke(
        {"detail-type": "Scheduled Event"}, headers={"Lambda-Runtime-Client-Context": '{"custom":{"a":"b"}}'}
    )
    answer = told.json()
    assert (answer["echo"], answer["request_id"]) == ({"detail-type": "Scheduled Event"}, told.id)
    assert answer["client"] == {"custom": {"a": "b"}}
    assert 0 < answer["left"] <= 30_000
    assert "lambda-runtime-function-response-mode" not in told.headers


def test_a_failed_event_has_the_type_that_a_state_machine_catches(bare: Sandbox) -> None:
    invocation = bare.invoke({"fail": "no such task"})
    assert invocation.body() == b""
    assert invocation.error == {"errorType": "LookupError", "errorMessage": "no such task", "stackTrace": []}


def test_the_trace_of_an_invocation_is_in_the_environment_and_does_not_stay(bare: Sandbox) -> None:
    for trace, expected in (("Root=1-5bef4de7;Sampled=1", b"Root=1-5bef4de7;Sampled=1"), (None, b"-")):
        headers = {"Lambda-Runtime-Trace-Id": trace} if trace else {}
        invocation = bare.invoke(event("GET", "/trace"), headers=headers)
        invocation.prelude()
        assert invocation.body() == expected


@pytest.mark.parametrize(
    ("handler", "kind"),
    [
        ("tests.lambdas.broken.handler", "Runtime.ValueError"),
        ("tests.lambdas.nowhere.handler", "Runtime.ModuleNotFoundError"),
        ("tests.lambdas.bare.nothing", "Runtime.AttributeError"),
    ],
)
def test_a_function_that_cannot_start_says_so_and_ends(handler: str, kind: str) -> None:
    with Sandbox(handler, runtime="ours") as sandbox:
        sandbox.wait_until_ready()
        assert sandbox.process.wait(60) == 1
        assert sandbox.service.init_error is not None
        assert sandbox.service.init_error["errorType"] == kind
        assert "the function cannot start" in sandbox.log()


@pytest.mark.parametrize("runtime", ["aws", "ours"])
def test_hooks_run_around_a_snapshot_as_in_awss_runtime(runtime: Literal["aws", "ours"]) -> None:
    snap_start = {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}
    with Sandbox("tests.lambdas.snapshot.handler", runtime=runtime, environment=snap_start) as sandbox:
        assert sandbox.service.restoring.wait(60), sandbox.log()
        assert not sandbox.service.ready.is_set()
        sandbox.service.restored.set()
        assert sandbox.wait_until_ready().invoke({}).json() == [
            "before, registered last",
            "before, registered first",
            "after, registered first",
            "after, registered last",
        ]


@pytest.mark.parametrize("runtime", ["aws", "ours"])
def test_a_hook_that_fails_after_a_restore_is_reported(runtime: Literal["aws", "ours"]) -> None:
    environment = {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start", "STAGE": "unrestorable"}
    with Sandbox("tests.lambdas.snapshot.handler", runtime=runtime, environment=environment) as sandbox:
        sandbox.service.restored.set()
        assert sandbox.process.wait(60) != 0
        assert sandbox.service.restore_error is not None
        assert "no way back" in sandbox.service.restore_error["errorMessage"]


@pytest.fixture(scope="module")
def leaving() -> Iterator[Sandbox]:
    with Sandbox("tests.lambdas.afterwards.handler", runtime="ours") as sandbox:
        yield sandbox.wait_until_ready()


def test_work_that_is_left_is_done_after_the_answer_and_before_the_next_event(leaving: Sandbox) -> None:
    left = leaving.invoke({"leave": ["first", "broken", "second"], "seconds": 0.5})
    assert left.json() == "answered"
    assert left.answered_at - left.sent_at < 0.5
    after = leaving.invoke({"ask": True})
    assert after.json() == ["first", "second"]
    assert after.answered_at - left.answered_at > 1.4


def test_an_event_that_failed_leaves_nothing(leaving: Sandbox) -> None:
    failed = leaving.invoke({"leave": ["never"], "seconds": 0, "fail": True})
    assert failed.body() == b""
    assert failed.error is not None
    assert "never" not in leaving.invoke({"ask": True}).json()


def test_under_awss_own_runtime_work_is_done_before_the_answer() -> None:
    with Sandbox("tests.lambdas.afterwards.handler", runtime="aws") as sandbox:
        sandbox.wait_until_ready()
        assert sandbox.invoke({"leave": ["first"], "seconds": 0}).json() == "answered"
        assert sandbox.invoke({"ask": True}).json() == ["first"]
