"""cyborgmind.md over HTTP: /reset, /step, /step_batch; also /fork and /agents."""

from quintet.http.app import create_app, exchange
from quintet.telemetry.lambdas import serve

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from quintet.errors import Failure, Kind
from quintet.http.answers import Figures, Json
from quintet.http.exchange import Exchange
from quintet.identity.door import gate, permitted
from quintet.identity.model import Principal
from quintet.policy.live import stepping
from quintet.policy.model import (
    DEFAULT_AGENT,
    MOST_SEED,
    Agent,
    Handle,
    Order,
    Spent,
    Wanted,
    agent_key,
    checked_id,
    unknown,
)
from quintet.settings import settings
from quintet.store.clock import iso
from quintet.telemetry.requests import record

router = APIRouter()

Caller = Annotated[Principal, Depends(permitted("infer"))]
Asked = Annotated[Exchange, Depends(exchange)]


class PolicyChoice(BaseModel):
    """`policy` and `version` are for agents that begin; those that run keep theirs."""

    policy: str | None = None
    version: str | int | None = None

    def wanted(self) -> Wanted:
        return Wanted(self.policy, None if self.version is None else str(self.version))


class Reset(PolicyChoice):
    agent_id: str | None = None


class Inference(PolicyChoice):
    deterministic: bool = False
    seed: int | None = Field(default=None, ge=0, le=MOST_SEED)

    def order(self) -> Order:
        return Order(self.deterministic, self.seed, self.wanted())


class OneStep(Inference):
    observation: list[Any]
    agent_id: str | None = None
    step_id: str | None = None


class ManySteps(Inference):
    observations: list[Any]
    agent_ids: list[str] | None = None


class Fork(BaseModel):
    agent_id: str | None = None
    new_agent_id: str


@router.post("/reset")
async def reset(
    by: Caller, asked: Asked, body: Reset | None = None, agent_id: Annotated[str | None, Query()] = None
) -> Json:
    body = body or Reset()
    handle = _handle(by, body.agent_id if body.agent_id is not None else agent_id)
    spent = Spent()
    asked.facts["agent_id"] = handle.agent_id
    agent = await stepping().reset(handle, body.wanted(), spent)
    _tell(asked, spent, policy=str(agent.ref))
    return Json(
        {
            "message": "Agent state reset",
            "agent_id": handle.agent_id,
            "state": {"hidden": "initialized", "memory": "initialized"},
        }
    )


@router.post("/step")
async def step(by: Caller, asked: Asked, body: OneStep) -> Json:
    """Which state of the agent it made, and the seed that it drew, stand in the answer's headers and in its record."""
    handle = _handle(by, body.agent_id)
    spent = Spent()
    asked.facts["agent_id"] = handle.agent_id
    step_id = None if body.step_id is None else checked_id(body.step_id, "step_id")
    done = await stepping().step(handle, body.observation, body.order(), spent, step_id)
    _tell(asked, spent, agent_version=done.version, seed=done.seed, deterministic=body.deterministic)
    headers = {"x-agent-version": str(done.version)}
    if done.seed is not None:
        headers["x-step-seed"] = str(done.seed)
    return Json(
        {
            "action": done.action,
            "value": done.value,
            "log_prob": done.log_prob,
            "agent_id": handle.agent_id,
            "pressure": done.pressure,
        },
        headers=headers,
    )


@router.post("/step_batch")
async def step_batch(by: Caller, asked: Asked, body: ManySteps) -> Figures:
    spent = Spent()
    order = body.order()
    asked.facts["batch"] = len(body.observations)
    if body.agent_ids is None:
        _, answers = await stepping().choose(body.observations, order, spent)
        actions, values, log_probs = answers.actions, answers.values, answers.log_probs
    else:
        if len(body.agent_ids) != len(body.observations):
            raise Failure(
                Kind.REJECTED,
                f"Expected as many agent_ids as observations: {len(body.observations)}, got {len(body.agent_ids)}",
            )
        handles = [_handle(by, agent_id) for agent_id in body.agent_ids]
        chosen = await stepping().step_batch(handles, body.observations, order, spent)
        actions, values, log_probs = map(list, zip(*chosen, strict=True))
    _tell(asked, spent, deterministic=body.deterministic)
    return Figures(
        {
            "actions": actions,
            "values": values,
            "log_probs": log_probs,
            "agent_ids": body.agent_ids or [],
        }
    )


@router.post("/fork")
async def fork(by: Caller, asked: Asked, body: Fork) -> Json:
    """A copy of an agent under a new id; from then on each goes its own way."""
    source, target = _handle(by, body.agent_id), _handle(by, body.new_agent_id, "new_agent_id")
    spent = Spent()
    asked.facts["agent_id"] = target.agent_id
    copy = await stepping().fork(source, target, spent)
    _tell(asked, spent, policy=str(copy.ref))
    return Json(
        {
            "message": "Agent state forked",
            "agent_id": target.agent_id,
            "forked_from": source.agent_id,
            "version": copy.version,
        }
    )


@router.get("/agents/{agent_id}")
async def look(by: Caller, asked: Asked, agent_id: str) -> Json:
    handle = _handle(by, agent_id)
    spent = Spent()
    asked.facts["agent_id"] = handle.agent_id
    try:
        agent, pressure = await stepping().look(handle, spent)
    except Failure as failure:
        raise unknown(agent_id, Kind.NOT_FOUND) if "agent_id" in failure.details else failure from None
    _tell(asked, spent)
    return Json(_described(handle, agent, pressure))


def _described(handle: Handle, agent: Agent, pressure: float) -> dict[str, Any]:
    """`steps` counts since the last reset, as `version` does: a fork begins with its source's."""
    return {
        "agent_id": handle.agent_id,
        "policy": agent.ref.name,
        "policy_version": agent.ref.version,
        "version": agent.version,
        "steps": agent.version,
        "pressure": pressure,
        "seed": agent.seed,
        "created_at": iso(agent.born_at),
        "updated_at": iso(agent.at),
        "expires_at": iso(agent.expires_at),
    }


def _handle(by: Principal, agent_id: str | None, field: str = "agent_id") -> Handle:
    """An agent is its caller's own: the same id names another agent for everybody else."""
    agent_id = DEFAULT_AGENT if agent_id is None else checked_id(agent_id, field)
    keep = timedelta(days=settings().agent_idle_days)
    return Handle(agent_key(by.account, agent_id), agent_id, keep, from_start=agent_id == DEFAULT_AGENT)


def _tell(asked: Exchange, spent: Spent, **facts: Any) -> None:
    asked.facts["graph_ms"], asked.facts["store_ms"] = round(spent.graph * 1000, 3), round(spent.store * 1000, 3)
    asked.facts.update({name: value for name, value in facts.items() if value is not None})


app = create_app("policy", [router], gate=gate(), recorder=record)
handler = serve(app)
