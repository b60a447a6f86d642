"""What counts as an observation."""

import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quintet.errors import Failure, Kind
from quintet.policy.observations import batch_size, vector, vectors

LARGEST = 3.4028234663852886e38


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=8))
def test_every_number_of_32_bits_passes_unchanged(values: list[float]) -> None:
    assert list(struct.unpack(f"<{len(values)}f", vector(values, len(values)))) == values


def test_whole_numbers_are_numbers() -> None:
    assert vector([1, -2, 0, 10**20], 4) == struct.pack("<4f", 1, -2, 0, 1e20)


def test_the_largest_and_the_smallest_pass() -> None:
    assert vector([LARGEST, -LARGEST, 1e-45, 1e-300], 4) == struct.pack("<4f", LARGEST, -LARGEST, 1e-45, 0)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e39", "-1e39", "1e400", "1" + "0" * 400])
def test_what_does_not_fit_is_refused(text: str) -> None:
    with pytest.raises(Failure) as refused:
        vector(json.loads(f"[0, {text}]"), 2)
    assert refused.value.kind is Kind.REJECTED
    assert "finite" in refused.value.message


@pytest.mark.parametrize("values", [None, "1,2", {"0": 1}, 5, [True, 1], ["1", 2], [None, 1], [[1], 2], [{}, 1]])
def test_what_is_no_list_of_numbers_is_no_observation(values: Any) -> None:
    with pytest.raises(Failure) as refused:
        vector(values, 2)
    assert refused.value.kind is Kind.INVALID
    assert refused.value.message == "observation: Must be a list of numbers"


@pytest.mark.parametrize("length", [0, 1, 3, 1000])
def test_a_wrong_length_is_named(length: int) -> None:
    with pytest.raises(Failure) as refused:
        vector([0.5] * length, 2)
    assert refused.value.kind is Kind.REJECTED
    assert refused.value.message == f"Expected observation of length 2, got {length}"


def test_rows_follow_each_other_and_a_wrong_one_is_named() -> None:
    assert vectors([[1, 2], [3, 4]], 2) == struct.pack("<4f", 1, 2, 3, 4)
    with pytest.raises(Failure, match=r"observations\.1: "):
        vectors([[1, 2], [3, "4"]], 2)


@pytest.mark.parametrize("count", [0, 1025])
def test_a_batch_has_1_to_1024_rows(count: int) -> None:
    assert batch_size([[0]] * 1) == 1
    assert batch_size([[0]] * 1024) == 1024
    with pytest.raises(Failure) as refused:
        batch_size([[0]] * count)
    assert refused.value.kind is Kind.REJECTED
