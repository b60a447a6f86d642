"""The keys table: a row for every secret, found by its digest, and a row for every key that says which is current."""

from pynamodb.attributes import ListAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.expressions.condition import Condition
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex
from pynamodb.transactions import TransactWrite

from quintet.identity.model import ApiKey, is_user_id
from quintet.identity.shapes import KEY, SECRET
from quintet.identity.store.accounts import revised
from quintet.identity.store.rows import key_of, key_row
from quintet.identity.store.users import UserItem
from quintet.store.pages import Page, Paging, newest_first
from quintet.store.tables import Table, TableName
from quintet.store.transactions import Unmet, Write, write_together

_ALL = "keys"


class SecretItem(Table):
    shape = SECRET

    class Meta:
        table_name = TableName("keys")

    id = UnicodeAttribute(hash_key=True)  # the digest
    key_id = UnicodeAttribute()
    hint = UnicodeAttribute()
    name = UnicodeAttribute()
    owner = UnicodeAttribute()
    roles = ListAttribute[str]()
    scopes = ListAttribute[str]()
    created_at = NumberAttribute()
    valid_until = NumberAttribute(null=True)
    revoked_at = NumberAttribute(null=True)
    rev = NumberAttribute()


class ListedIndex(GlobalSecondaryIndex["KeyItem"]):
    class Meta:
        index_name = "listed"
        projection = AllProjection()

    listed = UnicodeAttribute(hash_key=True)
    id = UnicodeAttribute(range_key=True)


class HeldIndex(GlobalSecondaryIndex["KeyItem"]):
    class Meta:
        index_name = "held"
        projection = AllProjection()

    held_by = UnicodeAttribute(hash_key=True)
    id = UnicodeAttribute(range_key=True)


class KeyItem(Table):
    shape = KEY

    class Meta:
        table_name = TableName("keys")

    id = UnicodeAttribute(hash_key=True)  # the key's id
    current = UnicodeAttribute()
    previous = UnicodeAttribute(null=True)
    held_by = UnicodeAttribute()
    listed = UnicodeAttribute(default=_ALL)
    listed_index = ListedIndex()
    held_index = HeldIndex()


def find(key_id: str) -> ApiKey | None:
    """The key as its current secret has it."""
    try:
        item = KeyItem.get(key_id, consistent_read=True)
        return key_of(SecretItem.get(item.current, consistent_read=True).attribute_values)
    except (KeyItem.DoesNotExist, SecretItem.DoesNotExist):
        return None


def add(key: ApiKey, *also: Write) -> None:
    """Raises Unmet when the owner is named as a user and is none, or a disabled one."""

    def write(transaction: TransactWrite) -> None:
        if is_user_id(key.owner):
            transaction.condition_check(UserItem, key.owner, condition=UserItem.disabled == False)  # noqa: E712
        transaction.save(SecretItem(**key_row(key)), condition=SecretItem.id.does_not_exist())
        transaction.save(KeyItem(key.id, current=key.digest, held_by=key.owner), condition=KeyItem.id.does_not_exist())

    write_together([write, *also])


def rotate(before: ApiKey, after: ApiKey, *also: Write) -> None:
    """`before` is the old secret with its new end. A secret still older is gone at once: there are two at the most.

    Raises Unmet when somebody else has changed the key since it was read.
    """
    head = KeyItem.get(before.id, consistent_read=True)
    if head.current != before.digest:
        raise Unmet(0)

    def write(transaction: TransactWrite) -> None:
        transaction.update(
            SecretItem(before.digest),
            actions=[SecretItem.valid_until.set(key_row(before)["valid_until"]), SecretItem.rev.set(after.rev)],
            condition=_unchanged(before),
        )
        transaction.save(SecretItem(**key_row(after)), condition=SecretItem.id.does_not_exist())
        transaction.update(
            head,
            actions=[KeyItem.current.set(after.digest), KeyItem.previous.set(before.digest)],
            condition=KeyItem.current == before.digest,
        )
        if head.previous:
            transaction.delete(SecretItem(head.previous))

    write_together([write, revised(after.account, after.rev), *also])


def revoke(before: ApiKey, after: ApiKey, *also: Write) -> None:
    """Raises Unmet when somebody else has changed the key since it was read."""
    row = key_row(after)

    def write(transaction: TransactWrite) -> None:
        transaction.update(
            SecretItem(before.digest),
            actions=[SecretItem.revoked_at.set(row["revoked_at"]), SecretItem.rev.set(after.rev)],
            condition=_unchanged(before),
        )

    write_together([write, revised(after.account, after.rev, closed=True), *also])


def page(paging: Paging, owner: str | None = None) -> Page[ApiKey]:
    found = (
        newest_first(KeyItem.held_index, owner, KeyItem.id, paging)
        if owner
        else newest_first(KeyItem.listed_index, _ALL, KeyItem.id, paging)
    )
    rows = SecretItem.batch_get([item.current for item in found.items], consistent_read=True)
    keys = {item.key_id: key_of(item.attribute_values) for item in rows}
    return Page([keys[item.id] for item in found.items if item.id in keys], found.after)


def _unchanged(key: ApiKey) -> Condition:
    unchanged: Condition = SecretItem.revoked_at.does_not_exist() & (SecretItem.rev == key.rev)
    return unchanged
