"""Items of every shape: older ones are lifted, those of the next version lowered, newer ones refused."""

import importlib
import pkgutil
from typing import Any

import pytest

import quintet
from quintet.errors import Failure, Kind
from quintet.store.items import from_item, to_item
from quintet.store.shapes import NUMBER, Shape


def _named(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "title": row.get("name", "")}


def _counted(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "words": len(row.get("title", "").split())}


def _uncounted(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "words"}


FIRST = Shape("letter")
SECOND = Shape("letter", up=(_named,), down=(_uncounted,))
THIRD = Shape("letter", up=(_named, _counted))
OLD = {"id": "a", "name": "Dear all"}


def shapes() -> list[Shape]:
    """Those that any room's `shapes.py` tells of."""
    rooms = [each.name for each in pkgutil.iter_modules(quintet.__path__, "quintet.") if each.ispkg]
    found: list[Shape] = []
    for room in sorted(rooms):
        if room != "quintet.store" and importlib.util.find_spec(f"{room}.shapes"):
            module = importlib.import_module(f"{room}.shapes")
            found += [each for each in vars(module).values() if isinstance(each, Shape)]
    return found


def test_an_item_without_a_number_is_of_the_first_shape() -> None:
    assert FIRST.read(OLD) is OLD
    assert from_item(FIRST.item(OLD)) == {**OLD, NUMBER: 1}


def test_an_older_item_is_lifted_step_by_step_and_written_in_the_newest_shape() -> None:
    lifted = THIRD.read(OLD)
    assert lifted == {"id": "a", "name": "Dear all", "title": "Dear all", "words": 2, NUMBER: 3}
    assert OLD == {"id": "a", "name": "Dear all"}
    assert THIRD.row(THIRD.item(lifted)) == lifted


def test_an_item_of_the_next_version_is_lowered_by_the_one_that_is_deployed_before_it() -> None:
    written = THIRD.item(THIRD.read(OLD))
    assert SECOND.row(written) == {"id": "a", "name": "Dear all", "title": "Dear all", NUMBER: 2}


def test_a_shape_that_nobody_told_us_of_is_refused_with_what_to_do() -> None:
    with pytest.raises(Failure, match="This letter is of shape 3, and this version reads up to 1: deploy") as refused:
        FIRST.row(THIRD.item(OLD))
    assert refused.value.kind is Kind.UNAVAILABLE
    assert refused.value.retry_after == 5


def test_nothing_stays_nothing() -> None:
    assert THIRD.row({}) == {}


def test_a_step_that_changes_what_updates_write_is_found_out() -> None:
    wrong = Shape("letter", up=(lambda row: {**row, "name": row["name"].upper()},), in_place=frozenset({"name"}))
    with pytest.raises(AssertionError, match="in place of every letter: name"):
        wrong.read(OLD)


def test_typed_json_tells_its_number_without_being_read() -> None:
    assert FIRST.has(to_item(OLD))
    assert not THIRD.has(to_item(OLD))
    assert THIRD.has(THIRD.item(OLD))


def test_the_rooms_tell_their_kinds_apart() -> None:
    kinds = [each.kind for each in shapes()]
    assert len(kinds) > 15
    assert len({*kinds}) == len(kinds)


def test_every_step_takes_a_part_of_an_item() -> None:
    for shape in shapes():
        for step in (*shape.up, *shape.down):
            step({})
