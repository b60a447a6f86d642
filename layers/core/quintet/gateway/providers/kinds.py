"""Which adapter speaks which protocol; each is imported when it is first used."""

from importlib import import_module

from quintet.copies import own
from quintet.gateway.providers.model import Provider

_MODULES = {"openai": "openai", "anthropic": "anthropic", "bedrock": "bedrock", "builtin": "builtin"}

KINDS = frozenset(_MODULES)


@own
def provider(kind: str) -> Provider:
    """Raises ValueError for a kind that nobody speaks."""
    if kind not in _MODULES:
        raise ValueError(f"no such kind of provider; there are {', '.join(sorted(KINDS))}")
    adapter: Provider = import_module(f"quintet.gateway.providers.{_MODULES[kind]}").adapter()
    return adapter
