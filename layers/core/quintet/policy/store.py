"""The agents table: an agent's state under the key of its owner, and the answers of its named steps.

One row a state, small enough that a step of the shipped policies costs one write unit. Every write says which state
it follows: of two that follow the same one, one happens, and the other learns what there is now.
"""

import asyncio
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from quintet.policy.model import Agent, Change, Lost, NamedStep, Ref, Taken
from quintet.policy.shapes import AGENT
from quintet.settings import settings
from quintet.store import wire
from quintet.store.clock import epoch, from_millis, millis
from quintet.store.shapes import Row

_STATE = "state"
_STEP_KEPT = timedelta(hours=24)
_MOST_READ = 100  # rows in one BatchGetItem
_MOST_WRITTEN = 100  # rows in one transaction
_MOST_BYTES = 5 << 19  # of state in one transaction: it takes 4 MB, and base64 makes a third more of it
_ROUNDS = 8
_DIGEST = 16  # letters of it that a row keeps


class Agents:
    async def read(self, key: str) -> Agent | None:
        answer = await wire.call(
            "GetItem", {"TableName": _table(), "Key": wire.to_item(_key(key)), "ConsistentRead": True}
        )
        return _agent(AGENT.row(answer["Item"])) if "Item" in answer else None

    async def read_many(self, keys: Sequence[str]) -> dict[str, Agent]:
        chunks = [keys[place : place + _MOST_READ] for place in range(0, len(keys), _MOST_READ)]
        found: dict[str, Agent] = {}
        for rows in await asyncio.gather(*(self._read_chunk(chunk) for chunk in chunks)):
            found.update((row["id"], _agent(row)) for row in rows)
        return found

    async def _read_chunk(self, keys: Sequence[str]) -> list[Row]:
        asked: Mapping[str, Any] = {
            _table(): {"Keys": [wire.to_item(_key(key)) for key in keys], "ConsistentRead": True}
        }
        rows: list[Row] = []
        for round_ in range(_ROUNDS):
            answer = await wire.call("BatchGetItem", {"RequestItems": asked})
            rows += [AGENT.row(row) for row in answer["Responses"].get(_table(), ())]
            asked = answer.get("UnprocessedKeys") or {}
            if not asked:
                return rows
            await asyncio.sleep(random.uniform(0, 0.02 * 2**round_))  # noqa: S311 - jitter, not a secret
        raise wire.WireError("ThrottlingException", "DynamoDB left keys unread")

    async def write(self, change: Change) -> None:
        try:
            await wire.call("PutItem", _put(change), idempotent=True)
        except wire.WireError as error:
            if not error.unmet:
                raise
            now = _agent(AGENT.read(error.item)) if error.item else None
            if now is not None and now.mark == change.after.mark:
                return  # a repeated try has met its own first one
            raise Lost({change.key: now}) from None

    async def write_named(self, change: Change, step: NamedStep) -> None:
        """The step's own row lives as long as a caller may sensibly try again."""
        named = {
            **_key(change.key, f"step#{change.after.life}#{step.id}"),
            "fingerprint": step.fingerprint,
            "answer": json.dumps(step.answer, separators=(",", ":")),
            "expires_at": epoch(change.after.at + _STEP_KEPT),
        }
        record = {
            "TableName": _table(),
            "Item": wire.to_item(named),
            "ConditionExpression": "attribute_not_exists(id) OR expires_at <= :now",
            "ExpressionAttributeValues": wire.to_item({":now": epoch(change.after.at)}),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        reasons = await self._transact([record, _put(change)], change.after.mark)
        if reasons is None:
            return
        taken, lost = (reason.code == "ConditionalCheckFailed" for reason in reasons)
        if taken and reasons[0].item:
            raise Taken(reasons[0].item["fingerprint"], json.loads(reasons[0].item["answer"]))
        assert lost
        raise Lost({change.key: _agent(AGENT.read(reasons[1].item)) if reasons[1].item else None})

    async def write_many(self, changes: Sequence[Change]) -> None:
        lost: dict[str, Agent | None] = {}
        for part in await asyncio.gather(*(self._write_chunk(chunk) for chunk in _chunks(changes))):
            lost |= part
        if lost:
            raise Lost(lost)

    async def _write_chunk(self, changes: Sequence[Change]) -> dict[str, Agent | None]:
        """What was not written: all of the chunk or nothing."""
        if len(changes) == 1:  # half the price of a transaction
            try:
                await self.write(changes[0])
            except Lost as lost:
                return lost.now
            return {}
        reasons = await self._transact([_put(change) for change in changes], changes[0].after.mark)
        if reasons is None:
            return {}
        return {
            change.key: (_agent(AGENT.read(reason.item)) if reason.item else None)
            if reason.code == "ConditionalCheckFailed"
            else change.before
            for change, reason in zip(changes, reasons, strict=True)
        }

    async def _transact(self, puts: Sequence[Mapping[str, Any]], token: str) -> tuple[wire.Reason, ...] | None:
        """None when it happened. The token makes a repeated try harmless."""
        request = {"TransactItems": [{"Put": put} for put in puts], "ClientRequestToken": token}
        try:
            await wire.call("TransactWriteItems", request)
        except wire.WireError as error:
            if not error.unmet:
                raise
            return error.reasons
        return None

    async def replace(self, key: str, agent: Agent) -> None:
        await wire.call("PutItem", {"TableName": _table(), "Item": _row(key, agent)}, idempotent=True)

    async def remove(self, key: str) -> None:
        await wire.call("DeleteItem", {"TableName": _table(), "Key": wire.to_item(_key(key))}, idempotent=True)


def _table() -> str:
    return settings().table("agents")


def _key(key: str, part: str = _STATE) -> dict[str, str]:
    return {"id": key, "part": part}


def _chunks(changes: Sequence[Change]) -> Iterator[Sequence[Change]]:
    """As many as one transaction takes."""
    size = max((len(change.after.state) for change in changes), default=0)
    most = max(1, min(_MOST_WRITTEN, _MOST_BYTES // max(1, size)))
    return (changes[place : place + most] for place in range(0, len(changes), most))


def _put(change: Change) -> dict[str, Any]:
    before = change.before
    values: dict[str, Any]
    if before is None:
        # What has expired is gone, whether or not DynamoDB has come to remove it.
        condition, values = "attribute_not_exists(id) OR expires_at <= :now", {":now": epoch(change.after.at)}
    else:
        condition, values = "life = :life AND steps = :steps", {":life": before.life, ":steps": before.version}
    return {
        "TableName": _table(),
        "Item": _row(change.key, change.after),
        "ConditionExpression": condition,
        "ExpressionAttributeValues": wire.to_item(values),
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def _row(key: str, agent: Agent) -> dict[str, Any]:
    row = {
        **_key(key),
        "policy": str(agent.ref),
        "digest": agent.digest[:_DIGEST],
        "life": agent.life,
        "steps": agent.version,
        "state": agent.state,
        "mark": agent.mark,
        "born_at": millis(agent.born_at),
        "at": millis(agent.at),
        "expires_at": epoch(agent.expires_at),
    }
    if agent.seed is not None:
        row["seed"] = agent.seed
    return AGENT.item(row)


def _agent(row: Mapping[str, Any]) -> Agent:
    return Agent(
        ref=Ref.read(row["policy"]),
        digest=row["digest"],
        life=row["life"],
        version=row["steps"],
        state=bytes(row["state"]),
        mark=row["mark"],
        born_at=from_millis(row["born_at"]),
        at=from_millis(row["at"]),
        expires_at=datetime.fromtimestamp(row["expires_at"], UTC),
        seed=row.get("seed"),
    )
