"""Server-sent events as vendors send them, taken apart as they arrive. No I/O here."""

from typing import NamedTuple

_LARGEST = 4 << 20  # bytes of one event


class Event(NamedTuple):
    name: str  # empty where the vendor gives none
    data: str


class TooLarge(Exception):  # noqa: N818 - what the event is
    """One event is larger than any answer of a model's."""


class Events:
    """Bytes in, whole events out: lines may end in any of the three ways, and pieces may end anywhere."""

    def __init__(self, largest: int = _LARGEST) -> None:
        self._largest = largest
        self._line = bytearray()  # what has arrived of the line that is under way
        self._after_return = False  # the last piece ended in \r: a \n now belongs to it
        self._name = ""
        self._data: list[bytes] = []
        self._size = 0
        self._started = False

    def feed(self, piece: bytes) -> list[Event]:
        if self._after_return and piece:
            piece = piece.removeprefix(b"\n")
            self._after_return = False
        if b"\r" in piece:
            self._after_return = piece.endswith(b"\r")
            piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if b"\n" not in piece:
            self._hold(piece)
            return []
        first, *rest = piece.split(b"\n")
        self._hold(first)
        lines = [bytes(self._line), *rest[:-1]]
        self._line = bytearray(rest[-1])
        return [event for line in lines if (event := self._read(line)) is not None]

    def end(self) -> list[Event]:
        """What is left once nothing more comes: some servers forget the last blank line."""
        lines = [bytes(self._line), b""]
        self._line.clear()
        return [event for line in lines if (event := self._read(line)) is not None]

    def _hold(self, piece: bytes) -> None:
        self._line += piece
        if len(self._line) + self._size > self._largest:
            raise TooLarge

    def _read(self, line: bytes) -> Event | None:
        if not self._started:
            self._started = True
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line:
            return self._dispatch()
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._size += len(value)
            if self._size > self._largest:
                raise TooLarge
            self._data.append(value)
        elif field == b"event":
            self._name = value.decode(errors="replace")
        return None

    def _dispatch(self) -> Event | None:
        name, data = self._name, self._data
        self._name, self._data, self._size = "", [], 0
        return Event(name, b"\n".join(data).decode(errors="replace")) if data else None
