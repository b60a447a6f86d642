"""The front over a real socket: streams as they are made, hang-ups noticed, WebSockets as API Gateway has them."""

from quintet.http.app import create_app
from quintet.telemetry.lambdas import consume

import asyncio
import http.client
import json
import socket
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, nullcontext
from datetime import timedelta
from queue import Queue
from typing import Any

import pytest
import requests
from fastapi import APIRouter
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from infra.local.front import Front, Routes, server
from infra.local.sockets import MAX_MESSAGE, Handler, Sockets
from infra.local.system import listen
from infra.local.template import Route
from quintet.http.exchange import Exchange
from quintet.http.sse import EventStream, frame
from quintet.net import client

KEY = "the-functions-key"
PATIENCE = 60.0


@contextmanager
def serving(app: Any = None, sockets: Sockets | None = None) -> Iterator[str]:
    """The front on a free port, in a thread."""
    front = Front(Routes([(Route("ANY", "/{proxy+}"), app)] if app else []), sockets, KEY)
    ready = threading.Event()
    running = server(front, lambda state: ready.set() if state == "serving" else None)
    listening = listen(0)
    address = f"127.0.0.1:{listening[0].getsockname()[1]}"
    thread = threading.Thread(target=running.run, kwargs={"sockets": listening})
    thread.start()
    assert ready.wait(PATIENCE)
    try:
        yield address
    finally:
        running.should_exit = True
        thread.join()


class Feed:
    """An app whose streams carry one event for every `send`, and tell when they were hung up on."""

    def __init__(self) -> None:
        self.started: Queue[int] = Queue()
        self.closed = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queues: list[asyncio.Queue[str | None]] = []
        router = APIRouter()
        router.get("/stream")(self._stream)
        self.app = create_app("test", [router], gate=_nothing, recorder=_nothing)

    async def _stream(self) -> EventStream:
        self._loop = asyncio.get_running_loop()
        self._queues.append(asyncio.Queue())
        return EventStream(self._source(len(self._queues) - 1), on_error=lambda failure: frame(failure.message))

    async def _source(self, stream: int) -> AsyncGenerator[bytes, None]:
        self.started.put(stream)
        try:
            while (word := await self._queues[stream].get()) is not None:
                yield frame(word)
        finally:
            self.closed.set()

    def send(self, stream: int, word: str | None) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._queues[stream].put_nowait, word)


async def _nothing(_exchange: Exchange) -> None:
    pass


@contextmanager
def getting(address: str) -> Iterator[http.client.HTTPResponse]:
    """Leaving it hangs up."""
    with closing(http.client.HTTPConnection(address, timeout=PATIENCE)) as connection:
        connection.request("GET", "/stream")
        with connection.getresponse() as answer:
            yield answer


def test_every_event_arrives_before_the_next_one_is_made() -> None:
    feed = Feed()
    with serving(feed.app) as address, getting(address) as answer:
        stream = feed.started.get(timeout=PATIENCE)
        for word in ("one", "two", "three"):
            feed.send(stream, word)
            assert answer.readline() + answer.readline() == frame(word)
        feed.send(stream, None)
        assert answer.read() == b""


def test_hanging_up_ends_the_source() -> None:
    feed = Feed()
    with serving(feed.app) as address:
        with getting(address) as answer:
            feed.send(feed.started.get(timeout=PATIENCE), "one")
            answer.readline()
        assert feed.closed.wait(PATIENCE)


def test_a_hundred_streams_do_not_disturb_each_other() -> None:
    feed = Feed()
    with serving(feed.app) as address, ExitStack() as streams:
        answers = {}
        for _ in range(100):
            answer = streams.enter_context(getting(address))
            answers[feed.started.get(timeout=PATIENCE)] = answer
        for stream in reversed(answers):  # the one that came last is served first
            feed.send(stream, f"for {stream}")
        for stream, answer in answers.items():
            assert answer.readline() + answer.readline() == frame(f"for {stream}")
        for stream in answers:
            feed.send(stream, None)


