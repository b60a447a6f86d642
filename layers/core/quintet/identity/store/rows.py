"""How the nouns lie in their rows, whoever carries them: PynamoDB for the control plane, the wire for the door."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from quintet.identity.model import ApiKey, Session, User
from quintet.store.clock import epoch, from_millis, millis

Row = Mapping[str, Any]


def key_row(key: ApiKey) -> dict[str, Any]:
    return _present(
        {
            "id": key.digest,
            "key_id": key.id,
            "hint": key.hint,
            "name": key.name,
            "owner": key.owner,
            "roles": list(key.roles),
            "scopes": list(key.scopes),
            "created_at": millis(key.created_at),
            "valid_until": _number(key.expires_at),
            "revoked_at": _number(key.revoked_at),
            "rev": key.rev,
        }
    )


def key_of(row: Row) -> ApiKey:
    return ApiKey(
        id=row["key_id"],
        digest=row["id"],
        hint=row["hint"],
        name=row["name"],
        owner=row["owner"],
        roles=tuple(row["roles"]),
        scopes=tuple(row["scopes"]),
        created_at=from_millis(row["created_at"]),
        expires_at=_moment(row.get("valid_until")),
        revoked_at=_moment(row.get("revoked_at")),
        rev=row["rev"],
    )


def user_row(user: User) -> dict[str, Any]:
    return _present(
        {
            "id": user.id,
            "email": user.email,
            "name": user.name,
            "username": user.username,
            "roles": list(user.roles),
            "password_hash": user.password_hash,
            "disabled": user.disabled,
            "created_at": millis(user.created_at),
            "last_login": _number(user.last_login),
            "sessions_from": _number(user.sessions_from),
            "links": list(user.links),
            "rev": user.rev,
        }
    )


def user_of(row: Row) -> User:
    return User(
        id=row["id"],
        email=row.get("email"),
        name=row.get("name"),
        username=row.get("username"),
        roles=tuple(row["roles"]),
        password_hash=row.get("password_hash"),
        disabled=row["disabled"],
        created_at=from_millis(row["created_at"]),
        last_login=_moment(row.get("last_login")),
        sessions_from=_moment(row.get("sessions_from")),
        links=tuple(row["links"]),
        rev=row["rev"],
    )


def session_row(session: Session) -> dict[str, Any]:
    return _present(
        {
            "id": session.id,
            "user_id": session.user_id,
            "token_id": session.token_id,
            "began_at": millis(session.began_at),
            "valid_until": millis(session.expires_at),
            "ended_at": _number(session.ended_at),
            "used_at": _number(session.used_at),
            "expires_at": epoch(session.expires_at),
        }
    )


def session_of(row: Row) -> Session:
    return Session(
        id=row["id"],
        user_id=row["user_id"],
        token_id=row["token_id"],
        began_at=from_millis(row["began_at"]),
        expires_at=from_millis(row["valid_until"]),
        ended_at=_moment(row.get("ended_at")),
        used_at=_moment(row.get("used_at")),
    )


def _present(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}


def _number(moment: datetime | None) -> int | None:
    return None if moment is None else millis(moment)


def _moment(number: int | None) -> datetime | None:
    return None if number is None else from_millis(number)
