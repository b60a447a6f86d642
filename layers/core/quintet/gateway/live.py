"""The gateway that functions use, put together once per process."""

from quintet.copies import own
from quintet.gateway import present
from quintet.gateway.calls import Ports
from quintet.gateway.catalogue import reading
from quintet.gateway.core import Core
from quintet.gateway.keys import Keyring
from quintet.gateway.ledger.live import ledger
from quintet.gateway.model import Gateway
from quintet.gateway.providers.kinds import provider
from quintet.gateway.view import Views
from quintet.store.clock import SystemClock


@own
def gateway() -> Gateway:
    return Core(views().current, Ports(ledger(), present, provider, SystemClock(), views().forget, views().outdated))


@own
def views() -> Views:
    """What this process knows; who edits the catalogue calls its `forget`."""
    return Views(present.read, reading.read, Keyring(_Vault()))


class _Vault:
    """Opened for providers whose keys lie in it: who has none starts without it."""

    async def secret(self, provider: str, /) -> str | None:
        from quintet.gateway.vault.live import vault

        return await vault().secret(provider)
