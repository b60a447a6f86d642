"""What an operator has configured that concerns tasks: the system's terms, and those of each role of agents."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quintet.configuration import live
from quintet.configuration.agents import document_name, schema
from quintet.configuration.model import values_of
from quintet.gateway.model import NANO


@dataclass(frozen=True, slots=True)
class Terms:
    """Money is in nano-USD, time in seconds."""

    default_model: str
    escalation_model: str
    fallback_model: str
    timeout: int
    auto_approve_threshold: float
    max_daily_escalations: int
    cost_threshold: int
    approval_required: bool


async def terms() -> Terms:
    system: Mapping[str, Any] = await live.system()
    models, escalation = system["models"], system["escalation"]
    return Terms(
        default_model=models["default_model"],
        escalation_model=models["escalation_model"],
        fallback_model=models["fallback_model"],
        timeout=int(models["timeout"]),
        auto_approve_threshold=float(escalation["auto_approve_threshold"]),
        max_daily_escalations=int(escalation["max_daily_escalations"]),
        cost_threshold=round(float(escalation["cost_threshold"]) * NANO),
        approval_required=bool(escalation["approval_required"]),
    )


async def role_terms(role: str) -> dict[str, Any]:
    """The role's document, whole."""
    return values_of(await live.document(document_name(role)), schema(role, await live.system()))
