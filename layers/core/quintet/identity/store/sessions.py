"""The sessions table: a row for every login, which knows its newest refresh token."""

from datetime import datetime

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import UpdateError
from pynamodb.transactions import TransactWrite

from quintet.identity.model import Session, User
from quintet.identity.shapes import SESSION
from quintet.identity.store.accounts import revised
from quintet.identity.store.rows import session_of, session_row
from quintet.identity.store.users import UserItem
from quintet.store.clock import millis
from quintet.store.tables import Table, TableName
from quintet.store.transactions import Write, write_together


class SessionItem(Table):
    shape = SESSION

    class Meta:
        table_name = TableName("sessions")

    id = UnicodeAttribute(hash_key=True)
    user_id = UnicodeAttribute()
    token_id = UnicodeAttribute()
    began_at = NumberAttribute()
    valid_until = NumberAttribute()
    ended_at = NumberAttribute(null=True)
    used_at = NumberAttribute(null=True)
    expires_at = NumberAttribute()


def get(session_id: str) -> Session | None:
    try:
        return session_of(SessionItem.get(session_id, consistent_read=True).attribute_values)
    except SessionItem.DoesNotExist:
        return None


def add(session: Session) -> None:
    SessionItem(**session_row(session)).save(condition=SessionItem.id.does_not_exist())


def rotate(session: Session, token_id: str, at: datetime) -> bool:
    """Whether the session's refresh token was still the one that was read: of two that try, one succeeds."""
    unchanged = (SessionItem.token_id == session.token_id) & SessionItem.ended_at.does_not_exist()
    try:
        SessionItem(session.id).update(
            [SessionItem.token_id.set(token_id), SessionItem.used_at.set(millis(at))], condition=unchanged
        )
    except UpdateError as error:
        if error.cause_response_code == "ConditionalCheckFailedException":
            return False
        raise
    return True


def end(session: Session, user: User, at: datetime, *also: Write) -> None:
    """Its access tokens end with it: who holds one of this user's reads the session again.

    Raises Unmet when the session has ended already, or the user has been changed since it was read.
    """

    def write(transaction: TransactWrite) -> None:
        transaction.update(
            SessionItem(session.id),
            actions=[SessionItem.ended_at.set(millis(at))],
            condition=SessionItem.ended_at.does_not_exist() & (SessionItem.user_id == user.id),
        )
        transaction.update(
            UserItem(user.id), actions=[UserItem.rev.set(user.rev + 1)], condition=UserItem.rev == user.rev
        )

    write_together([write, revised(user.account, user.rev + 1), *also])