def test_the_app_sees_what_lambda_would_show_it() -> None:
    seen: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.update(scope)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    with serving(app) as address, closing(http.client.HTTPConnection(address, timeout=PATIENCE)) as connection:
        connection.putrequest("GET", "/a%20b?x=1")
        connection.putheader("X-Twice", "1")
        connection.putheader("X-Twice", "2")
        connection.endheaders()
        assert connection.getresponse().status == 204
    assert (seen["path"], seen["query_string"], seen["client"][0]) == ("/a b", b"x=1", "127.0.0.1")
    assert dict(seen["headers"])[b"x-twice"] == b"1, 2"


def test_a_path_that_the_template_does_not_have_gets_api_gateways_answer() -> None:
    with serving() as address:
        answer = requests.get(f"http://{address}/nowhere", timeout=PATIENCE)
    assert (answer.status_code, answer.json()) == (403, {"message": "Missing Authentication Token"})


# ---- WebSockets


class Function:
    """A sockets function: records its events, and answers $connect with `answer`."""

    def __init__(self, answer: Any = None, on_message: Callable[[dict[str, Any]], None] | None = None) -> None:
        self.events: Queue[dict[str, Any]] = Queue()
        self._answer = {"statusCode": 200} if answer is None else answer
        self._on_message = on_message

    def __call__(self, event: dict[str, Any], context: Any) -> Any:
        assert context.get_remaining_time_in_millis() > 0
        self.events.put(event)
        if event["requestContext"]["eventType"] == "MESSAGE" and self._on_message:
            self._on_message(event)
        return self._answer

    def next(self) -> dict[str, Any]:
        return self.events.get(timeout=PATIENCE)


@contextmanager
def talking(function: Handler, **options: Any) -> Iterator[str]:
    with serving(sockets=Sockets(function, "SocketsFunction", **options)) as address:
        yield address


def post(address: str, connection: str, body: bytes = b"", method: str = "POST", key: str = KEY) -> requests.Response:
    url = f"http://{address}/{key}/@connections/{connection}"
    return requests.request(method, url, data=body, timeout=PATIENCE)


def id_of(event: dict[str, Any]) -> str:
    return str(event["requestContext"]["connectionId"])


@pytest.mark.parametrize(
    ("path", "protocol"),
    [("/ws/stream", "toron"), ("/stream", "cyborgmind"), ("/ws/elevenlabs", "elevenlabs"), ("/ws", "kyros")],
)
def test_the_path_says_the_protocol(path: str, protocol: str) -> None:
    function = Function()
    with talking(function) as address, connect(f"ws://{address}{path}?agent_id=7&protocol=other"):
        event = function.next()
        assert event["queryStringParameters"] == {"agent_id": "7", "protocol": protocol}


def test_connect_message_and_disconnect_are_told_as_api_gateway_tells_them() -> None:
    function = Function()
    with talking(function) as address:
        with connect(f"ws://{address}/ws", additional_headers={"X-API-Key": "k"}, user_agent_header="me") as client:
            client.send('{"type":"ping"}')
            client.send(b"\x00\xff")
        connected, text, binary, gone = (function.next() for _ in range(4))
    context = connected["requestContext"]
    assert (context["routeKey"], context["eventType"]) == ("$connect", "CONNECT")
    assert context["identity"] == {"sourceIp": "127.0.0.1", "userAgent": "me"}
    assert {"domainName", "stage", "requestId", "requestTimeEpoch", "connectedAt"} <= set(context)
    assert {name.lower(): value for name, value in connected["headers"].items()}["x-api-key"] == "k"
    assert (text["requestContext"]["routeKey"], text["body"]) == ("$default", '{"type":"ping"}')
    assert (binary["body"], binary["isBase64Encoded"], text["isBase64Encoded"]) == ("AP8=", True, False)
    assert (gone["requestContext"]["routeKey"], gone["requestContext"]["eventType"]) == ("$disconnect", "DISCONNECT")
    assert gone["requestContext"]["disconnectStatusCode"] == 1000
    assert {id_of(event) for event in (connected, text, binary, gone)} == {id_of(connected)}


