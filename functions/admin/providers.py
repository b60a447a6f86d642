"""The vendors of models: /admin/v1/providers."""

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from admin.access import Admin, Options
from admin.etags import agree, etag, lost
from quintet.errors import Failure, Kind, invalid
from quintet.events.audit import audited
from quintet.gateway.catalogue import store
from quintet.gateway.catalogue.model import BUILTIN, CredStore, Provider
from quintet.gateway.keys import is_key_name, is_setting, server_rules
from quintet.gateway.live import views
from quintet.gateway.providers.kinds import KINDS
from quintet.gateway.vault.live import vault
from quintet.http.answers import Json
from quintet.http.exchange import exchange_of
from quintet.http.work import offload
from quintet.net.guard import Forbidden, check
from quintet.store.clock import iso
from quintet.store.transactions import Unmet, Write

router = APIRouter(prefix="/admin/v1/providers")

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
_SECRETS = ("key", "token", "secret", "password", "authorization")


class Order(BaseModel):
    """`type` says which protocol the vendor speaks. `api_key` goes into the vault and is never shown."""

    model_config = ConfigDict(extra="forbid")

    id: Id
    type: str = Field(validation_alias=AliasChoices("type", "kind"))
    name: str = Field(default="", max_length=100)
    base_url: str = Field(default="", max_length=2048)
    api_key: str | None = Field(default=None, min_length=1, max_length=4096, repr=False)
    cred_store: CredStore | None = None
    cred_name: str = Field(default="", max_length=100)
    enabled: bool = True
    options: Options = {}


@router.post("")
async def upsert(order: Order, request: Request, admin: Admin) -> Json:
    """Replaces what was there, but for a key in the vault where no other is given."""
    before = await offload(store.provider, order.id)
    agree(request, before.rev if before else None)
    _check(order)
    in_vault = before is not None and before.cred_store is CredStore.VAULT
    cred_store = order.cred_store or (CredStore.VAULT if order.api_key or in_vault else CredStore.NONE)
    if order.api_key and cred_store is not CredStore.VAULT:
        raise invalid("api_key", f"Goes into the vault: leave cred_store out, or say 'vault' instead of '{cred_store}'")
    also: list[Write] = []
    if order.api_key:
        also = await vault().put(order.id, order.api_key)
    elif in_vault and cred_store is not CredStore.VAULT:
        also = await vault().remove(order.id)
    provider = Provider(
        id=order.id,
        kind=order.type,
        name=order.name or order.id,
        base_url=order.base_url,
        cred_store=cred_store,
        cred_name=_cred_name(order, cred_store),
        enabled=order.enabled,
        options=order.options,
        rev=(before.rev if before else 0) + 1,
        updated_at=iso(exchange_of(request).at),
        source="admin",
    )
    told = {"kind": provider.kind, "enabled": provider.enabled, "base_url": provider.base_url}
    told |= {"cred_store": cred_store.value, "new_key": order.api_key is not None}
    also.append(audited("provider.changed" if before else "provider.created", order.id, told, admin.id))
    try:
        await offload(store.put_provider, provider, *also)
    except Unmet:
        raise lost() from None
    vault().forget()
    views().forget()
    return Json(await _shown(provider), headers=etag(provider.rev))


@router.get("")
async def listed(_admin: Admin) -> Json:
    found = (await offload(store.all_of_it)).providers
    return Json({"providers": [await _shown(found[name]) for name in sorted(found)]})


@router.get("/{provider_id}")
async def one(provider_id: str, _admin: Admin) -> Json:
    provider = await _known(provider_id)
    return Json(await _shown(provider), headers=etag(provider.rev))


@router.delete("/{provider_id}")
async def remove(provider_id: str, request: Request, admin: Admin) -> Json:
    """Its models stay in the catalogue and are not routable until there is such a provider again."""
    provider = await _known(provider_id)
    if provider_id == BUILTIN:
        raise Failure(Kind.CONFLICT, "The builtin provider is always there: disable it instead")
    agree(request, provider.rev)
    also = [*await vault().remove(provider_id), audited("provider.removed", provider_id, {}, admin.id)]
    try:
        await offload(store.remove, "provider", provider_id, provider.rev, *also)
    except Unmet:
        raise lost() from None
    vault().forget()
    views().forget()
    return Json({"id": provider_id, "deleted": True})


async def _known(provider_id: str) -> Provider:
    provider = (await offload(store.all_of_it)).providers.get(provider_id)
    if provider is None:
        raise Failure(Kind.NOT_FOUND, f"There is no provider '{provider_id}'")
    return provider


def _names(options: Any) -> Iterator[str]:
    """Also of what lies deeper: options are shown to whoever may read them."""
    if isinstance(options, dict):
        yield from options
    for each in options.values() if isinstance(options, dict) else options if isinstance(options, list) else ():
        yield from _names(each)


def _check(order: Order) -> None:
    if order.type not in KINDS:
        raise invalid("type", f"Must be one of: {', '.join(sorted(KINDS))}")
    if order.base_url:
        try:
            parts = check(order.base_url, server_rules())
        except Forbidden as forbidden:
            near = "" if server_rules().private else "; MODELS_MAY_BE_PRIVATE lets in servers on a network of your own"
            raise invalid("base_url", f"{forbidden}{near}") from None
        if parts.query or parts.fragment:
            raise invalid("base_url", "Must have no query and no fragment")
    for name in _names(order.options):
        if any(word in name.lower() for word in _SECRETS) and name != "max_tokens_field":
            raise invalid("options", f"'{name}' looks like a secret: give it as api_key")
    if order.cred_store is CredStore.ENV and not is_setting(_cred_name(order, CredStore.ENV)):
        raise invalid("cred_name", "Must be the name of a setting that ends in _api_key")
    if order.cred_store is CredStore.SECRETSMANAGER and not is_key_name(_cred_name(order, CredStore.SECRETSMANAGER)):
        raise invalid("cred_name", "Must end in _api_key")


def _cred_name(order: Order, cred_store: CredStore) -> str:
    if cred_store not in (CredStore.ENV, CredStore.SECRETSMANAGER):
        return ""
    return order.cred_name.lower() or f"{order.id.replace('-', '_').replace('.', '_').lower()}_api_key"


async def _shown(provider: Provider) -> dict[str, Any]:
    view = await views().current()
    return {
        "id": provider.id,
        "type": provider.kind,
        "name": provider.name,
        "base_url": provider.base_url,
        "cred_store": provider.cred_store.value,
        "cred_name": provider.cred_name or None,
        "enabled": provider.enabled,
        "configured": provider.id in view.keys,
        "options": dict(provider.options),
        "updated_at": provider.updated_at or None,
        "rev": provider.rev,
    }
