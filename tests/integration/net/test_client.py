"""The HTTP client over real sockets, against servers that behave and servers that do not."""

import asyncio
import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from quintet.net import client
from quintet.net.client import NetError, send, stream
from tests.loops import on_a_loop
from tests.servers import Peer, serving

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


async def answer_hello(peer: Peer) -> None:
    while await peer.request():
        await peer.answer(HELLO)


# ---- one call


@on_a_loop
async def test_sends_a_request_and_returns_the_answer() -> None:
    seen = []

    async def script(peer: Peer) -> None:
        seen.append(await peer.request())
        await peer.answer(b"HTTP/1.1 201 Created\r\nX-A: b\r\nContent-Length: 2\r\n\r\nhi")

    async with serving(script) as server:
        response = await send("POST", server.url + "v1?q=1#part", headers={"X-Key": "k"}, body=b"body")
    assert (response.status, response.body, response.headers["x-a"]) == (201, b"hi", "b")
    head, body = seen[0].split(b"\r\n\r\n")
    assert head.split(b"\r\n")[:3] == [b"POST /v1?q=1 HTTP/1.1", b"host: 127.0.0.1:%d" % server.port, b"x-key: k"]
    assert body == b"body"


@on_a_loop
async def test_reads_an_answer_that_arrives_byte_by_byte() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        wire = CHUNKED + b"5\r\nhello\r\n0\r\n\r\n"
        await peer.answer(*(wire[place : place + 1] for place in range(len(wire))))

    async with serving(script) as server:
        assert (await send("GET", server.url)).body == b"hello"


@on_a_loop
async def test_sends_and_receives_more_than_the_sockets_hold() -> None:
    async def script(peer: Peer) -> None:
        received = await peer.request()
        body = received.partition(b"\r\n\r\n")[2]
        await peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body), body)

    body = bytes(range(256)) * (32 << 10)
    async with serving(script) as server:
        assert (await send("POST", server.url, body=body)).body == body