@pytest.mark.parametrize("status", [401, 403, 429, 500])
def test_a_refused_connection_gets_the_functions_status_before_the_upgrade(status: int) -> None:
    function = Function({"statusCode": status})
    with talking(function) as address:
        with pytest.raises(InvalidStatus) as refused:
            connect(f"ws://{address}/ws")
        function.next()
    assert refused.value.response.status_code == status
    assert function.events.empty()  # never open, so never closed


def test_a_function_that_fails_on_connect_refuses() -> None:
    def fail(_event: dict[str, Any], _context: Any) -> None:
        raise RuntimeError("no")

    with talking(fail) as address, pytest.raises(InvalidStatus) as refused:
        connect(f"ws://{address}/ws")
    assert refused.value.response.status_code == 500


def test_an_unknown_path_is_not_upgraded() -> None:
    with talking(Function()) as address, pytest.raises(InvalidStatus) as refused:
        connect(f"ws://{address}/v1/tasks")
    assert refused.value.response.status_code == 404


def test_the_subprotocol_that_the_function_chose_is_echoed() -> None:
    function = Function({"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": "convai"}})
    with (
        talking(function) as address,
        connect(f"ws://{address}/ws/elevenlabs", subprotocols=[Subprotocol("convai")]) as client,
    ):
        assert client.subprotocol == "convai"


def test_messages_of_one_connection_are_handled_in_order() -> None:
    handled: list[str] = []
    first = threading.Event()

    def slow_at_first(event: dict[str, Any]) -> None:
        if event["body"] == "0":
            assert first.wait(PATIENCE)
        handled.append(event["body"])

    function = Function(on_message=slow_at_first)
    with talking(function) as address:
        with connect(f"ws://{address}/ws") as client:
            for number in range(20):
                client.send(str(number))
            function.next()
            function.next()
            first.set()
        while function.next()["requestContext"]["eventType"] != "DISCONNECT":
            pass
    assert handled == [str(number) for number in range(20)]


def test_one_connections_slow_message_does_not_hold_up_another_connection() -> None:
    held = threading.Event()

    def hold(event: dict[str, Any]) -> None:
        if event["body"] == "hold":
            assert held.wait(PATIENCE)

    function = Function(on_message=hold)
    with talking(function) as address, connect(f"ws://{address}/ws") as one, connect(f"ws://{address}/ws") as other:
        one.send("hold")
        other.send("pass")
        bodies = [function.next().get("body") for _ in range(4)]
        assert bodies[2:] == ["hold", "pass"] or bodies[2:] == ["pass", "hold"]
        held.set()


def test_coroutine_functions_answer_more_connections_at_once_than_there_are_threads() -> None:
    together = asyncio.Barrier(100)

    @consume
    async def meet(event: dict[str, Any]) -> dict[str, Any]:
        if event["requestContext"]["eventType"] == "MESSAGE":
            async with asyncio.timeout(PATIENCE):
                await together.wait()
            url = f"http://{where[0]}/{KEY}/@connections/{id_of(event)}"
            await client.send("POST", url, body=event["body"].encode())
        return {"statusCode": 200}

    where: list[str] = []
    with talking(meet) as address, ExitStack() as open_:
        where.append(address)
        clients = [open_.enter_context(connect(f"ws://{address}/ws")) for _ in range(100)]
        for number, each in enumerate(clients):
            each.send(str(number))
        assert [each.recv(timeout=PATIENCE) for each in clients] == [str(number) for number in range(100)]


def test_consumers_in_several_threads_do_not_share_a_loop() -> None:
    together = threading.Barrier(2)

    @consume
    async def meet(_event: dict[str, Any]) -> int:
        together.wait(PATIENCE)  # both loops are running now
        return id(asyncio.get_running_loop())

    with ThreadPoolExecutor(2) as threads:
        loops = set(threads.map(lambda event: meet(event, None), [{}, {}]))
    assert len(loops) == 2


