"""The same graph with fewer outputs: a batch without agents need not compute the state that nobody will keep.

The runtime computes all that a graph says, whatever it is asked for, so the graph has to say less. ONNX is protobuf;
only its outermost fields are looked at here: https://onnx.ai/onnx/repo-docs/IR.html
"""

from collections.abc import Iterator
from typing import NamedTuple

# Numbers of fields in onnx.proto.
_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_OUTPUT = 1, 5, 12
_NODE_INPUT, _NODE_OUTPUT, _NODE_OPERATOR = 1, 2, 4
_TENSOR_NAME, _VALUE_NAME = 8, 1
_NESTING = frozenset({"If", "Loop", "Scan"})  # their bodies use values that their inputs do not name


class _Field(NamedTuple):
    number: int
    raw: memoryview  # with its tag, as it goes back
    content: memoryview  # empty unless it has a length


def without_outputs(model: bytes, names: frozenset[str]) -> bytes | None:
    """None where one cannot tell from outside what a part of the graph needs."""
    parts: list[bytes | memoryview] = []
    for field in _fields(memoryview(model)):
        if field.number != _MODEL_GRAPH:
            parts.append(field.raw)
            continue
        graph = _trimmed(field.content, names)
        if graph is None:
            return None
        parts += [_varint(_MODEL_GRAPH << 3 | 2), _varint(len(graph)), graph]
    return b"".join(parts)


def _trimmed(graph: memoryview, names: frozenset[str]) -> bytes | None:
    fields = list(_fields(graph))
    needed = {_text(field, _VALUE_NAME) for field in fields if field.number == _GRAPH_OUTPUT} - names
    dropped: set[int] = set()
    # Nodes stand in the order of their computation.
    for place in range(len(fields) - 1, -1, -1):
        field = fields[place]
        if field.number == _GRAPH_NODE:
            if _text(field, _NODE_OPERATOR) in _NESTING:
                return None
            if needed.isdisjoint(_texts(field, _NODE_OUTPUT)):
                dropped.add(place)
            else:
                needed.update(_texts(field, _NODE_INPUT))
    for place, field in enumerate(fields):
        unused = field.number == _GRAPH_INITIALIZER and _text(field, _TENSOR_NAME) not in needed
        if unused or (field.number == _GRAPH_OUTPUT and _text(field, _VALUE_NAME) in names):
            dropped.add(place)
    return b"".join([field.raw for place, field in enumerate(fields) if place not in dropped])


def _text(field: _Field, number: int) -> str:
    return next(iter(_texts(field, number)), "")


def _texts(field: _Field, number: int) -> list[str]:
    return [bytes(each.content).decode() for each in _fields(field.content) if each.number == number]


def _fields(message: memoryview) -> Iterator[_Field]:
    place = 0
    while place < len(message):
        start = place
        tag, place = _read_varint(message, place)
        kind, length = tag & 7, 0
        if kind == 0:
            _, place = _read_varint(message, place)
        elif kind == 2:
            length, place = _read_varint(message, place)
        else:
            place += {1: 8, 5: 4}[kind]
        end = place + length
        yield _Field(tag >> 3, message[start:end], message[place:end])
        place = end


def _read_varint(message: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7


def _varint(value: int) -> bytes:
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)
