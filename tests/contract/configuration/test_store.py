"""The configuration table: newest and kept versions, and one winner among writers."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from quintet.configuration import store
from quintet.configuration.model import Document
from quintet.store.transactions import Unmet
from tests.loops import on_a_loop

pytestmark = pytest.mark.usefixtures("quiet_tables")
NOW = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)


def document(name: str, version: int, **changed: object) -> Document:
    return Document(name, version, NOW, "ops", changed)


@on_a_loop
async def test_nobody_has_written_yet() -> None:
    name = uuid4().hex
    assert await store.read(name) == Document(name)


@on_a_loop
async def test_the_newest_is_read_and_all_are_kept() -> None:
    name = uuid4().hex
    for version in (1, 2, 3):
        store.write(document(name, version, number=version / 4))
    assert await store.read(name) == document(name, 3, number=0.75)
    assert [each.version for each in store.versions(name, 2)] == [3, 2]
    assert [each.version for each in store.versions(name, 2, before=2)] == [1]


@on_a_loop
async def test_of_two_writers_one_is_told_to_look_again() -> None:
    name = uuid4().hex
    store.write(document(name, 1))
    with pytest.raises(Unmet):
        store.write(document(name, 1, other=True))
    store.write(document(name, 2))
    with pytest.raises(Unmet):
        store.write(document(name, 2, other=True))
    assert (await store.read(name)).changed == {}
