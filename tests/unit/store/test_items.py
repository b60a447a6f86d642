"""Items for DynamoDB and back: as boto3 writes them, with plain numbers instead of decimals."""

import math
from base64 import b64decode, b64encode
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Any

import pytest
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from hypothesis import given
from hypothesis import strategies as st

from quintet.store.items import from_item, to_item

held_floats = st.floats(allow_nan=False, allow_infinity=False).filter(
    lambda number: number == 0 or 1e-130 <= abs(number) < 1e126
)
numbers = st.one_of(st.integers(-(10**38) + 1, 10**38 - 1), held_floats)
scalars = st.one_of(st.none(), st.booleans(), numbers, st.text(max_size=20), st.binary(max_size=20))
sets = st.one_of(
    st.sets(st.text(max_size=5), min_size=1, max_size=4),
    st.sets(numbers, min_size=1, max_size=4),
    st.sets(st.binary(max_size=5), min_size=1, max_size=4),
)
values = st.recursive(
    st.one_of(scalars, sets),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=4)),
    max_leaves=12,
)
items = st.dictionaries(st.text(min_size=1, max_size=8), values, max_size=5)


@given(items)
def test_an_item_comes_back_as_it_was(item: dict[str, Any]) -> None:
    assert from_item(to_item(item)) == item


def normalised(number: str) -> str:
    """DynamoDB writes no exponent and no trailing zero."""
    text = f"{Decimal(number):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


@given(st.dictionaries(st.text(min_size=1, max_size=8), numbers, min_size=1))
def test_a_number_that_dynamodb_has_normalised_comes_back_as_it_was(item: dict[str, Any]) -> None:
    """Beyond 2**53 a float comes back as the int that it was written as."""
    stored = {name: {"N": normalised(typed["N"])} for name, typed in to_item(item).items()}
    read = from_item(stored)
    assert {name: type(value)(read[name]) for name, value in item.items()} == item


def boto3_form(value: Any) -> Any:
    """boto3 takes decimals for floats and lists for nothing else; on the wire its bytes are base64."""
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, dict):
        return {name: boto3_form(each) for name, each in value.items()}
    if isinstance(value, list):
        return [boto3_form(each) for each in value]
    return value


def on_the_wire(typed: Any) -> Any:
    ((kind, content),) = typed.items()
    if kind == "M":
        return {"M": {name: on_the_wire(each) for name, each in content.items()}}
    if kind == "L":
        return {"L": [on_the_wire(each) for each in content]}
    if kind == "B":
        return {"B": b64encode(bytes(content)).decode()}
    if kind == "N":
        return {"N": Decimal(content)}
    return typed


without_sets = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=4)),
    max_leaves=12,
)


@given(st.dictionaries(st.text(min_size=1, max_size=8), without_sets, max_size=5))
def test_writes_what_boto3_writes(item: dict[str, Any]) -> None:
    serialize = TypeSerializer().serialize
    theirs = {name: on_the_wire(serialize(boto3_form(value))) for name, value in item.items()}
    ours = to_item(item)
    assert {name: _decimals(value) for name, value in ours.items()} == theirs


def _decimals(typed: Any) -> Any:
    ((kind, content),) = typed.items()
    if kind == "M":
        return {"M": {name: _decimals(each) for name, each in content.items()}}
    if kind == "L":
        return {"L": [_decimals(each) for each in content]}
    return {"N": Decimal(content)} if kind == "N" else typed


@given(st.sets(st.text(max_size=5), min_size=1))
def test_boto3_reads_our_sets(words: set[str]) -> None:
    assert TypeDeserializer().deserialize(to_item({"a": words})["a"]) == words


def test_writes_each_type() -> None:
    item = {
        "text": "é",
        "whole": 12,
        "part": 0.1,
        "small": 1e-7,
        "true": True,
        "none": None,
        "bytes": b"\x00\xff",
        "list": [1, ["a"]],
        "pair": (1, 2),
        "map": {"a": {}},
        "tags": {"x"},
    }
    assert to_item(item) == {
        "text": {"S": "é"},
        "whole": {"N": "12"},
        "part": {"N": "0.1"},
        "small": {"N": "1e-07"},
        "true": {"BOOL": True},
        "none": {"NULL": True},
        "bytes": {"B": "AP8="},
        "list": {"L": [{"N": "1"}, {"L": [{"S": "a"}]}]},
        "pair": {"L": [{"N": "1"}, {"N": "2"}]},
        "map": {"M": {"a": {"M": {}}}},
        "tags": {"SS": ["x"]},
    }


def test_an_enum_is_written_as_what_it_is() -> None:
    word = StrEnum("word", {"A": "a"})
    level = IntEnum("level", {"HIGH": 3})
    assert to_item({"word": word("a"), "level": level(3)}) == {"word": {"S": "a"}, "level": {"N": "3"}}


def test_a_number_without_a_fraction_is_an_int() -> None:
    read = from_item({"a": {"N": "3"}, "b": {"N": "3.0"}, "c": {"N": "3.5"}, "d": {"N": "-0"}})
    assert [(type(value), value) for value in read.values()] == [(int, 3), (int, 3), (float, 3.5), (int, 0)]


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, 1e126, 1e-131, 10**38, -(10**38), set(), {1, "a"}, {True}, {(1,)}]
)
def test_refuses_what_dynamodb_cannot_hold(value: object) -> None:
    with pytest.raises(ValueError, match="DynamoDB"):
        to_item({"a": [value]})


def test_refuses_a_type_that_nobody_has_thought_of() -> None:
    with pytest.raises(TypeError, match="object"):
        to_item({"a": object()})


def test_bytes_survive_json() -> None:
    assert b64decode(to_item({"a": bytes(range(256))})["a"]["B"]) == bytes(range(256))
