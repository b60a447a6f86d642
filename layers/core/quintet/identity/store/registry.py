"""What the door asks on every request: the records behind a credential, and the caller's account. Signed and raw.

An account is the one item per caller that a request may write, so that counting, spending and revocation meet in one
conditional write. Its key is `key#<API key's id>`, `user#<subject>`, `static#token`, `ip#<address>`, or, for passwords
given with a name, `login#<digest>`; its attributes are

| attribute | whose | what |
|---|---|---|
| `closed` | identity | there when the caller was turned out: no write may succeed any more |
| `rev` | identity | revision of the key or user behind the account: a cached record of another revision is stale |
| `last_used` | any write | seconds |
| `n_<group>`, `r_<group>` | identity | requests in the window of a limit, and when it ends, in milliseconds |
| `expires_at` | identity | time to live of `ip#` and `login#` accounts |
| `l_*` | the model gateway's ledger | what is free, spent and reserved |

A room that writes the account itself (the ledger does) joins `standing(caller.rev)` to its condition and `noting` to
its changes, and gives the old item of a failed one to `Stale.check`; on Stale it awaits `exchange.confirm()`, which
reads the caller again or raises what to answer, and tries once more. Its routes depend on `door.provisional_principal`,
which spares the extra write.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from quintet.errors import Failure, Kind
from quintet.identity.limits import Limit, Tally
from quintet.identity.model import ApiKey, Session, User
from quintet.identity.store.rows import key_of, session_of, user_of
from quintet.settings import settings
from quintet.store import wire
from quintet.store.clock import epoch, from_millis, millis
from quintet.store.items import from_item, to_item

_ATTEMPTS = 5
_PASSING = ("ip#", "login#")
_KEPT_UNUSED = timedelta(hours=2)  # longer than any window


class Stale(Exception):  # noqa: N818 - an outcome: what was remembered of the caller no longer holds
    """`closed` says that reading the caller's record again is of no use: it was turned out."""

    def __init__(self, *, closed: bool) -> None:
        super().__init__("closed" if closed else "of another revision")
        self.closed = closed

    @classmethod
    def check(cls, account: Mapping[str, Any], rev: int | None) -> None:
        """Raises Stale when the account, as it is, does not let a caller of revision `rev` in."""
        if "closed" in account:
            raise cls(closed=True)
        if rev is not None and account.get("rev", rev) != rev:
            raise cls(closed=False)


def standing(rev: int | None) -> tuple[str, dict[str, Any]]:
    """The condition that a caller of revision `rev` still stands, and the values in it."""
    if rev is None:
        return "attribute_not_exists(closed)", {}
    return "attribute_not_exists(closed) AND (attribute_not_exists(rev) OR rev = :rev)", {":rev": rev}


def noting(account: str, now: datetime) -> tuple[list[str], dict[str, Any]]:
    """What every write of an account sets beside its own, and the values in it."""
    if account.startswith(_PASSING):
        values = {":used": epoch(now), ":forget": epoch(now + _KEPT_UNUSED)}
        return ["last_used = :used", "expires_at = :forget"], values
    return ["last_used = :used"], {":used": epoch(now)}


async def key(digest: str) -> ApiKey | None:
    row = await _row("keys", digest)
    return key_of(row) if row else None


async def session(user_id: str, session_id: str) -> tuple[User, Session] | None:
    user, its_session = await asyncio.gather(_row("users", user_id), _row("sessions", session_id))
    return (user_of(user), session_of(its_session)) if user and its_session else None


async def confirm(account: str, rev: int | None, now: datetime) -> None:
    """Notes that the caller was here, where nothing else is written of the request. Raises Stale."""
    await _write(account, rev, now)


async def count(account: str, rev: int | None, limit: Limit, now: datetime) -> Tally:
    """One conditional write; a second one only when the window before this request is over. Raises Stale.

    What is turned away is not counted.
    """
    number, end = f"n_{limit.group}", f"r_{limit.group}"
    change, condition = _within(number, end, limit.renewed)
    values = {":one": 1, ":now": millis(now), ":end": millis(now + timedelta(seconds=limit.seconds))}
    for _ in range(_ATTEMPTS):
        try:
            window = await _write(
                account,
                rev,
                now,
                change,
                condition,
                {**values, ":zero": 0, ":most": limit.most},
            )
        except _Unmet as refused:
            if refused.account[end] > millis(now):
                return Tally(False, 0, from_millis(refused.account[end]))
        else:
            return _tally(limit, window[number], window[end])
        with suppress(_Unmet):  # another request has opened the window in between: count within that one
            await _write(account, rev, now, f"{number} = :one, {end} = :end", f"{end} <= :now", values)
            return _tally(limit, 1, values[":end"])
    raise Failure(Kind.UNAVAILABLE, "Too much at once: try again", retry_after=1)


@cache
def _within(number: str, end: str, renewed: bool) -> tuple[str, str]:
    """The change that counts a request in its window, and its condition."""
    new_end = ":end" if renewed else f"if_not_exists({end}, :end)"
    return (
        f"{number} = if_not_exists({number}, :zero) + :one, {end} = {new_end}",
        f"(attribute_not_exists({end}) OR ({end} > :now AND {number} < :most))",
    )


async def reset(account: str) -> None:
    """For accounts that hold nothing but windows."""
    key = {"id": {"S": account}}
    await wire.call("DeleteItem", {"TableName": settings().table("accounts"), "Key": key}, idempotent=True)


class _Unmet(Exception):  # noqa: N818 - an outcome
    """What the account was like, that the condition on it did not hold."""

    def __init__(self, account: Mapping[str, Any]) -> None:
        super().__init__("the window is full, or over")
        self.account = account


async def _write(
    account: str,
    rev: int | None,
    now: datetime,
    change: str = "",
    condition: str = "",
    values: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    stands, its_values = standing(rev)
    noted, their_values = noting(account, now)
    values = {**(values or {}), **its_values, **their_values}
    try:
        answer = await wire.call(
            "UpdateItem",
            {
                "TableName": settings().table("accounts"),
                "Key": {"id": {"S": account}},
                "UpdateExpression": "SET " + ", ".join([*noted, change] if change else noted),
                "ConditionExpression": f"{stands} AND {condition}" if condition else stands,
                "ExpressionAttributeValues": to_item(values),
                "ReturnValues": "UPDATED_NEW",
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            },
            idempotent=True,  # counted twice at the worst, which lets nobody in who should stay out
        )
    except wire.WireError as error:
        if not error.unmet or error.item is None:
            raise
        Stale.check(error.item, rev)
        raise _Unmet(error.item) from None
    return from_item(answer["Attributes"])


def _tally(limit: Limit, number: int, end: int) -> Tally:
    return Tally(True, max(0, limit.most - number), from_millis(end))


async def _row(table: str, key: str) -> dict[str, Any]:
    """Empty when there is none."""
    answer = await wire.call(
        "GetItem", {"TableName": settings().table(table), "Key": {"id": {"S": key}}, "ConsistentRead": True}
    )
    return from_item(answer.get("Item", {}))
