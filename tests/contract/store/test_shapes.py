"""An item of an older shape in a real table: read by both ways in, lifted, and written under its own conditions."""

import secrets
from typing import Any

import pytest
from pynamodb.attributes import BinaryAttribute, NumberAttribute, UnicodeAttribute

from quintet.errors import Failure
from quintet.http.entry import kept_loop
from quintet.settings import settings
from quintet.store import wire
from quintet.store.shapes import NUMBER, Shape
from quintet.store.tables import Table, TableName
from quintet.store.transactions import Unmet, write_together

pytestmark = pytest.mark.usefixtures("quiet_tables")


def _titled(row: dict[str, Any]) -> dict[str, Any]:
    return {**{name: value for name, value in row.items() if name != "name"}, "title": row.get("name", "")}


OLD, NEW = Shape("letter"), Shape("letter", up=(_titled,), in_place=frozenset({"rev", "read"}))


class OldItem(Table):
    shape = OLD

    class Meta:
        table_name = TableName("present")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True, default="letter")
    name = UnicodeAttribute()
    seal = BinaryAttribute(legacy_encoding=False)
    rev = NumberAttribute()


class NewItem(Table):
    shape = NEW

    class Meta:
        table_name = TableName("present")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True, default="letter")
    title = UnicodeAttribute()
    seal = BinaryAttribute(legacy_encoding=False)
    rev = NumberAttribute()
    read = NumberAttribute(null=True)


@pytest.fixture
def key() -> str:
    return secrets.token_hex(8)


def wired(operation: str, key: str, **more: Any) -> dict[str, Any]:
    place: dict[str, Any] = {"TableName": settings().table("present")}
    if operation != "PutItem":
        place["Key"] = wire.to_item({"pk": key, "sk": "letter"})
    return kept_loop().run_until_complete(wire.call(operation, {**place, **more}))


def unnumbered(key: str) -> None:
    """As a version wrote it that knew no numbers."""
    row = {"pk": key, "sk": "letter", "name": "Dear all", "seal": b"\x00\xff wax", "rev": 1}
    wired("PutItem", key, Item=wire.to_item(row))


def stored(key: str) -> dict[str, Any]:
    return wire.from_item(wired("GetItem", key, ConsistentRead=True)["Item"])


def test_what_pynamodb_reads_is_lifted_and_a_conditional_save_writes_the_new_shape(key: str) -> None:
    unnumbered(key)
    read = NewItem.get(key, "letter", consistent_read=True)
    assert (read.title, read.seal, int(read.rev)) == ("Dear all", b"\x00\xff wax", 1)
    assert [each.title for each in NewItem.query(key)] == ["Dear all"]
    assert [each.title for each in NewItem.batch_get([(key, "letter")])] == ["Dear all"]
    after = NewItem(key, title=read.title + "!", seal=read.seal, rev=2)
    write_together([lambda tx: tx.save(after, condition=NewItem.rev == 1)])
    assert stored(key) == {
        "pk": key, "sk": "letter", "title": "Dear all!", "seal": b"\x00\xff wax", "rev": 2, NUMBER: 2,
    }  # fmt: skip
    with pytest.raises(Unmet):
        write_together([lambda tx: tx.save(after, condition=NewItem.rev == 1)])


def test_what_the_wire_reads_is_lifted_and_a_conditional_put_writes_the_new_shape(key: str) -> None:
    unnumbered(key)
    row = NEW.row(wired("GetItem", key, ConsistentRead=True)["Item"])
    assert row["title"] == "Dear all"
    put = {
        "Item": NEW.item({**row, "rev": 2}),
        "ConditionExpression": "rev = :rev",
        "ExpressionAttributeValues": wire.to_item({":rev": 1}),
    }
    wired("PutItem", key, **put)
    assert stored(key)[NUMBER] == 2
    assert "name" not in stored(key)
    with pytest.raises(wire.WireError):
        wired("PutItem", key, **put)


def test_an_update_in_place_leaves_an_old_item_of_its_shape_for_either_version(key: str) -> None:
    unnumbered(key)
    NewItem(key).update([NewItem.read.set(7)], condition=NewItem.rev == 1)
    assert stored(key)["name"] == "Dear all"
    assert NewItem.get(key, "letter").read == 7
    assert NewItem.get(key, "letter").title == "Dear all"
    assert OldItem.get(key, "letter").name == "Dear all"


def test_the_version_before_refuses_what_it_cannot_read_and_leaves_it_alone(key: str) -> None:
    NewItem(key, title="Dear all", seal=b"wax", rev=1).save()
    for read in (lambda: OldItem.get(key, "letter"), lambda: list(OldItem.query(key))):
        with pytest.raises(Failure, match="is of shape 2, and this version reads up to 1"):
            read()
    with NewItem.batch_write() as batch:
        batch.save(NewItem(key, "other", title="Dear all", seal=b"wax", rev=1))
    assert [each.title for each in NewItem.query(key)] == ["Dear all", "Dear all"]
