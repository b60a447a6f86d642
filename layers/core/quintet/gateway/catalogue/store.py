"""The catalogue's table: a partition that is read as a whole, the price versions beside it, and its generation.

| pk | sk | what |
|---|---|---|
| `catalogue` | `provider#<id>`, `model#<id>`, `routing` | what is in force: `body` is JSON, `rev` its revision |
| `removed` | as above | that somebody removed it: a deploy does not bring it back |
| `price#<model>` | version | what a model cost from then on |

The generation lies where every instance looks all the time: in the table of `gateway/present.py`.
"""

import json
from collections.abc import Iterable

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.transactions import TransactWrite

from quintet.gateway.catalogue.model import Catalogue, Defaults, Model, Price, Provider
from quintet.gateway.catalogue.reading import ALL, catalogue_of
from quintet.gateway.catalogue.rows import body_of, defaults_of, model_of, price_of, provider_of
from quintet.gateway.shapes import CATALOGUE
from quintet.store.tables import Table, TableName
from quintet.store.transactions import Write, write_together

_REMOVED = "removed"
_ROUTING = "routing"
_TOGETHER = 45  # a transaction takes 100 writes; a model is two


class CatalogueItem(Table):
    shape = CATALOGUE

    class Meta:
        table_name = TableName("catalogue")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    body = UnicodeAttribute()
    rev = NumberAttribute(default=0)


class GenerationItem(Table):
    class Meta:
        table_name = TableName("present")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    generation = NumberAttribute()

    @classmethod
    def grown(cls) -> Write:
        """Tells every instance that the catalogue is another one now."""
        return lambda tx: tx.update(cls("now", "catalogue"), actions=[cls.generation.add(1)])


def all_of_it() -> Catalogue:
    """The same for who edits; the generation is of no use there."""
    items = [item.attribute_values for item in CatalogueItem.query(ALL, consistent_read=True)]
    return catalogue_of(0, items)


def provider(id: str) -> Provider | None:  # noqa: A002
    item = _item(f"provider#{id}")
    return provider_of(id, json.loads(item.body), int(item.rev)) if item else None


def model(id: str) -> Model | None:  # noqa: A002
    item = _item(f"model#{id}")
    return model_of(id, json.loads(item.body), int(item.rev)) if item else None


def defaults() -> Defaults:
    item = _item(_ROUTING)
    return defaults_of(json.loads(item.body), int(item.rev)) if item else Defaults()


def put_provider(provider: Provider, *also: Write) -> None:
    """`rev` is one more than that of what it replaces; 1 for a new one. Raises Unmet for a lost race."""
    _put(f"provider#{provider.id}", body_of(provider), provider.rev, also)


def put_model(model: Model, *also: Write) -> None:
    """Raises Unmet for a lost race."""
    price = CatalogueItem(f"price#{model.id}", model.price.version, body=body_of(model), rev=model.rev)
    _put(f"model#{model.id}", body_of(model), model.rev, (*also, lambda tx: tx.save(price)))


def put_defaults(defaults: Defaults, *also: Write) -> None:
    """Raises Unmet for a lost race."""
    _put(_ROUTING, body_of(defaults), defaults.rev, also)


def remove(kind: str, id: str, rev: int, *also: Write) -> None:  # noqa: A002
    """No later filling brings it back. Raises Unmet for a lost race."""
    item, mark = CatalogueItem(ALL, f"{kind}#{id}"), CatalogueItem(_REMOVED, f"{kind}#{id}", body="{}")

    def write(transaction: TransactWrite) -> None:
        transaction.delete(item, condition=CatalogueItem.rev == rev)
        transaction.save(mark)

    write_together([write, GenerationItem.grown(), *also])


def prices(model_id: str) -> list[Price]:
    """Those that a model has had, the oldest first."""
    return [price_of(json.loads(item.body)["price"]) for item in CatalogueItem.query(f"price#{model_id}")]


def fill(providers: Iterable[Provider], models: Iterable[Model]) -> int:
    """Adds those that are not there, renews those that nobody has edited. Answers how many were written."""
    stored = {item.sk: item for item in CatalogueItem.query(ALL, consistent_read=True)}
    removed = {item.sk for item in CatalogueItem.query(_REMOVED, consistent_read=True)}
    items: list[tuple[str, str, str | None]] = [(f"provider#{each.id}", body_of(each), None) for each in providers]
    items += [(f"model#{each.id}", body_of(each), each.price.version) for each in models]
    due = [
        (sk, body, price)
        for sk, body, price in items
        if sk not in removed and (sk not in stored or (not stored[sk].rev and stored[sk].body != body))
    ]
    for start in range(0, len(due), _TOGETHER):
        write_together([*(_filled(*each) for each in due[start : start + _TOGETHER]), GenerationItem.grown()])
    return len(due)


def _filled(sk: str, body: str, price_version: str | None) -> Write:
    unedited = CatalogueItem.pk.does_not_exist() | (CatalogueItem.rev == 0)

    def write(transaction: TransactWrite) -> None:
        transaction.save(CatalogueItem(ALL, sk, body=body, rev=0), condition=unedited)
        if price_version:
            model_id = sk.partition("#")[2]
            transaction.save(CatalogueItem(f"price#{model_id}", price_version, body=body, rev=0))

    return write


def _item(sk: str) -> CatalogueItem | None:
    try:
        return CatalogueItem.get(ALL, sk, consistent_read=True)
    except CatalogueItem.DoesNotExist:
        return None


def _put(sk: str, body: str, rev: int, also: Iterable[Write]) -> None:
    item = CatalogueItem(ALL, sk, body=body, rev=rev)
    unchanged = CatalogueItem.rev == rev - 1
    if rev == 1:  # nobody has edited it, or there is none
        unchanged = CatalogueItem.pk.does_not_exist() | unchanged

    def write(transaction: TransactWrite) -> None:
        transaction.save(item, condition=unchanged)

    write_together([write, GenerationItem.grown(), *also])
