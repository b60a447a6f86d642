"""Reading and writing HTTP/1.1: strict where a lenient reader could be fooled, and in agreement with h11 elsewhere."""

import itertools

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quintet.net.http1 import Malformed, Reader, request

OK = b"HTTP/1.1 200 OK\r\n"


def read(*pieces: bytes, method: str = "GET", limit: int | None = None, closed: bool = False) -> Reader:
    reader = Reader(method, limit)
    for piece in pieces:
        reader.feed(piece)
    if closed:
        reader.end()
    return reader


def test_reads_a_counted_body() -> None:
    reader = read(OK + b"Content-Length: 5\r\nX-Request-ID:  abc \t\r\n\r\nhello")
    assert (reader.status, reader.take(), reader.done, reader.keep) == (200, b"hello", True, True)
    assert reader.headers == {"content-length": "5", "x-request-id": "abc"}


def test_reads_chunks_and_drops_extensions_and_trailers() -> None:
    reader = read(
        OK + b"Transfer-Encoding: Chunked\r\n\r\n5;name=value\r\nhello\r\n1 \r\n!\r\n000\r\nChecksum: abc\r\n\r\n"
    )
    assert (reader.take(), reader.done, reader.keep) == (b"hello!", True, True)


def test_gives_a_piece_as_soon_as_it_is_there() -> None:
    reader = read(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel")
    assert (reader.held, reader.take()) == (3, b"hel")
    reader.feed(b"lo\r\n")
    assert (reader.take(), reader.take(), reader.done) == (b"lo", b"", False)


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    reader = read(OK + b"\r\nhel", b"lo")
    assert not reader.done
    reader.end()
    assert (reader.take(), reader.done, reader.keep) == (b"hello", True, False)


@pytest.mark.parametrize(
    ("method", "head"),
    [
        ("HEAD", OK + b"Content-Length: 5\r\n\r\n"),
        ("HEAD", OK + b"Transfer-Encoding: chunked\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
        ("GET", OK + b"Content-Length: 0\r\n\r\n"),
    ],
)
def test_knows_which_answers_have_no_body(method: str, head: bytes) -> None:
    reader = read(head, method=method)
    assert (reader.done, reader.keep, reader.take()) == (True, True, b"")


def test_passes_over_interim_answers() -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    reader = read(b"HTTP/1.1 100 Continue\r\n\r\n" + hints + OK + b"Content-Length: 1\r\n\r\nx")
    assert (reader.status, reader.take()) == (200, b"x")
    assert "link" not in reader.headers


def test_joins_a_repeated_header() -> None:
    assert read(OK + b"A: 1\r\nb: 2\r\na: 3\r\n\r\n").headers == {"a": "1, 3", "b": "2"}


@pytest.mark.parametrize(
    ("head", "keep"),
    [
        (b"HTTP/1.1 200 OK\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n", False),
        (b"HTTP/1.1 200 OK\r\nConnection: foo, Close\r\n", False),
        (b"HTTP/1.0 200 OK\r\n", False),
        (b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n", True),
    ],
)
def test_keeps_the_connection_only_if_the_other_side_does(head: bytes, keep: bool) -> None:
    assert read(head + b"Content-Length: 0\r\n\r\n").keep is keep


def test_bytes_after_the_answer_spoil_the_connection() -> None:
    reader = read(OK + b"Content-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\n")
    assert (reader.take(), reader.done, reader.keep) == (b"x", True, False)
    later = read(OK + b"Content-Length: 1\r\n\r\nx", b"y")
    assert (later.take(), later.keep) == (b"x", False)


BROKEN = {
    "not http": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "another version": b"HTTP/2.0 200 OK\r\n\r\n",
    "no status": b"HTTP/1.1 OK\r\n\r\n",
    "a status of four digits": b"HTTP/1.1 2000 OK\r\n\r\n",
    "a status in other digits": "HTTP/1.1 ²00 OK\r\n\r\n".encode("latin-1"),
    "an empty head": b"\r\n\r\n",
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
    "a folded header": OK + b"A: 1\r\n 2\r\n\r\n",
    "no colon": OK + b"Content-Length 0\r\n\r\n",
    "a space before the colon": OK + b"Content-Length : 0\r\n\r\n",
    "a header without a name": OK + b": 0\r\n\r\n",
    "a control character": OK + b"A: \x00\r\n\r\n",
    "a bare carriage return": OK + b"A: 1\rB: 2\r\n\r\n",
    "two lengths": OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxy",
    "two lengths in one": OK + b"Content-Length: 1, 2\r\n\r\nxy",
    "a length and chunks": OK + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a negative length": OK + b"Content-Length: -1\r\n\r\n",
    "a signed length": OK + b"Content-Length: +1\r\n\r\nx",
    "a length in hex": OK + b"Content-Length: 0x1\r\n\r\nx",
    "a length in other digits": OK + "Content-Length: ²\r\n\r\nxx".encode("latin-1"),
    "an empty length": OK + b"Content-Length:\r\n\r\n",
    "a length beyond reason": OK + b"Content-Length: 99999999999999999999\r\n\r\n",
    "an unknown coding": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
    "chunks twice": OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
    "chunks in 1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a chunk without a size": OK + b"Transfer-Encoding: chunked\r\n\r\n\r\n\r\n",
    "a chunk with a sign": OK + b"Transfer-Encoding: chunked\r\n\r\n+1\r\nx\r\n",
    "a chunk with an underscore": OK + b"Transfer-Encoding: chunked\r\n\r\n1_0\r\nx\r\n",
    "a chunk longer than it said": OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n",
    "an endless size line": OK + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"x" * 300,
    "a broken trailer": OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\nnot a header\r\n\r\n",
    "an endless trailer": OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"A: bcdef\r\n" * 2000,
    "an endless head": OK + b"A: " + b"x" * (65 << 10),
    "a large head": OK + b"A: " + b"x" * (65 << 10) + b"\r\n\r\n",
    "too many headers": OK + b"".join(b"A%d: 1\r\n" % number for number in range(300)) + b"\r\n",
    "a change of protocol": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n",
    "endless interim answers": b"HTTP/1.1 100 Continue\r\n\r\n" * 20,
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=list(BROKEN))
def test_refuses(answer: bytes) -> None:
    with pytest.raises(Malformed):
        read(answer)
    with pytest.raises(Malformed):
        read(*(answer[place : place + 1] for place in range(len(answer))))


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200",
        OK + b"Content-Length: 5\r\n\r\nhell",
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
    ],
)
def test_an_early_end_is_not_an_answer(answer: bytes) -> None:
    with pytest.raises(Malformed, match="in the middle"):
        read(answer, closed=True)


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"Content-Length: 11\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nb\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n8\r\n12345678\r\n3\r\n",
        OK + b"\r\n12345678901",
    ],
)
def test_refuses_a_body_over_the_limit_before_it_is_read(answer: bytes) -> None:
    with pytest.raises(Malformed, match="larger than 10 bytes"):
        read(answer, limit=10)


