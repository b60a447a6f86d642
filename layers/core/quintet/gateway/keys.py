"""The vendors' keys: where each provider's lies, and whether it can be had."""

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from quintet.gateway.catalogue.model import CredStore, Provider
from quintet.http.work import offload
from quintet.net.guard import Rules
from quintet.settings import Settings, settings
from quintet.store.secrets import secret

_PUBLIC = Rules(schemes=frozenset({"https", "http"}), ports=range(1, 65_536))
_NEAR_TOO = replace(_PUBLIC, private=True)
_SUFFIX = "_api_key"  # whoever may name a key may not read other secrets through a server of their own


class Vault(Protocol):
    async def secret(self, provider: str, /) -> str | None:
        """None while it is locked, or holds none for this provider."""
        ...


class Keyring:
    """`lookup` reads a secret by its name; it may block."""

    def __init__(self, vault: Vault | None = None, lookup: Callable[[str], str] = secret) -> None:
        self._vault = vault
        self._lookup = lookup

    async def key(self, provider: Provider) -> str | None:
        """None where there is none to be had: the provider is not configured then. Empty where it needs none."""
        if provider.cred_store is CredStore.VAULT:
            return await self._vault.secret(provider.id) if self._vault else None
        if provider.cred_store is CredStore.NONE:
            return ""
        if provider.cred_store is CredStore.ENV:
            found = from_environment(provider.cred_name)
        else:
            found = await offload(self._lookup, provider.cred_name) if is_key_name(provider.cred_name) else ""
        if found:
            return found
        return "" if own_url(provider) else None  # a server of one's own, named in the environment, may need none


def is_key_name(name: str) -> bool:
    return name.endswith(_SUFFIX) and name.replace("_", "").isalnum()


def is_setting(name: str) -> bool:
    return is_key_name(name) and name.upper() in Settings.names()


def from_environment(name: str) -> str:
    return str(getattr(settings(), name)) if is_setting(name) else ""


def own_url(provider: Provider) -> str:
    """What the environment says of a provider of the seed."""
    return str(getattr(settings(), f"{provider.id}_base_url".replace("-", "_"), ""))


def url_of(provider: Provider) -> str:
    return own_url(provider) or provider.base_url


def server_rules() -> Rules:
    """Where the base URLs of providers may lead: anywhere in public, and nearer where the operator says so."""
    return _NEAR_TOO if settings().models_may_be_private else _PUBLIC


def rules_of(provider: Provider) -> Rules | None:
    """None for the environment's own URL: whoever sets it runs the stack."""
    return None if own_url(provider) else server_rules()
