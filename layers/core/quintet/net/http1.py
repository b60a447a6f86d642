"""HTTP/1.1 as bytes, read strictly: a request written, a response taken apart as it arrives. No I/O here."""

import re
from collections.abc import Callable, Mapping

_MAX_HEAD = 64 << 10
_MAX_FIELDS = 256
_MAX_INTERIM = 8  # 1xx answers before the real one
_MAX_SIZE_LINE = 256  # a chunk's size with its extensions
_MAX_TRAILER = 8 << 10

_WORD = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"  # possessive: a hostile line costs its length, not its square
_TEXT = r"[\t\x20-\x7e\x80-\xff]*+"
_NAME = re.compile(_WORD)
_VALUE = re.compile(_TEXT)
_FIELD = re.compile(f"({_WORD}):({_TEXT})")
_STATUS = re.compile(f"HTTP/1\\.([01]) ([1-9][0-9][0-9])(?: {_TEXT})?")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*+(?:;[\t\x20-\x7e\x80-\xff]*+)?")
_TARGET = re.compile(r"/[\x21-\x7e]*")

_OWN_FIELDS = frozenset({"host", "content-length", "transfer-encoding", "connection"})
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


class Malformed(Exception):  # noqa: N818 - what the bytes are
    """The other side's bytes are not a response that we accept."""


