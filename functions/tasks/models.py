"""/v1/models: which models there are, how they do, and which of them a piece of work deserves."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from quintet.errors import Failure, Kind
from quintet.gateway.catalogue.model import Model
from quintet.gateway.failures import model_not_found
from quintet.gateway.live import views
from quintet.gateway.model import NANO
from quintet.gateway.openai_models import is_openai_client, model_entry, model_list
from quintet.gateway.view import View
from quintet.http.answers import Json, envelope
from quintet.http.dialects import OPENAI
from quintet.http.exchange import exchange_of
from quintet.identity.door import open_or_principal, permitted, principal
from quintet.identity.model import Principal
from quintet.tasks import models
from quintet.tasks.selecting import Request as Work
from quintet.tasks.selecting import judge
from quintet.tasks.terms import terms
from tasks.bodies import Selection

router = APIRouter(prefix="/v1/models")


async def reader(request: Request) -> Principal:
    """OpenAI's clients find here what they may name in a chat: they are let in where the chat lets them in."""
    openai = is_openai_client(request.headers)
    if openai:
        exchange_of(request).dialect = OPENAI
    caller = await (open_or_principal if openai else principal)(request)
    caller.need("read_models")
    return caller


Reader = Annotated[Principal, Depends(reader)]
_OWNER = "quintet"
_GOOD, _SMALL = 8, 4  # classes of quality


@router.get("")
async def listed(request: Request, _caller: Reader) -> Json:
    view = await views().current()
    if is_openai_client(request.headers):
        named = [model_entry(name, _OWNER) for name in _spoken_for()]
        return Json(model_list([*named, *(model_entry(model.id, model.provider) for model in view.routable())]))
    exchange, system = exchange_of(request), await terms()
    data = {
        "models": [
            {
                "name": model.id,
                "provider": _provider(view, model),
                "status": models.standing(view, model, exchange.at),
                "recommended_usage": _usage(model, system.default_model, system.escalation_model),
            }
            for model in sorted(view.catalogue.models.values(), key=lambda model: model.id)
            if model.enabled
        ],
        "default_model": system.default_model,
        "escalation_model": system.escalation_model,
    }
    return envelope(exchange, data)


@router.post("/select")
async def select(
    body: Selection, request: Request, _caller: Annotated[Principal, Depends(permitted("select_model"))]
) -> Json:
    exchange, view, system = exchange_of(request), await views().current(), await terms()
    indicators = body.complexity_indicators
    verdict = judge(
        Work(
            body.task_description,
            body.files_to_modify,
            indicators.file_count or 0,
            indicators.service_count or 0,
            bool(indicators.security_sensitive),
            bool(indicators.business_critical),
        )
    )
    steps = max(3, len(body.files_to_modify), indicators.file_count or 0)
    usual = models.first_usable(view, system.default_model, system.fallback_model)
    better = models.first_usable(view, system.escalation_model, usual)
    selected = better if verdict.escalate else usual
    budget = body.context.budget_remaining
    cost = models.estimate(view, selected, len(body.task_description), steps)
    affordable = budget is None or cost.cost <= budget * NANO
    if not affordable and not body.preferences.quality_critical:
        selected = usual
        cost = models.estimate(view, selected, len(body.task_description), steps)
    other = usual if selected != usual else next((n for n in (system.fallback_model, better) if n != usual), usual)
    data = {
        "selected_model": selected,
        "confidence_score": verdict.confidence,
        "reasoning": {
            "security_sensitive": verdict.security > 0,
            "complexity_score": verdict.complexity,
            "business_impact": verdict.business_impact,
            "cost_benefit_ratio": "favorable" if affordable and cost.cost <= system.cost_threshold else "unfavorable",
            "triggers": [
                {"name": each.name, "severity": str(each.weight), "confidence": each.confidence}
                for each in verdict.triggers
            ],
        },
        "estimated_cost": round(cost.cost / NANO, 6),
        "estimated_duration": cost.seconds,
        "fallback_model": other,
    }
    return envelope(exchange, data)


@router.get("/{name:path}")
async def one(name: str, request: Request, _caller: Reader) -> Json:
    view, exchange = await views().current(), exchange_of(request)
    model = view.catalogue.named(name)
    if is_openai_client(request.headers):
        if model is None and name not in _spoken_for():
            raise model_not_found(name)
        return Json(model_entry(model.id, model.provider) if model else model_entry(name, _OWNER))
    if model is None:
        raise Failure(Kind.NOT_FOUND, f"There is no model '{name}'")
    measured = view.present.learned.models.get(model.id)
    data = {
        "name": model.id,
        "provider": _provider(view, model),
        "status": models.standing(view, model, exchange.at),
        "capabilities": sorted(model.capabilities),
        "limits": {
            "max_tokens": model.max_output or None,
            "context_window": model.context_window or None,
            "requests_per_minute": _limit(model, "requests_per_minute"),
            "tokens_per_minute": _limit(model, "tokens_per_minute"),
        },
        "pricing": {
            "input_tokens": 1000 * model.price.input / NANO,
            "output_tokens": 1000 * model.price.output / NANO,
            "currency": "USD",
            "unit": "1000 tokens",
        },
        "performance": {
            "average_response_time": round(measured.latency_ms / 1000, 3) if measured else None,
            "success_rate": round(100 * (1 - measured.error_rate), 2) if measured else None,
            "quality_score": float(model.weight),
        },
    }
    return envelope(exchange, data)


def _spoken_for() -> list[str]:
    """What a chat's `model` may be beside a model: a persona, or whichever fits best."""
    from quintet.personas.cast import cast

    return [*(persona.id for persona in cast().personas), "auto"]


def _provider(view: View, model: Model) -> str:
    provider = view.provider_of(model)
    return (provider.name or provider.id) if provider else model.provider


def _usage(model: Model, default: str, escalation: str) -> str:
    if model.id == default:
        return "general_purpose"
    if model.id == escalation or model.weight >= _GOOD:
        return "complex_tasks"
    return "simple_tasks" if model.weight < _SMALL else "general_purpose"


def _limit(model: Model, name: str) -> Any:
    return model.options.get(name)