def test_a_connection_ends_when_api_gateway_would_end_it() -> None:
    function = Function()
    with (
        talking(function, longest=timedelta(seconds=0.2)) as address,
        connect(f"ws://{address}/ws") as client_,
        pytest.raises(ConnectionClosed) as closed,
    ):
        client_.recv(timeout=PATIENCE)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001
    assert [function.next()["requestContext"]["eventType"] for _ in range(2)] == ["CONNECT", "DISCONNECT"]


def test_functions_answer_through_connections() -> None:
    function = Function()
    with talking(function) as address, connect(f"ws://{address}/ws") as client:
        connection = id_of(function.next())
        assert post(address, connection, b'{"token":"h\xc3\xa9"}').status_code == 200
        assert client.recv(timeout=PATIENCE) == '{"token":"hé"}'
        told = post(address, connection, method="GET").json()
        assert told["identity"]["sourceIp"] == "127.0.0.1"


def test_a_handler_may_answer_while_it_runs() -> None:
    where: list[str] = []

    def echo(event: dict[str, Any]) -> None:
        assert post(where[0], id_of(event), event["body"].encode()).status_code == 200

    with talking(Function(on_message=echo)) as address, connect(f"ws://{address}/ws") as client:
        where.append(address)
        client.send("hello")
        assert client.recv(timeout=PATIENCE) == "hello"


def test_a_connection_that_is_gone_is_gone() -> None:
    function = Function()
    with talking(function) as address:
        with connect(f"ws://{address}/ws"):
            connection = id_of(function.next())
        assert function.next()["requestContext"]["eventType"] == "DISCONNECT"
        answer = post(address, connection, b"late")
    assert (answer.status_code, answer.headers["x-amzn-errortype"]) == (410, "GoneException")


def test_deleting_a_connection_closes_it() -> None:
    function = Function()
    with talking(function) as address, connect(f"ws://{address}/ws") as client:
        connection = id_of(function.next())
        assert post(address, connection, method="DELETE").status_code == 204
        with pytest.raises(ConnectionClosed):
            client.recv(timeout=PATIENCE)
        assert function.next()["requestContext"]["eventType"] == "DISCONNECT"
        assert post(address, connection, b"late").status_code == 410


def test_messages_are_bounded_both_ways() -> None:
    function = Function()
    with talking(function) as address, connect(f"ws://{address}/ws", max_size=None) as client:
        connection = id_of(function.next())
        assert post(address, connection, b"x" * MAX_MESSAGE).status_code == 200
        assert len(client.recv(timeout=PATIENCE)) == MAX_MESSAGE
        assert post(address, connection, b"x" * (MAX_MESSAGE + 1)).status_code == 413
        client.send("x" * MAX_MESSAGE)
        assert len(function.next()["body"]) == MAX_MESSAGE
        client.send("x" * (MAX_MESSAGE + 1))
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(timeout=PATIENCE)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009
        assert function.next()["requestContext"]["eventType"] == "DISCONNECT"


def test_connections_are_reached_with_the_key_and_never_from_a_web_page() -> None:
    function = Function()
    with talking(function) as address, connect(f"ws://{address}/ws") as client:
        connection = id_of(function.next())
        assert post(address, connection, b"x", key="guess").status_code == 403
        url = f"http://{address}/{KEY}/@connections/{connection}"
        assert requests.post(url, data=b"x", headers={"Origin": "http://evil"}, timeout=PATIENCE).status_code == 403
        assert post(address, connection, b"right").status_code == 200
        assert client.recv(timeout=PATIENCE) == "right"


def test_a_client_that_vanishes_is_reported_after_what_it_said() -> None:
    function = Function()
    with talking(function) as address, connect(f"ws://{address}/ws") as client:
        client.send("last words")
        client.socket.shutdown(socket.SHUT_RDWR)
        kinds = [function.next()["requestContext"]["eventType"] for _ in range(3)]
    assert kinds == ["CONNECT", "MESSAGE", "DISCONNECT"]