def request(method: str, target: str, host: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """Raises ValueError for what could smuggle a second line or a second length into the request."""
    if not _NAME.fullmatch(method) or not _TARGET.fullmatch(target):
        raise ValueError("not a method and a path that HTTP can carry")
    lines = [f"{method} {target} HTTP/1.1\r\nhost: {host}\r\n"]
    names = set()
    for name, value in headers.items():
        name = name.lower()
        if name in _OWN_FIELDS or not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise ValueError(f"header {name!r} may not be sent")
        names.add(name)
        lines.append(f"{name}: {value}\r\n")
    if "user-agent" not in names:
        lines.append("user-agent: quintet\r\n")
    if "accept-encoding" not in names:
        lines.append("accept-encoding: identity\r\n")
    if body or method in _WITH_BODY:
        lines.append(f"content-length: {len(body)}\r\n")
    lines.append("\r\n")
    return "".join(lines).encode("latin-1") + body


class Reader:
    """One response. `status` is 0 until the head is there; `keep` says whether the connection can carry another."""

    __slots__ = (
        "_buffer",
        "_interim",
        "_left",
        "_limit",
        "_method",
        "_pieces",
        "_received",
        "_scanned",
        "_step",
        "_until_close",
        "done",
        "headers",
        "held",
        "keep",
        "started",
        "status",
    )

    def __init__(self, method: str, limit: int | None = None) -> None:
        """`limit` bounds the body, in bytes."""
        self.status = 0
        self.headers: dict[str, str] = {}
        self.started = False  # at least one byte has arrived
        self.done = False
        self.keep = False
        self.held = 0  # bytes of the body that `take` would give
        self._method = method
        self._limit = limit
        self._buffer = bytearray()
        self._scanned = 0
        self._interim = 0
        self._left = 0
        self._received = 0
        self._until_close = False
        self._pieces: list[bytes] = []
        self._step: Callable[[], bool] = self._head

    def feed(self, data: bytes) -> None:
        self.started = True
        self._buffer += data
        while not self.done and self._step():
            pass
        if self.done and self._buffer:
            self.keep = False  # more than was asked for

    def end(self) -> None:
        """The other side has closed its half: right for a body without a length, and too early for any other."""
        self.keep = False
        if self._until_close:
            self.done = True
        elif not self.done:
            raise Malformed("the connection was closed in the middle of the answer")

    def take(self) -> bytes:
        """What has arrived of the body since the last call."""
        pieces = self._pieces
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self.held = 0
        return body

    # Each step takes one thing off the buffer and says whether there may be enough for the next.

    def _head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n", self._scanned)
        if end > _MAX_HEAD or (end < 0 and len(self._buffer) > _MAX_HEAD):
            raise Malformed("the head is too large")
        if end < 0:
            self._scanned = max(0, len(self._buffer) - 3)
            return False
        first, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
        del self._buffer[: end + 4]
        self._scanned = 0
        known = _STATUS.fullmatch(first)
        if known is None:
            raise Malformed("the status line is not one of HTTP/1.1")
        status = int(known[2])
        headers = _fields(lines)
        if status < 200:
            self._interim += 1
            if status == 101 or self._interim > _MAX_INTERIM:
                raise Malformed("an interim answer that nobody asked for")
            return True
        self.status, self.headers = status, headers
        self._frame(is_1_1=known[1] == "1")
        return True

    def _frame(self, *, is_1_1: bool) -> None:
        """Where the body ends. Two answers to that question are an attack on whoever reads the connection next."""
        coding = self.headers.get("transfer-encoding")
        length = self.headers.get("content-length")
        options = self.headers.get("connection", "").lower().replace(" ", "").split(",")
        self.keep = "close" not in options and (is_1_1 or "keep-alive" in options)
        if coding is not None and (length is not None or not is_1_1 or coding.lower() != "chunked"):
            raise Malformed("the body's length is ambiguous")
        size = 0 if length is None else _length(length)
        if self._method == "HEAD" or self.status in (204, 304):
            self.done = True
        elif coding is not None:
            self._step = self._chunk_size
        elif length is not None:
            self._expect(size)
            self._step = self._counted
        else:
            self._until_close, self.keep = True, False
            self._step = self._uncounted

    def _counted(self) -> bool:
        self._pass_on()
        self.done = not self._left
        return False

    def _uncounted(self) -> bool:
        self._expect(len(self._buffer))
        self._pass_on()
        return False

    def _chunk_size(self) -> bool:
        line = self._line(_MAX_SIZE_LINE)
        if line is None:
            return False
        known = _SIZE.fullmatch(line)
        if known is None:
            raise Malformed("a chunk's size is not a number")
        size = int(known[1], 16)
        self._expect(size)
        self._step = self._chunk if size else self._trailer
        return True

    def _chunk(self) -> bool:
        self._pass_on()
        if self._left:
            return False
        self._step = self._chunk_end
        return True

    def _chunk_end(self) -> bool:
        if len(self._buffer) < 2:
            return False
        if not self._buffer.startswith(b"\r\n"):
            raise Malformed("a chunk is longer than it said")
        del self._buffer[:2]
        self._step = self._chunk_size
        return True

    def _trailer(self) -> bool:
        """Trailers are checked and dropped: nothing that we call announces any."""
        line = self._line(_MAX_TRAILER)
        if line is None:
            return False
        self._left += len(line)
        if self._left > _MAX_TRAILER:
            raise Malformed("the trailer is too large")
        if line:
            _fields([line.decode("latin-1")])
        else:
            self.done = True
        return True

    def _line(self, limit: int) -> bytes | None:
        end = self._buffer.find(b"\r\n", 0, limit + 2)
        if end < 0:
            if len(self._buffer) > limit:
                raise Malformed("a line is too long")
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _expect(self, size: int) -> None:
        self._received += size
        if self._limit is not None and self._received > self._limit:
            raise Malformed(f"the answer is larger than {self._limit} bytes")
        self._left = size

    def _pass_on(self) -> None:
        piece = bytes(self._buffer[: self._left])
        if piece:
            del self._buffer[: len(piece)]
            self._left -= len(piece)
            self.held += len(piece)
            self._pieces.append(piece)


def _fields(lines: list[str]) -> dict[str, str]:
    if len(lines) > _MAX_FIELDS:
        raise Malformed("too many headers")
    fields: dict[str, str] = {}
    for line in lines:
        known = _FIELD.fullmatch(line)
        if known is None:
            raise Malformed("a header is not a name and a value")
        name, value = known[1].lower(), known[2].strip(" \t")
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return fields


def _length(text: str) -> int:
    """A length said twice is fine as long as it is the same."""
    values = {value.strip(" \t") for value in text.split(",")}
    value = values.pop()
    if values or not value.isdecimal() or len(value) > 15:
        raise Malformed("the body's length is ambiguous")
    return int(value)
