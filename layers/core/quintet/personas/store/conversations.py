"""The conversations table: a row for every session, written by whoever has its floor."""

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from quintet.personas.model import Metrics, Process, Session, Status
from quintet.personas.shapes import PROCESS, SESSION
from quintet.personas.store import lists
from quintet.personas.store.processes import closing, moving_on
from quintet.personas.store.rows import after, kept_until, place, process_row, session_of, session_row
from quintet.settings import settings
from quintet.store import wire
from quintet.store.clock import epoch, millis
from quintet.store.pages import Page

_UNUSED = timedelta(hours=1)  # so long a row lives that nobody ever wrote a session into


async def take(key: str, turn: str, now: datetime, until: datetime) -> tuple[bool, Session | None]:
    try:
        answer = await wire.call(
            "UpdateItem",
            {
                "TableName": settings().table("conversations"),
                "Key": {"id": {"S": key}},
                "UpdateExpression": (
                    "SET turn = :turn, turn_until = :until, expires_at = if_not_exists(expires_at, :forget)"
                ),
                "ConditionExpression": "attribute_not_exists(turn) OR turn_until < :now OR turn = :turn",
                "ExpressionAttributeValues": wire.to_item(
                    {":turn": turn, ":until": millis(until), ":now": millis(now), ":forget": epoch(now + _UNUSED)}
                ),
                "ReturnValues": "ALL_NEW",
            },
            idempotent=True,
        )
    except wire.WireError as error:
        if error.unmet:
            return False, None
        raise
    return True, session_of(SESSION.row(answer["Attributes"]))


async def renew(key: str, turn: str, until: datetime) -> None:
    await _own(key, turn, "SET turn_until = :until", {":until": millis(until)})


async def give_back(key: str, turn: str) -> None:
    await _own(key, turn, "REMOVE turn, turn_until")


async def open(turn: str, session: Session, process: Process) -> bool:  # noqa: A001 - what a port calls it
    put = {
        "TableName": settings().table("processes"),
        "Item": PROCESS.item(process_row(process)),
        "ConditionExpression": "attribute_not_exists(id)",
    }
    return await _together({"Put": put}, {"Update": _written(turn, session)})


async def commit(turn: str, session: Session, metrics: Metrics) -> bool:
    return await _together(
        {"Update": _written(turn, session)}, {"Update": moving_on(session.process_id, metrics, session.active_until)}
    )


async def end(key: str, now: datetime, status: Status = Status.COMPLETED) -> None:
    session = await get(key)
    if session is None or not session.active_at(now):
        return
    over = {
        "TableName": settings().table("conversations"),
        "Key": {"id": {"S": key}},
        "UpdateExpression": "SET active_until = :now, alive = :alive, expires_at = :forget",
        "ConditionExpression": "process_id = :process",
        "ExpressionAttributeValues": wire.to_item(
            {
                ":now": millis(now),
                ":alive": place(now, key),
                ":forget": kept_until(now),
                ":process": session.process_id,
            }
        ),
    }
    await _together({"Update": over}, {"Update": closing(session.process_id, status, Metrics(), now)})


async def get(key: str) -> Session | None:
    answer = await wire.call(
        "GetItem",
        {"TableName": settings().table("conversations"), "Key": {"id": {"S": key}}, "ConsistentRead": True},
    )
    return session_of(SESSION.row(answer.get("Item", {})))


async def active(now: datetime, limit: int, cursor: str | None) -> Page[Session]:
    page = await lists.latest("conversations", "active", "alive", above=after(now), cursor=cursor, limit=limit)
    found = [session_of(SESSION.read(row)) for row in page.items]
    return Page([session for session in found if session is not None], page.after)


async def count(now: datetime) -> int:
    return await lists.count("conversations", "active", "alive", after(now))


def _written(turn: str, session: Session) -> dict[str, Any]:
    row = SESSION.numbered(session_row(session))
    names = {f"#{name}": name for name in row}
    return {
        "TableName": settings().table("conversations"),
        "Key": {"id": {"S": session.key}},
        "UpdateExpression": "SET " + ", ".join(f"#{name} = :{name}" for name in row),
        "ConditionExpression": "turn = :turn",
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": wire.to_item({":turn": turn, **{f":{name}": row[name] for name in row}}),
    }


async def _own(key: str, turn: str, change: str, values: Mapping[str, Any] | None = None) -> None:
    """What only the turn's holder may do; it is no news to one who no longer is."""
    try:
        await wire.call(
            "UpdateItem",
            {
                "TableName": settings().table("conversations"),
                "Key": {"id": {"S": key}},
                "UpdateExpression": change,
                "ConditionExpression": "turn = :turn",
                "ExpressionAttributeValues": wire.to_item({":turn": turn, **(values or {})}),
            },
            idempotent=True,
        )
    except wire.WireError as error:
        if not error.unmet:
            raise


async def _together(*writes: dict[str, Any]) -> bool:
    """Whether all conditions held."""
    try:
        await wire.call(
            "TransactWriteItems", {"TransactItems": list(writes), "ClientRequestToken": secrets.token_hex(16)}
        )
    except wire.WireError as error:
        if error.unmet:
            return False
        raise
    return True