def test_a_failing_message_is_told_to_the_client_and_the_socket_stays_open() -> None:
    def fail(_event: dict[str, Any]) -> None:
        raise RuntimeError("no")

    with talking(Function(on_message=fail)) as address, connect(f"ws://{address}/ws") as client:
        for _ in range(2):
            client.send("x")
            assert json.loads(client.recv(timeout=PATIENCE))["message"] == "Internal server error"


def test_a_handler_that_takes_too_long_does_not_hold_up_the_next_message() -> None:
    forever = threading.Event()

    def stuck(event: dict[str, Any]) -> None:
        if event["body"] == "stuck":
            forever.wait(PATIENCE)

    function = Function(on_message=stuck)
    with talking(function, timeout=0.2) as address, connect(f"ws://{address}/ws") as client:
        client.send("stuck")
        assert json.loads(client.recv(timeout=PATIENCE))["message"] == "Endpoint request timed out"
        client.send("next")
        assert [function.next().get("body") for _ in range(3)] == [None, "stuck", "next"]
        forever.set()


def test_stopping_the_front_tells_the_function_that_its_connections_are_gone() -> None:
    function = Function()
    with ExitStack() as client:
        with talking(function) as address:
            client.enter_context(connect(f"ws://{address}/ws"))
            function.next()
        assert function.next()["requestContext"]["eventType"] == "DISCONNECT"


@pytest.mark.parametrize("host", ["rebound.example", "127.0.0.1.rebound.example", "", "localhost.rebound.example:80"])
def test_refuses_a_name_that_is_not_its_own(host: str) -> None:
    with serving(Feed().app) as address:
        answer = requests.get(f"http://{address}/stream", headers={"Host": host}, timeout=PATIENCE)
    assert answer.status_code == 421
    assert "ALLOWED_HOSTS" in answer.json()["message"]


@pytest.mark.parametrize("host", ["localhost:8000", "LOCALHOST", "app.localhost:1", "[::1]:8000", "127.0.0.1"])
def test_answers_to_every_name_of_loopback(host: str) -> None:
    with serving(Feed().app) as address:
        answer = requests.get(f"http://{address}/elsewhere", headers={"Host": host}, timeout=PATIENCE)
    assert answer.status_code == 404


def test_refuses_a_websocket_under_a_strange_name() -> None:
    rebound = {"Host": "rebound.example"}
    with (
        serving(sockets=Sockets(lambda _event, _context: {"statusCode": 200}, "test")) as address,
        pytest.raises(InvalidStatus) as refused,
        connect(f"ws://{address}/ws", additional_headers=rebound),
    ):
        pass
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize(
    ("origin", "welcome"),
    [
        ("http://localhost:3000", True),
        ("http://127.0.0.1:8000", True),
        ("http://[::1]:8000", True),
        ("null", True),
        ("https://pages.example", False),
        ("https://localhost.pages.example", False),
    ],
)
def test_a_web_page_of_elsewhere_opens_no_websocket(origin: str, welcome: bool) -> None:
    sockets = Sockets(lambda _event, _context: {"statusCode": 200}, "test")
    with (
        serving(sockets=sockets) as address,
        nullcontext() if welcome else pytest.raises(InvalidStatus, match="403"),
        connect(f"ws://{address}/ws", additional_headers={"Origin": origin}),
    ):
        pass


@pytest.mark.parametrize(
    ("path", "status"),
    [("/internal/life/trigger", 403), ("/stream", 403), ("/api/status", 404), ("/v1/auth/oauth2/google/callback", 404)],
)
def test_a_web_page_of_elsewhere_asks_for_what_is_open_to_all_of_them(path: str, status: int) -> None:
    cross = {"Sec-Fetch-Site": "cross-site"}
    with serving(Feed().app) as address:
        assert requests.get(f"http://{address}{path}", headers=cross, timeout=PATIENCE).status_code == status
        known = {**cross, "Authorization": "Bearer cyborg-secret-v2"}
        assert requests.get(f"http://{address}{path}", headers=known, timeout=PATIENCE).status_code == 403
        near = {**cross, "Origin": "http://localhost:3000"}
        assert requests.get(f"http://{address}/internal", headers=near, timeout=PATIENCE).status_code == 404
