"""The same graph for batches without agents: they all begin in one state, and nobody will keep the next one.

The runtime computes all that a graph says, whatever it is asked for, so the graph has to say less; and what depends on
constants alone it computes once, when it loads the graph. ONNX is protobuf; only its outermost fields are looked at
here: https://onnx.ai/onnx/repo-docs/IR.html
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

# Numbers of fields in onnx.proto.
_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_INPUT, _GRAPH_OUTPUT = 1, 5, 11, 12
_NODE_INPUT, _NODE_OUTPUT, _NODE_OPERATOR = 1, 2, 4
_TENSOR_DIMENSION, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_CONTENT = 1, 2, 8, 9
_VALUE_NAME = 1
_FLOAT = 1
_NESTING = frozenset({"If", "Loop", "Scan"})  # their bodies use values that their inputs do not name


class _Field(NamedTuple):
    number: int
    raw: memoryview  # with its tag, as it goes back
    content: memoryview  # empty unless it has a length


class Constant(NamedTuple):
    shape: tuple[int, ...]
    content: bytes  # float32, little-endian


def trimmed(model: bytes, unasked: frozenset[str], known: Mapping[str, Constant]) -> bytes | None:
    """Without the outputs that nobody asks for and all that only they need; inputs that are known become constants.

    None where one cannot tell from outside what a part of the graph needs.
    """
    parts: list[bytes | memoryview] = []
    for field in _fields(memoryview(model)):
        if field.number != _MODEL_GRAPH:
            parts.append(field.raw)
            continue
        graph = _trimmed(field.content, unasked, known)
        if graph is None:
            return None
        parts.append(_written(_MODEL_GRAPH, graph))
    return b"".join(parts)


def _trimmed(graph: memoryview, unasked: frozenset[str], known: Mapping[str, Constant]) -> bytes | None:
    fields = list(_fields(graph))
    needed = {_text(field, _VALUE_NAME) for field in fields if field.number == _GRAPH_OUTPUT} - unasked
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
        if field.number == _GRAPH_INITIALIZER and _text(field, _TENSOR_NAME) not in needed:
            dropped.add(place)
        if field.number == _GRAPH_OUTPUT and _text(field, _VALUE_NAME) in unasked:
            dropped.add(place)
        if field.number == _GRAPH_INPUT and _text(field, _VALUE_NAME) in known:
            dropped.add(place)
    kept = [field.raw for place, field in enumerate(fields) if place not in dropped]
    constants = [_written(_GRAPH_INITIALIZER, _tensor(name, known[name])) for name in known if name in needed]
    return b"".join([*kept, *constants])


def _tensor(name: str, constant: Constant) -> bytes:
    dimensions = [_varint(_TENSOR_DIMENSION << 3) + _varint(size) for size in constant.shape]
    kind = _varint(_TENSOR_TYPE << 3) + _varint(_FLOAT)
    return b"".join(
        [*dimensions, kind, _written(_TENSOR_NAME, name.encode()), _written(_TENSOR_CONTENT, constant.content)]
    )


def _written(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


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
