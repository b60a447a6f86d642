"""How an instance keeps up with the catalogue: cheaply, and never more than ten seconds behind."""

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from quintet.gateway.catalogue.model import (
    BUILTIN,
    BUILTIN_PROVIDER,
    ECHO,
    ECHO_MODEL,
    Catalogue,
    CredStore,
    Model,
    Price,
    Provider,
)
from quintet.gateway.keys import Keyring
from quintet.gateway.present import Learned, Present
from quintet.gateway.view import View, Views
from tests.loops import on_a_loop, settled


@dataclass
class Stored:
    """What the tables hold, and how often they were asked."""

    generation: int = 1
    now: float = 1000.0
    looks: int = 0
    reads: int = 0
    broken: bool = False
    held: asyncio.Event | None = None  # holds up the next look
    providers: dict[str, Provider] = field(default_factory=lambda: {BUILTIN: BUILTIN_PROVIDER})

    async def present(self) -> Present:
        self.looks += 1
        if self.broken:
            raise ConnectionError
        seen, held, self.held = Present(self.generation), self.held, None
        if held is not None:
            await held.wait()
        return seen

    async def catalogue(self, generation: int) -> Catalogue:
        self.reads += 1
        return Catalogue(generation, dict(self.providers), {ECHO: ECHO_MODEL})

    def views(self) -> Views:
        return Views(self.present, self.catalogue, Keyring(lookup=lambda name: f"key for {name}"), lambda: self.now)


@on_a_loop
async def test_a_fresh_view_costs_nothing() -> None:
    stored = Stored()
    views = stored.views()
    await views.current()
    stored.now += 3.9
    await views.current()
    assert (stored.looks, stored.reads) == (1, 1)


@on_a_loop
async def test_a_look_after_a_while_happens_beside_the_work() -> None:
    stored = Stored()
    views = stored.views()
    await views.current()
    stored.generation, stored.now = 2, stored.now + 5
    assert (await views.current()).catalogue.generation == 1
    await settled()
    assert (await views.current()).catalogue.generation == 2
    assert (stored.looks, stored.reads) == (2, 2)


@on_a_loop
async def test_who_holds_money_learns_of_an_edit_from_the_look_beside_its_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quintet.gateway.view._MOMENT", 30)
    stored = Stored()
    views = stored.views()
    assert not await views.outdated(await views.current())
    assert stored.looks == 1
    stored.generation, stored.now = 2, stored.now + 5
    view = await views.current()
    assert view.catalogue.generation == 1
    assert await views.outdated(view)
    assert not await views.outdated(await views.current())
    assert stored.looks == 2


@on_a_loop
async def test_who_holds_money_looks_after_an_edit_of_its_own_instance() -> None:
    stored = Stored()
    views = stored.views()
    view = await views.current()
    stored.generation = 2
    views.forget()
    assert await views.outdated(view)


@on_a_loop
async def test_who_holds_money_does_not_wait_long_for_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quintet.gateway.view._MOMENT", 0.01)
    stored = Stored()
    views = stored.views()
    await views.current()
    stored.generation, stored.now, stored.held = 2, stored.now + 5, asyncio.Event()
    held, view = stored.held, await views.current()
    await asyncio.sleep(0)
    assert not await views.outdated(view)
    held.set()


@on_a_loop
async def test_work_waits_for_the_look_before_ten_seconds_are_over() -> None:
    stored = Stored()
    views = stored.views()
    await views.current()
    stored.generation, stored.now = 2, stored.now + 9
    assert (await views.current()).catalogue.generation == 2


@on_a_loop
async def test_whoever_edited_sees_it_at_once_and_an_unchanged_catalogue_is_not_read_again() -> None:
    stored = Stored()
    views = stored.views()
    await views.current()
    views.forget()
    await views.current()
    assert (stored.looks, stored.reads) == (2, 1)
    stored.generation = 2
    views.forget()
    assert (await views.current()).catalogue.generation == 2


@on_a_loop
async def test_many_who_wait_cause_one_look() -> None:
    stored = Stored()
    views = stored.views()
    await asyncio.gather(*(views.current() for _ in range(50)))
    assert stored.looks == 1


@on_a_loop
async def test_a_look_that_fails_is_taken_again() -> None:
    stored = Stored(broken=True)
    views = stored.views()
    with pytest.raises(ConnectionError):
        await views.current()
    stored.broken = False
    assert (await views.current()).catalogue.generation == 1
    stored.broken, stored.now = True, stored.now + 5
    assert (await views.current()).catalogue.generation == 1
    await settled()
    stored.broken, stored.now = False, stored.now + 5
    assert (await views.current()).catalogue.generation == 1


@on_a_loop
async def test_a_view_outlives_the_loop_that_made_it() -> None:
    stored = Stored()
    views = stored.views()
    await asyncio.to_thread(lambda: asyncio.run(views.current()))
    stored.now += 20
    assert (await views.current()).catalogue.generation == 1


@on_a_loop
async def test_who_has_no_key_is_not_configured() -> None:
    acme = Provider("acme", "openai", cred_store=CredStore.SECRETSMANAGER, cred_name="acme_api_key")
    prying = Provider("prying", "openai", cred_store=CredStore.SECRETSMANAGER, cred_name="jwt_secret")
    locked = Provider("locked", "openai", cred_store=CredStore.VAULT)
    free = Provider("free", "openai")
    off = Provider("off", "openai", enabled=False)
    stored = Stored(providers={each.id: each for each in (acme, prying, locked, free, off)})
    view = await stored.views().current()
    assert view.keys == {"acme": "key for acme_api_key", "free": ""}
    assert "key for" not in repr(view)


@on_a_loop
async def test_a_look_that_began_before_an_edit_is_not_waited_for_and_leaves_nothing() -> None:
    stored = Stored()
    views = stored.views()
    await views.current()
    stored.now += 5
    held = stored.held = asyncio.Event()
    await views.current()
    await asyncio.sleep(0)
    stored.generation = 2
    views.forget()
    assert (await views.current()).catalogue.generation == 2
    held.set()
    await settled()
    assert (await views.current()).catalogue.generation == 2


def test_names_that_nobody_should_work_with_are_refused_with_those_that_there_are() -> None:
    off = replace(ECHO_MODEL, id="off", enabled=False, aliases=("rest",))
    catalogue = Catalogue(1, {BUILTIN: BUILTIN_PROVIDER}, {ECHO: ECHO_MODEL, "off": off})
    assert catalogue.misnamed(ECHO) is None
    assert catalogue.misnamed("gpt-99") == f"There is no such model; there are: {ECHO}"
    assert catalogue.misnamed("rest") == f"This model is switched off; there are: {ECHO}"


def test_a_key_in_a_locked_vault_is_told_of() -> None:
    provider = Provider("acme", "openai", cred_store=CredStore.VAULT)
    model = Model("a", "acme", "a", Price(1, 1, version="1"))
    view = View(Catalogue(1, {"acme": provider}, {"a": model}), Present(1, {}, Learned()), {})
    assert view.standing(model) == "provider 'acme' is not configured: the vault is locked, or holds no key of it"