@pytest.mark.parametrize(
    "hostile",
    [b"a" * 60_000 + b"\r\n\r\n", b"a:" + b" " * 60_000 + b"\x00\r\n\r\n", b" " * 60_000 + b"\r\n\r\n"],
)
def test_a_hostile_line_costs_its_length_and_not_its_square(hostile: bytes) -> None:
    """60,000 squared would take minutes: the test's own patience is the assertion."""
    with pytest.raises(Malformed):
        read(OK + hostile)


def h11_reads(answer: bytes, method: str = "GET") -> tuple[int, list[tuple[bytes, bytes]], bytes, bool]:
    """Status, headers, body and whether the connection could go on. Raises RemoteProtocolError."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method=method, target="/", headers=[("host", "example")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(answer)
    status, headers, body = 0, [], b""
    closed = False
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            assert not closed
            closed = True
            connection.receive_data(b"")
        elif isinstance(event, h11.Response):
            status, headers = event.status_code, list(event.headers)
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            return status, headers, body, connection.their_state is h11.DONE and not closed


names = st.text("abcdefXYZ-_!", min_size=1, max_size=8).filter(
    lambda name: name.lower() not in {"connection", "content-length", "transfer-encoding"}
)
values = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=12).filter(
    lambda value: not {0x80 <= ord(letter) <= 0xA0 for letter in value} & {True}
)


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """A well-formed answer in any of the three framings."""
    status = draw(st.integers(200, 599))
    headers = draw(st.lists(st.tuples(names, values), max_size=5))
    body = b"" if status in (204, 304) else draw(st.binary(max_size=200))
    head = f"HTTP/1.1 {status} {draw(st.sampled_from(['', 'OK', 'Not Found']))}\r\n"
    head += "".join(f"{name}:{draw(st.sampled_from(['', ' ', '  ']))}{value}\r\n" for name, value in headers)
    head += draw(st.sampled_from(["", "Connection: close\r\n", "connection: keep-alive\r\n"]))
    framing = draw(st.sampled_from(["length", "chunks", "close"]))
    if framing == "length":
        return (head + f"Content-Length: {len(body)}\r\n\r\n").encode("latin-1") + body
    if framing == "close":
        return (head + "\r\n").encode("latin-1") + body
    head += "Transfer-Encoding: chunked\r\n\r\n"
    if status in (204, 304):
        return head.encode("latin-1")
    cuts = sorted({0, len(body), *draw(st.lists(st.integers(0, len(body)), max_size=4))})
    chunks = [body[start:end] for start, end in itertools.pairwise(cuts)]
    wire = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return head.encode("latin-1") + wire + b"0\r\n" + draw(st.sampled_from([b"", b"Trailer: 1\r\n"])) + b"\r\n"


def in_pieces(data: st.DataObject, answer: bytes) -> list[bytes]:
    cuts = sorted({0, len(answer), *data.draw(st.lists(st.integers(0, len(answer)), max_size=6))})
    return [answer[start:end] for start, end in itertools.pairwise(cuts)]


@given(answers(), st.data())
def test_reads_what_h11_reads_however_it_arrives(answer: bytes, data: st.DataObject) -> None:
    status, headers, body, goes_on = h11_reads(answer)
    reader = read(*in_pieces(data, answer))
    kept = reader.keep
    if not reader.done:
        reader.end()
    joined: dict[str, list[str]] = {}
    for name, value in headers:
        joined.setdefault(name.decode().lower(), []).append(value.decode("latin-1"))
    assert (reader.status, reader.take()) == (status, body)
    assert reader.headers == {name: ", ".join(values) for name, values in joined.items()}
    assert kept is goes_on


@given(answers(), st.data())
def test_accepts_nothing_that_h11_reads_differently(answer: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(answer) - 1))
    junk = data.draw(st.one_of(st.binary(max_size=3), st.sampled_from([b"\r\n", b"\n", b":", b"0", b"-1", b"chunked"])))
    damaged = answer[:place] + junk + answer[place + data.draw(st.integers(0, 3)) :]
    try:
        reader = read(damaged)
        if not reader.done:
            reader.end()
    except Malformed:
        return
    status, _headers, body, _goes_on = h11_reads(damaged)
    assert (reader.status, reader.take()) == (status, body)


def test_writes_a_request_with_its_own_framing() -> None:
    wire = request("POST", "/v1?a=b", "example:8080", {"Content-Type": "application/json"}, b"{}")
    assert wire == (
        b"POST /v1?a=b HTTP/1.1\r\nhost: example:8080\r\ncontent-type: application/json\r\n"
        b"user-agent: quintet\r\naccept-encoding: identity\r\ncontent-length: 2\r\n\r\n{}"
    )


def test_a_get_without_a_body_has_no_length_and_a_post_has_one() -> None:
    assert b"content-length" not in request("GET", "/", "example", {}, b"")
    assert b"content-length: 0\r\n" in request("POST", "/", "example", {}, b"")


def test_a_caller_may_name_itself_and_ask_for_a_coding() -> None:
    wire = request("GET", "/", "example", {"User-Agent": "me", "Accept-Encoding": "gzip"}, b"")
    assert wire.count(b"user-agent:") == wire.count(b"accept-encoding:") == 1


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [
        ("GET", "/", {"a": "1\r\nb: 2"}),
        ("GET", "/", {"a": "1\nb: 2"}),
        ("GET", "/", {"a": "\x00"}),
        ("GET", "/", {"a": "œ"}),
        ("GET", "/", {"a\r\nb": "1"}),
        ("GET", "/", {"a b": "1"}),
        ("GET", "/", {"": "1"}),
        ("GET", "/", {"Content-Length": "3"}),
        ("GET", "/", {"transfer-encoding": "chunked"}),
        ("GET", "/", {"HOST": "elsewhere"}),
        ("GET", "/", {"Connection": "close"}),
        ("GET / HTTP/1.1\r\nx:", "/", {}),
        ("", "/", {}),
        ("GET", "/ HTTP/1.1\r\nx: y", {}),
        ("GET", "elsewhere", {}),
    ],
)
def test_refuses_to_send_what_could_smuggle(method: str, target: str, headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"sent|carry"):
        request(method, target, "example", headers, b"")


def test_a_refused_header_keeps_its_value_to_itself() -> None:
    with pytest.raises(ValueError, match="'authorization'") as refused:
        request("GET", "/", "example", {"Authorization": "Bearer s3cret\n"}, b"")
    assert "s3cret" not in str(refused.value)


@given(st.dictionaries(st.text(max_size=6), st.text(max_size=12), max_size=4), st.binary(max_size=50))
def test_h11_reads_every_request_that_is_sent(headers: dict[str, str], body: bytes) -> None:
    try:
        wire = request("POST", "/path", "example", headers, body)
    except ValueError:
        return
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(wire)
    head = connection.next_event()
    assert isinstance(head, h11.Request)
    sent = {name.lower().encode(): value.strip(" \t").encode("latin-1") for name, value in headers.items()}
    assert sent.items() <= dict(head.headers).items()
    received = b""
    while isinstance(event := connection.next_event(), h11.Data):
        received += event.data
    assert received == body
    assert isinstance(event, h11.EndOfMessage)
    assert connection.trailing_data == (b"", False)
