"""The users table: a row for every user, and rows that make a login name or a foreign identity belong to one."""

from collections.abc import Iterable
from datetime import datetime

from pynamodb.attributes import BooleanAttribute, ListAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.expressions.update import Action
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection
from pynamodb.transactions import TransactWrite

from quintet.identity.model import Taken, User
from quintet.identity.shapes import USER
from quintet.identity.store.accounts import revised
from quintet.identity.store.rows import user_of, user_row
from quintet.store.clock import millis
from quintet.store.pages import Page, Paging, newest_first
from quintet.store.tables import Table, TableName
from quintet.store.transactions import Unmet, Write, write_together

_ALL = "users"
_NOBODY = "nobody"


class ListedIndex(GlobalSecondaryIndex["UserItem"]):
    class Meta:
        index_name = "listed"
        projection = KeysOnlyProjection()

    listed = UnicodeAttribute(hash_key=True)
    id = UnicodeAttribute(range_key=True)


class UserItem(Table):
    shape = USER

    class Meta:
        table_name = TableName("users")

    id = UnicodeAttribute(hash_key=True)
    email = UnicodeAttribute(null=True)
    name = UnicodeAttribute(null=True)
    username = UnicodeAttribute(null=True)
    roles = ListAttribute[str]()
    password_hash = UnicodeAttribute(null=True)
    disabled = BooleanAttribute()
    created_at = NumberAttribute()
    last_login = NumberAttribute(null=True)
    sessions_from = NumberAttribute(null=True)
    links = ListAttribute[str]()
    rev = NumberAttribute()
    listed = UnicodeAttribute(default=_ALL)
    listed_index = ListedIndex()


class NameItem(Table):
    """`login#<name>` or `link#<identity>`: there is one of each, so it belongs to one user."""

    class Meta:
        table_name = TableName("users")

    id = UnicodeAttribute(hash_key=True)
    user_id = UnicodeAttribute()


def get(user_id: str) -> User | None:
    try:
        return user_of(UserItem.get(user_id, consistent_read=True).attribute_values)
    except UserItem.DoesNotExist:
        return None


def by_name(name: str) -> User | None:
    """`name` as `User.names` spells it. One that nobody has takes two reads like any other: time tells nothing."""
    try:
        user_id = NameItem.get(name, consistent_read=True).user_id
    except NameItem.DoesNotExist:
        user_id = _NOBODY
    return get(user_id)


def add(user: User, *also: Write) -> None:
    """Raises Taken."""
    row = UserItem(**user_row(user))
    _write(
        lambda transaction: transaction.save(row, condition=UserItem.id.does_not_exist()),
        _names(user.id, gained=user.names),
        *also,
    )


def change(before: User, after: User, *also: Write) -> None:
    """Raises Taken, or Unmet when somebody else has changed the user since it was read."""
    row = user_row(after)
    actions: list[Action] = [
        each.set(row[each.attr_name]) if each.attr_name in row else each.remove() for each in _CHANGING
    ]
    actions.append(UserItem.of_our_shape())
    _write(
        lambda transaction: transaction.update(
            UserItem(before.id), actions=actions, condition=UserItem.rev == before.rev
        ),
        _names(before.id, lost=before.names - after.names, gained=after.names - before.names),
        revised(after.account, after.rev, closed=after.disabled),
        *also,
    )


def remove(user: User, *also: Write) -> None:
    """Raises Unmet when somebody else has changed the user since it was read."""
    _write(
        lambda transaction: transaction.delete(UserItem(user.id), condition=UserItem.rev == user.rev),
        _names(user.id, lost=user.names),
        revised(user.account, user.rev + 1, closed=True),
        *also,
    )


def note_login(user_id: str, at: datetime) -> None:
    UserItem(user_id).update([UserItem.last_login.set(millis(at))], condition=UserItem.id.exists())


def page(paging: Paging) -> Page[User]:
    found = newest_first(UserItem.listed_index, _ALL, UserItem.id, paging)
    rows = UserItem.batch_get([item.id for item in found.items], consistent_read=True)
    users = {item.id: user_of(item.attribute_values) for item in rows}
    return Page([users[item.id] for item in found.items if item.id in users], found.after)


_CHANGING = (
    UserItem.email,
    UserItem.name,
    UserItem.username,
    UserItem.roles,
    UserItem.password_hash,
    UserItem.disabled,
    UserItem.sessions_from,
    UserItem.links,
    UserItem.rev,
)


def _names(user_id: str, *, gained: Iterable[str] = (), lost: Iterable[str] = ()) -> Write:
    def write(transaction: TransactWrite) -> None:
        for name in lost:
            transaction.delete(NameItem(name), condition=NameItem.user_id == user_id)
        for name in gained:
            transaction.save(NameItem(name, user_id=user_id), condition=NameItem.id.does_not_exist())

    return write


def _write(row: Write, names: Write, *others: Write) -> None:
    try:
        write_together([row, names, *others])
    except Unmet as unmet:
        if unmet.index == 1:
            raise Taken from unmet
        raise
