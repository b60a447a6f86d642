"""The catalogue as a whole, read on the fast path: who calls models never edits it, and starts without PynamoDB."""

import json
from collections.abc import Iterable
from typing import Any

from quintet.gateway.catalogue.model import (
    BUILTIN,
    BUILTIN_PROVIDER,
    ECHO,
    ECHO_MODEL,
    Catalogue,
    Defaults,
    Model,
    Provider,
)
from quintet.gateway.catalogue.rows import defaults_of, model_of, provider_of
from quintet.gateway.shapes import CATALOGUE
from quintet.settings import settings
from quintet.store import wire
from quintet.store.shapes import Row

ALL = "catalogue"  # the partition


async def read(generation: int) -> Catalogue:
    """All of it, as of `generation` at the least."""
    items: list[Row] = []
    start: Any = None
    while True:
        answer = await wire.call(
            "Query",
            {
                "TableName": settings().table("catalogue"),
                "KeyConditionExpression": "pk = :all",
                "ExpressionAttributeValues": {":all": {"S": ALL}},
                "ConsistentRead": True,
                **({"ExclusiveStartKey": start} if start else {}),
            },
        )
        items += [CATALOGUE.row(item) for item in answer["Items"]]
        start = answer.get("LastEvaluatedKey")
        if not start:
            return catalogue_of(generation, items)


def catalogue_of(generation: int, items: Iterable[Row]) -> Catalogue:
    providers: dict[str, Provider] = {}
    models: dict[str, Model] = {}
    defaults = Defaults()
    for item in items:
        kind, _, name = item["sk"].partition("#")
        body, rev = json.loads(item["body"]), int(item["rev"])
        if kind == "provider":
            providers[name] = provider_of(name, body, rev)
        elif kind == "model":
            models[name] = model_of(name, body, rev)
        else:
            defaults = defaults_of(body, rev)
    providers.setdefault(BUILTIN, BUILTIN_PROVIDER)
    models.setdefault(ECHO, ECHO_MODEL)
    return Catalogue(generation, providers, models, defaults)
