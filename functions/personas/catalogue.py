"""The models that callers may name, as this instance knows them."""

from datetime import UTC, datetime

from quintet.gateway.catalogue.model import Model
from quintet.gateway.live import views


async def known_model(name: str) -> bool:
    return bool(name) and (await views().current()).catalogue.named(name) is not None


async def find_model(name: str) -> Model | None:
    """None for one that cannot be called."""
    view = await views().current()
    model = view.catalogue.named(name)
    return model if model is not None and view.standing(model) is None else None


async def all_models() -> list[Model]:
    """Those that can be called, by their ids."""
    view = await views().current()
    return sorted(
        (model for model in view.catalogue.models.values() if view.standing(model) is None), key=lambda each: each.id
    )


def created(model: Model) -> int:
    """When its vendor, or our source, told of it; 0 where nobody did."""
    try:
        return int(datetime.fromisoformat(model.source_date).replace(tzinfo=UTC).timestamp())
    except ValueError:
        return 0