@on_a_loop
async def test_follows_no_redirect_and_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")

    async with serving(script) as server:
        assert (await send("GET", server.url)).status == 302
        assert len(server.peers) == 1


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example/",
        "example/path",
        "http://",
        "http://user:pass@example/",
        "http://example/a b",
        "http://example/\r\nx: y",
        "http://exämple/",
        "http://example:port/",
        "",
    ],
)
@on_a_loop
async def test_refuses_a_url_that_is_none(url: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        await send("GET", url)
    assert "pass" not in str(refused.value)


# ---- failures


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "before the answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", "in the middle"),
        (CHUNKED + b"5\r\nhello\r\n", "in the middle"),
        (b"220 mail.example ESMTP\r\n\r\n", "status line"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "ambiguous"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", "larger than 64 bytes"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 99, "larger than 64 bytes"),
    ],
)
@on_a_loop
async def test_a_broken_answer_is_an_error_and_never_half_a_body(answer: bytes, reason: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(answer)

    async with serving(script) as server:
        with pytest.raises(NetError, match=reason) as failed:
            await send("GET", server.url, max_bytes=64)
        assert (failed.value.sent, failed.value.timed_out) == (True, False)
        assert len(server.peers) == 1  # a fresh connection's failure is not retried


@on_a_loop
async def test_an_answer_cut_by_a_reset_is_an_error_even_without_a_length() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        read.set()
        await cut.wait()
        linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
        peer.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        peer.writer.transport.abort()

    read, cut = asyncio.Event(), asyncio.Event()
    async with serving(script) as server, stream("GET", server.url) as answer:
        pieces = answer.chunks()
        assert await anext(pieces) == b"half"
        cut.set()
        with pytest.raises(NetError, match="broke"):
            await anext(pieces)


@on_a_loop
async def test_a_refused_connection_was_not_sent() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # bound and not listening
        with pytest.raises(NetError, match="could not connect") as failed:
            await send("GET", f"http://127.0.0.1:{bound.getsockname()[1]}/?token=s3cret")
    assert (failed.value.sent, failed.value.timed_out) == (False, False)
    assert "s3cret" not in str(failed.value)


@on_a_loop
async def test_a_name_that_cannot_be_looked_up_was_not_sent() -> None:
    with pytest.raises(NetError, match="could not connect") as failed:
        await send("GET", f"http://{'a' * 64}.test/")
    assert not failed.value.sent


@on_a_loop
async def test_the_deadline_covers_the_whole_call_and_hangs_up() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        drip = asyncio.create_task(dripping(peer))
        await peer.hung_up()
        drip.cancel()
        gone.set()

    async def dripping(peer: Peer) -> None:
        with suppress(ConnectionError):
            while True:
                await peer.answer(b"x")
                await asyncio.sleep(0.01)

    gone = asyncio.Event()
    async with serving(script) as server:
        with pytest.raises(NetError, match=r"did not answer within 0\.2 s") as failed:
            await send("GET", server.url, timeout=0.2)
        assert (failed.value.sent, failed.value.timed_out) == (True, True)
        await gone.wait()


@on_a_loop
async def test_cancelling_a_call_hangs_up() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await peer.hung_up()
        gone.set()

    asked, gone = asyncio.Event(), asyncio.Event()
    async with serving(script) as server:
        call = asyncio.create_task(send("GET", server.url))
        await asked.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await gone.wait()


# ---- kept connections


@on_a_loop
async def test_calls_one_after_another_share_a_connection() -> None:
    async with serving(answer_hello) as server:
        for _ in range(3):
            await send("POST", server.url)
        assert len(server.peers) == 1


@on_a_loop
async def test_calls_at_once_each_have_their_own() -> None:
    async def script(peer: Peer) -> None:
        while await peer.request():
            await barrier.wait()
            await peer.answer(HELLO)

    barrier = asyncio.Barrier(3)
    async with serving(script) as server:
        for _ in range(2):
            await asyncio.gather(*(send("GET", server.url) for _ in range(3)))
        assert len(server.peers) == 3


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ],
)
@on_a_loop
async def test_a_connection_that_cannot_go_on_is_not_kept(answer: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(answer)
        await peer.hung_up()

    async with serving(script) as server:
        await send("GET", server.url)
        await send("GET", server.url)
        assert len(server.peers) == 2


@on_a_loop
async def test_an_answer_that_overtakes_the_request_spoils_the_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.answer(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await done.wait()

    done = asyncio.Event()
    async with serving(script) as server:
        assert (await send("POST", server.url, body=bytes(32 << 20))).status == 413
        assert (await send("POST", server.url)).status == 413
        assert len(server.peers) == 2
        done.set()


@on_a_loop
async def test_a_kept_connection_that_was_closed_meanwhile_is_replaced() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(HELLO)

    async with serving(script) as server:
        await send("POST", server.url)
        await server.peers[0].writer.wait_closed()
        assert (await send("POST", server.url)).body == b"hello"


@pytest.mark.parametrize(("method", "idempotent"), [("GET", None), ("PUT", None), ("POST", True)])
@on_a_loop
async def test_a_kept_connection_that_closes_unanswered_is_retried_once(method: str, idempotent: bool | None) -> None:
    seen = []

    async def script(peer: Peer) -> None:
        seen.append(await peer.request())
        if len(server.peers) < 3:
            await peer.answer(HELLO)
            seen.append(await peer.request())  # and closes without a word

    async with serving(script) as server:
        await send(method, server.url)
        assert (await send(method, server.url, idempotent=idempotent)).body == b"hello"
        assert (len(server.peers), len(seen)) == (2, 3)
        with pytest.raises(NetError, match="before the answer") as failed:
            await send(method, server.url, idempotent=idempotent)
        assert failed.value.sent
        assert (len(server.peers), len(seen)) == (3, 5)


@pytest.mark.parametrize(("method", "idempotent"), [("POST", None), ("GET", False)])
@on_a_loop
async def test_what_may_have_been_done_is_not_done_again(method: str, idempotent: bool | None) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(HELLO)
        await peer.request()

    async with serving(script) as server:
        await send(method, server.url)
        with pytest.raises(NetError, match="before the answer") as failed:
            await send(method, server.url, idempotent=idempotent)
        assert failed.value.sent
        assert len(server.peers) == 1


@on_a_loop
async def test_an_answer_that_has_begun_is_not_asked_for_again() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(HELLO)
        await peer.request()
        await peer.answer(b"HTTP/1.1 2")

    async with serving(script) as server:
        await send("GET", server.url)
        with pytest.raises(NetError, match="in the middle"):
            await send("GET", server.url)
        assert len(server.peers) == 1


@on_a_loop
async def test_a_kept_connection_grows_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(answer_hello) as server:
        await send("GET", server.url)
        monkeypatch.setattr(client, "_KEEP_SECONDS", 0.0)
        await send("GET", server.url)
        assert len(server.peers) == 2


@on_a_loop
async def test_the_longest_idle_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_KEEP_MOST", 2)

    async def script(peer: Peer) -> None:
        while await peer.request():
            await barrier.wait()
            await peer.answer(HELLO)
        gone.append(peer)
        closed.release()

    gone: list[Peer] = []
    closed = asyncio.Semaphore(0)
    barrier = asyncio.Barrier(4)
    async with serving(script) as server:
        await asyncio.gather(*(send("GET", server.url) for _ in range(4)))
        await closed.acquire()
        await closed.acquire()
        assert len(gone) == 2


# ---- between two runs of a loop, as on Lambda


@contextmanager
def blocking_server(close_after_each: bool = False) -> Iterator[tuple[str, "list[socket.socket]", threading.Semaphore]]:
    """Answers in a thread. The semaphore counts connections that have ended."""
    accepted: list[socket.socket] = []
    ended = threading.Semaphore(0)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        with connection:
            while b"\r\n\r\n" in connection.recv(1 << 16):
                connection.sendall(HELLO)
                if close_after_each:
                    break
        ended.release()

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                accepted.append(connection)
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/", accepted, ended
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def test_a_connection_is_kept_from_one_run_of_the_loop_to_the_next() -> None:
    with blocking_server() as (url, accepted, _), asyncio.Runner() as runner:
        runner.run(send("POST", url))
        runner.run(send("POST", url))
        assert len(accepted) == 1


def test_notices_what_was_closed_while_no_loop_ran() -> None:
    with blocking_server(close_after_each=True) as (url, accepted, ended), asyncio.Runner() as runner:
        runner.run(send("POST", url))
        assert ended.acquire(timeout=10)
        assert runner.run(send("POST", url)).body == b"hello"
        assert len(accepted) == 2


def test_close_all_hangs_up_at_once_so_that_a_snapshot_holds_no_connection() -> None:
    with blocking_server() as (url, accepted, ended), asyncio.Runner() as runner:
        runner.run(send("GET", url))
        client.close_all()
        assert ended.acquire(timeout=10)
        assert runner.run(send("GET", url)).body == b"hello"
        assert len(accepted) == 2


def test_the_end_of_a_loop_hangs_up_its_connections() -> None:
    with blocking_server() as (url, _, ended):
        asyncio.run(send("GET", url))
        assert ended.acquire(timeout=10)


# ---- streams


@on_a_loop
async def test_hands_on_each_piece_as_it_arrives() -> None:
    async def script(peer: Peer) -> None:
        while await peer.request():
            await peer.answer(CHUNKED)
            for piece in (b"one", b"two", b"three"):
                await peer.answer(b"%x\r\n%b\r\n" % (len(piece), piece))
                await taken.wait()
                taken.clear()
            await peer.answer(b"0\r\n\r\n")

    taken = asyncio.Event()
    async with serving(script) as server:
        for _ in range(2):
            got = []
            async with stream("GET", server.url) as answer:
                assert (answer.status, answer.headers["transfer-encoding"]) == (200, "chunked")
                async for piece in answer.chunks():
                    got.append(piece)
                    taken.set()
            assert got == [b"one", b"two", b"three"]
        assert len(server.peers) == 1  # read to its end, the connection is kept


@on_a_loop
async def test_leaving_a_stream_early_hangs_up() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(CHUNKED + b"3\r\none\r\n")
        await peer.hung_up()
        gone.set()

    gone = asyncio.Event()
    async with serving(script) as server:
        async with stream("GET", server.url) as answer:
            async for piece in answer.chunks():
                assert piece == b"one"
                break
        await gone.wait()


@on_a_loop
async def test_a_stream_left_after_its_last_byte_arrived_keeps_the_connection() -> None:
    async def script(peer: Peer) -> None:
        while await peer.request():
            await peer.answer(CHUNKED + b"c\r\ndata: [DONE]\r\n0\r\n\r\n")

    async with serving(script) as server:
        for _ in range(2):
            async with stream("GET", server.url) as answer:
                async for piece in answer.chunks():
                    assert piece == b"data: [DONE]"
                    break
        assert len(server.peers) == 1


@on_a_loop
async def test_cancelling_the_reader_of_a_stream_hangs_up() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(CHUNKED + b"3\r\none\r\n")
        await peer.hung_up()
        gone.set()

    async def read() -> None:
        async with stream("GET", server.url) as answer:
            async for _ in answer.chunks():
                reading.set()

    reading, gone = asyncio.Event(), asyncio.Event()
    async with serving(script) as server:
        task = asyncio.create_task(read())
        await reading.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await gone.wait()


@on_a_loop
async def test_silence_between_two_pieces_is_bounded() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(CHUNKED + b"3\r\none\r\n")
        await peer.hung_up()

    async with serving(script) as server, stream("GET", server.url, idle=0.1) as answer:
        pieces = answer.chunks()
        assert await anext(pieces) == b"one"
        with pytest.raises(NetError) as failed:
            await anext(pieces)
        assert (failed.value.sent, failed.value.timed_out) == (True, True)


@on_a_loop
async def test_a_stream_that_does_not_begin_in_time_is_an_error() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(b"HTTP/1.1 200 OK\r\n")
        await peer.hung_up()

    async with serving(script) as server:
        with pytest.raises(NetError) as failed:
            async with stream("GET", server.url, timeout=0.1):
                pytest.fail("there was no answer to enter with")
        assert failed.value.timed_out


@on_a_loop
async def test_gives_what_arrived_before_it_says_that_the_rest_is_missing() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(CHUNKED + b"3\r\none\r\n3\r\n")
        await taken.wait()
        await peer.answer(b"t")

    taken = asyncio.Event()
    async with serving(script) as server, stream("GET", server.url) as answer:
        pieces = answer.chunks()
        assert await anext(pieces) == b"one"
        taken.set()
        assert await anext(pieces) == b"t"
        with pytest.raises(NetError, match="in the middle"):
            await anext(pieces)


@on_a_loop
async def test_a_slow_reader_holds_the_sender_back() -> None:
    total = 64 << 20
    written = 0

    async def script(peer: Peer) -> None:
        nonlocal written
        await peer.request()
        await peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
        while written < total:
            try:
                async with asyncio.timeout(1):
                    await peer.answer(bytes(1 << 20))
            except TimeoutError:
                stuck.set()
                await peer.answer(b"")
            written += 1 << 20

    stuck = asyncio.Event()
    async with serving(script) as server, stream("GET", server.url) as answer:
        await stuck.wait()
        assert written < total
        assert sum([len(piece) async for piece in answer.chunks()]) == total


# ---- TLS, and the address that is dialled


@dataclass(frozen=True)
class Authority:
    trust: ssl.SSLContext
    server: ssl.SSLContext


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A root of our own and a server certificate for `vendor.test` and 127.0.0.2."""
    folder = tmp_path_factory.mktemp("tls")
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "root")])
    root = _certificate(root_name, root_key, root_name, root_key, x509.BasicConstraints(ca=True, path_length=None))
    names = [x509.DNSName("vendor.test"), x509.IPAddress(ipaddress.ip_address("127.0.0.2"))]
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server")])
    leaf = _certificate(name, key, root_name, root_key, x509.SubjectAlternativeName(names))
    (folder / "root.pem").write_bytes(root.public_bytes(serialization.Encoding.PEM))
    (folder / "server.pem").write_bytes(
        leaf.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return _contexts(folder)


def _certificate(
    name: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    extension: x509.ExtensionType,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(issuer, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(
        now + datetime.timedelta(hours=1)
    )
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    builder = builder.add_extension(identifier, critical=False)
    critical = isinstance(extension, x509.BasicConstraints)
    return builder.add_extension(extension, critical=critical).sign(issuer_key, hashes.SHA256())


def _contexts(folder: Path) -> Authority:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "server.pem")
    return Authority(ssl.create_default_context(cafile=folder / "root.pem"), server)


@on_a_loop
async def test_speaks_tls_to_a_pinned_address_under_the_hosts_name(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "tls", lambda: authority.trust)
    asked: list[bytes] = []
    named: list[str | None] = []

    async def script(peer: Peer) -> None:
        while request := await peer.request():
            asked.append(request)
            await peer.answer(HELLO)

    def on_name(_socket: object, name: str | None, _context: object) -> None:
        named.append(name)

    authority.server.sni_callback = on_name
    async with serving(script, authority.server) as server:
        url = f"https://vendor.test:{server.port}/"
        for _ in range(2):
            assert (await send("GET", url, address="127.0.0.1")).body == b"hello"
        assert len(server.peers) == 1
    assert named == ["vendor.test"]
    assert b"host: vendor.test:%d\r\n" % server.port in asked[0]


@pytest.mark.parametrize("case", ["an untrusted root", "another name"])
@on_a_loop
async def test_refuses_a_certificate_that_does_not_hold(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    authority.server.sni_callback = None
    if case == "another name":
        monkeypatch.setattr(client, "tls", lambda: authority.trust)

    async def script(peer: Peer) -> None:
        pytest.fail("the handshake must not succeed")

    name = "vendor.test" if case == "an untrusted root" else "other.test"
    async with serving(script, authority.server) as server:
        with pytest.raises(NetError, match=r"certificate") as failed:
            await send("GET", f"https://{name}:{server.port}/", address="127.0.0.1")
        assert not failed.value.sent


@on_a_loop
async def test_a_handshake_that_never_ends_runs_into_the_deadline() -> None:
    async with serving(Peer.hung_up) as server:
        with pytest.raises(NetError) as failed:
            await send("GET", f"https://vendor.test:{server.port}/", address="127.0.0.1", timeout=0.2)
        assert (failed.value.sent, failed.value.timed_out) == (False, True)


@on_a_loop
async def test_two_hosts_behind_one_address_share_no_connection() -> None:
    async with serving(answer_hello) as server:
        for host in ("one.test", "two.test", "one.test"):
            await send("GET", f"http://{host}:{server.port}/", address="127.0.0.1")
        assert len(server.peers) == 2


@on_a_loop
async def test_an_ipv6_literal_keeps_its_brackets_in_the_host_header() -> None:
    asked = []

    async def script(peer: Peer) -> None:
        asked.append(await peer.request())
        await peer.answer(HELLO)

    async with serving(script) as server:
        await send("GET", f"http://[2001:db8::1]:{server.port}/", address="127.0.0.1")
    assert b"host: [2001:db8::1]:%d\r\n" % server.port in asked[0]
