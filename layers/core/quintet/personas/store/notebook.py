"""The personas table: what personas keep, who was first to claim a mark, and who is on which call."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from quintet.personas.model import Note, Persona, Post
from quintet.personas.shapes import GOALS, NOTE, POST
from quintet.settings import settings
from quintet.store import wire
from quintet.store.clock import epoch, from_millis, millis
from quintet.store.pages import Page

_FEED = "feed"
_POSTS_KEPT = timedelta(days=365)


async def write(page: str, note: Note, expires_at: datetime | None) -> None:
    row: dict[str, Any] = {
        "pk": page,
        "sk": note.id,
        "kind": note.kind,
        "text": note.text,
        "at": millis(note.at),
        "more": dict(note.more),
    }
    if expires_at is not None:
        row["expires_at"] = epoch(expires_at)
    await wire.call("PutItem", {"TableName": _table(), "Item": NOTE.item(row)}, idempotent=True)


async def read(page: str, limit: int) -> Sequence[Note]:
    rows = map(NOTE.read, await _rows(page, limit))
    return [Note(row["sk"], row["kind"], row["text"], from_millis(row["at"]), row["more"]) for row in rows]


async def goals(persona: Persona) -> Sequence[str]:
    """Those of the cast until somebody sets others."""
    row = GOALS.read(await _row(f"persona#{persona.id}", "goals"))
    return tuple(row.get("goals", persona.goals))


async def set_goals(persona: Persona, goals: Sequence[str]) -> None:
    row = {"pk": f"persona#{persona.id}", "sk": "goals", "goals": list(goals)}
    await wire.call("PutItem", {"TableName": _table(), "Item": GOALS.item(row)}, idempotent=True)


async def post(post: Post, quiet_until: datetime) -> bool:
    """Who may not speak yet is found out by the write that says who spoke last."""
    last = {
        "TableName": _table(),
        "Key": wire.to_item({"pk": f"persona#{post.persona}", "sk": "posting"}),
        "UpdateExpression": "SET quiet_until = :until",
        "ConditionExpression": "attribute_not_exists(quiet_until) OR quiet_until <= :now",
        "ExpressionAttributeValues": wire.to_item({":until": millis(quiet_until), ":now": millis(post.at)}),
    }
    row = {
        "pk": _FEED,
        "sk": post.id,
        "persona": post.persona,
        "text": post.text,
        "at": millis(post.at),
        "expires_at": epoch(post.at + _POSTS_KEPT),
    }
    put = {"TableName": _table(), "Item": POST.item(row)}
    own = {"TableName": _table(), "Item": POST.item({**row, "pk": f"{_FEED}#{post.persona}"})}
    try:
        await wire.call(
            "TransactWriteItems",
            {"TransactItems": [{"Update": last}, {"Put": put}, {"Put": own}], "ClientRequestToken": post.id[-36:]},
        )
    except wire.WireError as error:
        if error.unmet:
            return False
        raise
    return True


async def feed(limit: int, cursor: str | None, persona: str | None) -> Page[Post]:
    rows = await _rows(_FEED if persona is None else f"{_FEED}#{persona}", limit + 1, below=cursor or None)
    posts = [Post(row["sk"], row["persona"], row["text"], from_millis(row["at"])) for row in map(POST.read, rows)]
    return Page(posts[:limit], posts[limit - 1].id if len(posts) > limit else None)


async def claim(mark: str, now: datetime, until: datetime, expires_at: datetime) -> bool:
    try:
        await wire.call(
            "PutItem",
            {
                "TableName": _table(),
                "Item": wire.to_item(
                    {"pk": f"mark#{mark}", "sk": "mark", "until": millis(until), "expires_at": epoch(expires_at)}
                ),
                "ConditionExpression": "attribute_not_exists(pk) OR (attribute_not_exists(done) AND #until <= :now)",
                "ExpressionAttributeNames": {"#until": "until"},
                "ExpressionAttributeValues": wire.to_item({":now": millis(now)}),
            },
        )
    except wire.WireError as error:
        if error.unmet:
            return False
        raise
    return True


async def finish(mark: str) -> None:
    await wire.call(
        "UpdateItem",
        {
            "TableName": _table(),
            "Key": wire.to_item({"pk": f"mark#{mark}", "sk": "mark"}),
            "UpdateExpression": "SET done = :done",
            "ExpressionAttributeValues": wire.to_item({":done": True}),
        },
        idempotent=True,
    )


async def drop(mark: str) -> None:
    key = wire.to_item({"pk": f"mark#{mark}", "sk": "mark"})
    await wire.call("DeleteItem", {"TableName": _table(), "Key": key}, idempotent=True)


async def note(call_id: str, facts: Mapping[str, str], expires_at: datetime) -> None:
    names = {f"#{name}": name for name in facts}
    change = "".join(f", #{name} = :{name}" for name in facts)
    await wire.call(
        "UpdateItem",
        {
            "TableName": _table(),
            "Key": wire.to_item({"pk": f"call#{call_id}", "sk": "call"}),
            "UpdateExpression": f"SET expires_at = :forget{change}",
            **({"ExpressionAttributeNames": names} if names else {}),
            "ExpressionAttributeValues": wire.to_item(
                {":forget": epoch(expires_at), **{f":{name}": value for name, value in facts.items()}}
            ),
        },
        idempotent=True,
    )


async def find(call_id: str) -> Mapping[str, str]:
    row = await _row(f"call#{call_id}", "call")
    return {name: value for name, value in row.items() if name not in {"pk", "sk", "expires_at"}}


async def _row(pk: str, sk: str) -> dict[str, Any]:
    key = wire.to_item({"pk": pk, "sk": sk})
    answer = await wire.call("GetItem", {"TableName": _table(), "Key": key, "ConsistentRead": True})
    return wire.from_item(answer.get("Item", {}))


async def _rows(pk: str, limit: int, below: str | None = None) -> list[dict[str, Any]]:
    values = {":pk": pk} if below is None else {":pk": pk, ":below": below}
    answer = await wire.call(
        "Query",
        {
            "TableName": _table(),
            "KeyConditionExpression": "pk = :pk" if below is None else "pk = :pk AND sk < :below",
            "ExpressionAttributeValues": wire.to_item(values),
            "ScanIndexForward": False,
            "Limit": limit,
            "ConsistentRead": True,
        },
    )
    return [wire.from_item(item) for item in answer["Items"]]


def _table() -> str:
    return settings().table("personas")
