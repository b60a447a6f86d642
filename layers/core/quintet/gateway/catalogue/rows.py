"""The catalogue's nouns as they are stored: one JSON text an item, which is read in a third of the time."""

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from quintet.gateway.catalogue.model import CredStore, Defaults, Model, Price, Provider, Tier

_SETS = {"capabilities"}
_TUPLES = {"aliases"}


def body_of(noun: Provider | Model | Defaults) -> str:
    return json.dumps(plain(noun), sort_keys=True, separators=(",", ":"))


def plain(noun: Provider | Model | Defaults) -> dict[str, Any]:
    """Without what the item itself tells: its id and its revision."""
    told: dict[str, Any] = {}
    for each in fields(noun):
        value = getattr(noun, each.name)
        if each.name not in ("id", "rev"):
            told[each.name] = _written(value)
    return told


def provider_of(id: str, body: Mapping[str, Any], rev: int) -> Provider:  # noqa: A002
    known = _known(Provider, body)
    known["cred_store"] = CredStore(known.get("cred_store", CredStore.NONE))
    return Provider(id=id, rev=rev, **known)


def model_of(id: str, body: Mapping[str, Any], rev: int) -> Model:  # noqa: A002
    known = _known(Model, body)
    known["price"] = price_of(known["price"])
    for name in _SETS & known.keys():
        known[name] = frozenset(known[name])
    for name in _TUPLES & known.keys():
        known[name] = tuple(known[name])
    return Model(id=id, rev=rev, **known)


def price_of(body: Mapping[str, Any]) -> Price:
    known = _known(Price, body)
    known["tiers"] = tuple(Tier(**_known(Tier, tier)) for tier in known.get("tiers", ()))
    return Price(**known)


def defaults_of(body: Mapping[str, Any], rev: int) -> Defaults:
    return Defaults(rev=rev, **_known(Defaults, body))


def _known(noun: Callable[..., Any], body: Mapping[str, Any]) -> dict[str, Any]:
    """A newer writer may have told more than this reader knows."""
    names = {each.name for each in fields(noun)} - {"id", "rev"}  # type: ignore[arg-type]
    return {name: value for name, value in body.items() if name in names}


def _written(value: Any) -> Any:
    if isinstance(value, Price | Tier):
        told = {each.name: _written(getattr(value, each.name)) for each in fields(value)}
        return {name: each for name, each in told.items() if each is not None and each != []}
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, tuple):
        return [_written(each) for each in value]
    return dict(value) if isinstance(value, Mapping) else value
