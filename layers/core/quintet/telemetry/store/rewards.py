"""The rewards table: one row a call, in the hour and shard of its request's record."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from pynamodb.attributes import NumberAttribute, UnicodeAttribute

from quintet.settings import settings
from quintet.store import wire
from quintet.store.clock import epoch, from_millis, millis
from quintet.store.tables import Table, TableName
from quintet.store.transactions import Write, write_together
from quintet.telemetry.requests import bucket_of
from quintet.telemetry.rewards import Belief, Reward, beliefs, blended
from quintet.telemetry.rules import BANDIT, REWARDS, reward_units
from quintet.telemetry.series import Series
from quintet.telemetry.shapes import REWARD
from quintet.telemetry.store.books import totals
from quintet.telemetry.store.log import Log

LOG = Log("rewards", "id", REWARDS, REWARD)


class RewardItem(Table):
    shape = REWARD

    class Meta:
        table_name = TableName("rewards")

    bucket = UnicodeAttribute(hash_key=True)
    id = UnicodeAttribute(range_key=True)
    reward = NumberAttribute()
    feedback = NumberAttribute(null=True)


class BeliefItem(Table):
    class Meta:
        table_name = TableName("series")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    reward = NumberAttribute(attr_name="+reward")


async def note(rewards: Sequence[Reward]) -> None:
    """A reward that is there already stays as it is: what a caller has said of it is not lost."""
    await asyncio.gather(*(_note(reward) for reward in rewards))


async def _note(reward: Reward) -> None:
    try:
        await wire.call(
            "PutItem",
            {
                "TableName": settings().table("rewards"),
                "Item": REWARD.item(_item(reward)),
                "ConditionExpression": "attribute_not_exists(id)",
            },
            idempotent=True,
        )
    except wire.WireError as error:
        if not error.unmet:
            raise


async def of_record(record: Mapping[str, Any]) -> list[Reward]:
    """The rewards of a request's calls."""
    answer = await wire.call(
        "Query",
        {
            "TableName": settings().table("rewards"),
            "KeyConditionExpression": "#bucket = :bucket AND begins_with(id, :record)",
            "ExpressionAttributeNames": {"#bucket": "bucket"},
            "ExpressionAttributeValues": wire.to_item(
                {":bucket": record["bucket"], ":record": f"{record['record_id']}#"}
            ),
            "ConsistentRead": True,
        },
    )
    return [reward_of(REWARD.row(item)) for item in answer["Items"]]


def hear(reward: Reward, feedback: float, *also: Write) -> float:
    """Blends in what a caller says, and what sampling believes with it. Raises Unmet when one has spoken before."""
    mean = blended(reward.reward, feedback)
    item = RewardItem(bucket_of(reward.id.partition("#")[0]), reward.id)
    series = Series.of(BANDIT, model=reward.model, bucket=reward.bucket)
    belief = BeliefItem(f"{BANDIT}#total", f"{series.name}#0")
    change = reward_units(mean) - reward_units(reward.reward)
    write_together(
        [
            lambda transaction: transaction.update(
                item,
                actions=[RewardItem.reward.set(mean), RewardItem.feedback.set(feedback)],
                condition=RewardItem.feedback.does_not_exist() & RewardItem.id.exists(),
            ),
            lambda transaction: transaction.update(
                belief, actions=[BeliefItem.reward.add(change)], condition=BeliefItem.pk.exists()
            ),
            *also,
        ]
    )
    return mean


async def believed() -> dict[tuple[str, str], Belief]:
    """What Thompson sampling draws from, by model and bucket."""
    return beliefs(await totals(BANDIT))


def reward_of(item: Mapping[str, Any]) -> Reward:
    decision = item.get("decision")
    return Reward(
        **{name: item[name] for name in _COPIED},
        bucket=item["size"],
        at=from_millis(item["at"]),
        decision=json.loads(decision) if decision else None,
        feedback=item.get("feedback"),
    )


_COPIED = (
    "id",
    "call_id",
    "request_id",
    "model",
    "provider",
    "mode",
    "reward",
    "status",
    "cost",
    "latency_ms",
    "estimated_tokens",
    "latency_budget_ms",
)


def _item(reward: Reward) -> dict[str, Any]:
    kept = {name: getattr(reward, name) for name in _COPIED}
    kept |= {
        "bucket": bucket_of(reward.id.partition("#")[0]),
        "size": reward.bucket,
        "at": millis(reward.at),
        "expires_at": epoch(reward.at + timedelta(days=settings().request_log_days)),
    }
    if reward.decision:
        kept["decision"] = json.dumps(reward.decision, separators=(",", ":"))
    return kept
