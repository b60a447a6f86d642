"""The vault's table: one partition with the head, the lease and each provider's sealed secret."""

from collections.abc import Iterable, Mapping
from typing import Any

from pynamodb.attributes import BinaryAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.expressions.condition import Condition
from pynamodb.transactions import TransactWrite

from quintet.gateway.shapes import SECRET, VAULT
from quintet.gateway.vault.model import Contents, Costs, Head, Lease
from quintet.settings import settings
from quintet.store import wire
from quintet.store.clock import epoch, from_millis
from quintet.store.items import from_item, to_item
from quintet.store.tables import Table, TableName
from quintet.store.transactions import Write, write_together

_VAULT, _HEAD, _LEASE, _SECRET = "vault", "head", "lease", "secret#"


class HeadItem(Table):
    shape = VAULT

    class Meta:
        table_name = TableName("vault")

    pk = UnicodeAttribute(hash_key=True, default=_VAULT)
    sk = UnicodeAttribute(range_key=True, default=_HEAD)
    salt = BinaryAttribute(legacy_encoding=False)
    proof = BinaryAttribute(legacy_encoding=False)
    passes = NumberAttribute()
    memory_kib = NumberAttribute()
    lanes = NumberAttribute()
    rev = NumberAttribute()
    edits = NumberAttribute()


class LeaseItem(Table):
    class Meta:
        table_name = TableName("vault")

    pk = UnicodeAttribute(hash_key=True, default=_VAULT)
    sk = UnicodeAttribute(range_key=True, default=_LEASE)
    wrapped = BinaryAttribute(legacy_encoding=False)
    rev = NumberAttribute()
    expires_at = NumberAttribute()


class SecretItem(Table):
    shape = SECRET

    class Meta:
        table_name = TableName("vault")

    pk = UnicodeAttribute(hash_key=True, default=_VAULT)
    sk = UnicodeAttribute(range_key=True)
    sealed = BinaryAttribute(legacy_encoding=False)


async def read() -> Contents:
    """All of it in one read: it is small, and what does not fit together is never seen together."""
    request = {
        "TableName": settings().table("vault"),
        "KeyConditionExpression": "pk = :vault",
        "ExpressionAttributeValues": {":vault": {"S": _VAULT}},
        "ConsistentRead": True,
    }
    rows: dict[str, dict[str, Any]] = {}
    while True:
        page = await wire.call("Query", request)
        rows |= {item["sk"]["S"]: from_item(item) for item in page["Items"]}
        if "LastEvaluatedKey" not in page:
            break
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]
    sealed = {
        name.removeprefix(_SECRET): SECRET.read(row)["sealed"] for name, row in rows.items() if name.startswith(_SECRET)
    }
    return Contents(_head(rows.get(_HEAD)), _lease(rows.get(_LEASE)), sealed)


async def renew(lease: Lease) -> None:
    """`expires_at` is the new one. Whoever has locked the vault meanwhile keeps it locked."""
    try:
        await wire.call(
            "UpdateItem",
            {
                "TableName": settings().table("vault"),
                "Key": to_item({"pk": _VAULT, "sk": _LEASE}),
                "UpdateExpression": "SET expires_at = :end",
                "ConditionExpression": "wrapped = :wrapped",
                "ExpressionAttributeValues": to_item({":end": epoch(lease.expires_at), ":wrapped": lease.wrapped}),
            },
            idempotent=True,
        )
    except wire.WireError as error:
        if not error.unmet:
            raise


def initialise(head: Head, lease: Lease, *also: Write) -> None:
    """Raises Unmet when somebody was first."""
    write_together([_save_head(head, None), _save_lease(lease), *also])


def open_(lease: Lease, *also: Write) -> None:
    """Raises Unmet when the password was changed meanwhile."""
    write_together([unchanged(lease.rev), _save_lease(lease), *also])


def close(*also: Write) -> None:
    item = LeaseItem()
    write_together([lambda transaction: transaction.delete(item), *also])


def rotate(before: Head, head: Head, lease: Lease, sealed: Mapping[str, bytes], *also: Write) -> None:
    """Everything sealed anew, together. Raises Unmet when a secret or the password was changed meanwhile."""
    saved = [_save(name, each) for name, each in sealed.items()]
    write_together([_save_head(head, before), _save_lease(lease), *saved, *also])


def put(name: str, sealed: bytes, rev: int) -> Iterable[Write]:
    """For the transaction that saves the provider; unmet when the password was changed since the key was read."""
    return [_edited(rev), _save(name, sealed)]


def remove(name: str, rev: int) -> Iterable[Write]:
    item = SecretItem(sk=f"{_SECRET}{name}")
    return [_edited(rev), lambda transaction: transaction.delete(item)]


def tell(*also: Write) -> None:
    """What changes nothing here is told all the same."""
    write_together(also)


def unchanged(rev: int) -> Write:
    condition = HeadItem.rev == rev
    return lambda transaction: transaction.condition_check(HeadItem, _VAULT, _HEAD, condition=condition)


def _edited(rev: int) -> Write:
    """A rotation that has not seen this edit is refused."""
    change, condition = HeadItem.edits.add(1), HeadItem.rev == rev
    return lambda transaction: transaction.update(HeadItem(), actions=[change], condition=condition)


def _save(name: str, sealed: bytes) -> Write:
    item = SecretItem(sk=f"{_SECRET}{name}", sealed=sealed)
    return lambda transaction: transaction.save(item)


def _as(head: Head) -> Condition:
    condition: Condition = (HeadItem.rev == head.rev) & (HeadItem.edits == head.edits)
    return condition


def _save_head(head: Head, before: Head | None) -> Write:
    costs = head.costs
    item = HeadItem(
        salt=head.salt,
        proof=head.proof,
        passes=costs.passes,
        memory_kib=costs.memory_kib,
        lanes=costs.lanes,
        rev=head.rev,
        edits=head.edits,
    )
    unmoved = HeadItem.pk.does_not_exist() if before is None else _as(before)

    def write(transaction: TransactWrite) -> None:
        transaction.save(item, condition=unmoved)

    return write


def _save_lease(lease: Lease) -> Write:
    item = LeaseItem(wrapped=lease.wrapped, rev=lease.rev, expires_at=epoch(lease.expires_at))
    return lambda transaction: transaction.save(item)


def _head(row: Mapping[str, Any] | None) -> Head | None:
    if row is None:
        return None
    row = VAULT.read(row)
    return Head(
        row["salt"], Costs(row["passes"], row["memory_kib"], row["lanes"]), row["proof"], row["rev"], row["edits"]
    )


def _lease(row: Mapping[str, Any] | None) -> Lease | None:
    return Lease(row["wrapped"], from_millis(row["expires_at"] * 1000), row["rev"]) if row else None
