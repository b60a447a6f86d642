"""What an instance knows of the catalogue and of the present, and how it keeps up.

A reservation cannot carry the catalogue's generation: the item that has it would stand in every call's transaction. So
a look goes beside the reservation where the view is older than four seconds, or where this instance has just learned
that something changed, and the call is routed again if it shows another generation (`outdated`): an edit is in force at
once on the instance that made it, after four seconds on one that is asked all the time, after nine on any.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from quintet.gateway.catalogue.model import BUILTIN, Catalogue, CredStore, Model, Provider
from quintet.gateway.present import Present

FRESH_SECONDS = 4.0  # after that we look again, beside the work
STALE_SECONDS = 9.0  # after that work waits for the look
_MOMENT = 0.25  # what a call that holds its money waits for a look that began before


@dataclass(frozen=True)
class View:
    """`keys` has the providers that are configured, with their keys. A view never changes: what follows from it for all
    calls is found once.
    """

    catalogue: Catalogue
    present: Present
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)

    def provider_of(self, model: Model) -> Provider | None:
        return self.catalogue.providers.get(model.provider)

    def standing(self, model: Model) -> str | None:
        """Why it cannot be called at all; None when it can."""
        provider = self.provider_of(model)
        if not model.enabled:
            return "disabled"
        if provider is None:
            return f"there is no provider '{model.provider}'"
        if not provider.enabled:
            return f"provider '{provider.id}' is disabled"
        if provider.id in self.keys:
            return None
        locked = ": the vault is locked, or holds no key of it" if provider.cred_store is CredStore.VAULT else ""
        return f"provider '{provider.id}' is not configured{locked}"

    def routable(self) -> Sequence[Model]:
        """Real models first of all: the builtin one answers only where there is no other."""
        return self._routable

    @cached_property
    def _routable(self) -> tuple[Model, ...]:
        able = [model for model in self.catalogue.models.values() if self.standing(model) is None]
        return tuple(model for model in able if model.provider != BUILTIN) or tuple(able)

    @cached_property
    def off(self) -> Mapping[str, str]:
        """The models that nobody could choose, and why."""
        routable = {model.id for model in self._routable}
        return {
            model.id: self.standing(model) or "answers only where no other provider is configured"
            for model in self.catalogue.models.values()
            if model.id not in routable
        }


class Keys(Protocol):
    async def key(self, provider: Provider, /) -> str | None: ...


class Views:
    """One per process. A look costs one read; only after an edit all of the catalogue is read."""

    def __init__(
        self,
        present: Callable[[], Awaitable[Present]],
        catalogue: Callable[[int], Awaitable[Catalogue]],
        keys: Keys,
        now: Callable[[], float] = time.time,  # the wall clock goes on while a Lambda is frozen
    ) -> None:
        self._read_present = present
        self._read_catalogue = catalogue
        self._keys = keys
        self._now = now
        self._view: View | None = None
        self._looked_at = 0.0
        self._looking: asyncio.Task[View] | None = None
        self._forgot = 0

    async def current(self) -> View:
        age = self._now() - self._looked_at
        if self._view is None or not 0 <= age < STALE_SECONDS:
            return await asyncio.shield(self._look())
        if age >= FRESH_SECONDS:
            self._look().add_done_callback(_retrieve)
        return self._view

    async def outdated(self, view: View) -> bool:
        """Whether the catalogue is another one by now, as far as a look that is under way tells within a moment."""
        looking = self._look() if not self._looked_at else self._looking
        if looking is not None and looking.get_loop() is asyncio.get_running_loop() and not looking.done():
            looking.add_done_callback(_retrieve)
            await asyncio.wait([looking], timeout=_MOMENT)
        return self._view is not None and self._view.catalogue.generation != view.catalogue.generation

    def forget(self) -> None:
        """This instance has edited the catalogue, or seen a provider fail: it looks before it works on.

        A look that is under way began too early to have seen that: nobody waits for it, and it leaves nothing behind.
        """
        self._looked_at = 0.0
        self._looking = None
        self._forgot += 1

    def _look(self) -> asyncio.Task[View]:
        looking, loop = self._looking, asyncio.get_running_loop()
        if looking is None or looking.done() or looking.get_loop() is not loop:
            looking = self._looking = loop.create_task(self._refresh())
        return looking

    async def _refresh(self) -> View:
        began, forgot = self._now(), self._forgot
        known, present = self._view, await self._read_present()
        if known is None or known.catalogue.generation != present.generation:
            catalogue = await self._read_catalogue(present.generation)
        else:
            catalogue = known.catalogue
        view = View(catalogue, present, await self._configured(catalogue))
        if forgot == self._forgot:
            self._view, self._looked_at = view, began
        return view

    async def _configured(self, catalogue: Catalogue) -> dict[str, str]:
        found = {}
        for provider in catalogue.providers.values():
            key = await self._keys.key(provider) if provider.enabled else None
            if key is not None:
                found[provider.id] = key
        return found


def _retrieve(looking: "asyncio.Task[View]") -> None:
    """A look that failed is tried again by the next caller, who waits for it once the view is stale."""
    if not looking.cancelled():
        looking.exception()
