"""Who can be asked, in OpenAI's shape: /models."""

from fastapi import APIRouter, Depends

from personas.access import speaker
from personas.catalogue import all_models, created, find_model
from quintet.errors import Failure, Kind
from quintet.gateway.openai_models import model_entry, model_list
from quintet.http.answers import Json
from quintet.personas.cast import cast

router = APIRouter(prefix="/models", dependencies=[Depends(speaker)])

_OWNER = "quintet"


@router.get("")
async def listed() -> Json:
    """Personas first, then `auto`, then every model that can be called."""
    ours = [model_entry(each.id, _OWNER) for each in cast().personas] + [model_entry("auto", _OWNER)]
    return Json(
        model_list([*ours, *(model_entry(each.id, each.provider, created(each)) for each in await all_models())])
    )


@router.get("/{model_id:path}")
async def one(model_id: str) -> Json:
    persona = cast().find(model_id)
    if persona is not None or model_id == "auto":
        return Json(model_entry(persona.id if persona else model_id, _OWNER))
    model = await find_model(model_id)
    if model is None:
        raise Failure(
            Kind.NOT_FOUND,
            f"The model '{model_id}' does not exist",
            code="model_not_found",
            details={"field": "model"},
        )
    return Json(model_entry(model.id, model.provider, created(model)))
