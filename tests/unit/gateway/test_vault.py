"""The vault over rows in memory: who may open it, what is in it, and what a race may do to it."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from quintet.errors import Failure, Kind
from quintet.gateway.vault.model import Contents, Costs, Head, Lease, derived, new_head, opened, seal, unseal
from quintet.gateway.vault.vault import Glance, Vault
from quintet.store.transactions import Unmet, Write
from tests.loops import on_a_loop

CHEAP = Costs(1, 8, 1)
PASSWORD, OTHER = "correct horse", "battery staple"


@dataclass
class Clock:
    at: datetime = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at


def nothing(_: object) -> None: ...


@dataclass
class FakeRows:
    contents: Contents = field(default_factory=Contents)
    told: list[str] = field(default_factory=list)
    reads: int = 0

    async def read(self) -> Contents:
        self.reads += 1
        await asyncio.sleep(0)
        return self.contents

    async def renew(self, lease: Lease) -> None:
        if self.contents.lease and self.contents.lease.wrapped == lease.wrapped:
            self.contents = replace(self.contents, lease=lease)

    def initialise(self, head: Head, lease: Lease, *also: Write) -> None:
        if self.contents.head is not None:
            raise Unmet(0)
        self.contents = Contents(head, lease)

    def open_(self, lease: Lease, *also: Write) -> None:
        if self.contents.head is None or self.contents.head.rev != lease.rev:
            raise Unmet(0)
        self.contents = replace(self.contents, lease=lease)

    def close(self, *also: Write) -> None:
        self.contents = replace(self.contents, lease=None)

    def rotate(self, before: Head, head: Head, lease: Lease, sealed: Mapping[str, bytes], *also: Write) -> None:
        if self.contents.head != before:
            raise Unmet(0)
        self.contents = Contents(head, lease, sealed)

    def put(self, name: str, sealed: bytes, rev: int) -> Iterable[Write]:
        def write(_: Any) -> None:
            self._edit(rev, {**self.contents.sealed, name: sealed})

        return [write]

    def remove(self, name: str, rev: int) -> Iterable[Write]:
        def write(_: Any) -> None:
            self._edit(rev, {each: sealed for each, sealed in self.contents.sealed.items() if each != name})

        return [write]

    def tell(self, *also: Write) -> None:
        pass

    def audited(self, kind: str, _subject: str, _data: Mapping[str, Any], actor: str) -> Write:
        self.told.append(f"{kind} by {actor}")
        return nothing

    def _edit(self, rev: int, sealed: Mapping[str, bytes]) -> None:
        head = self.contents.head
        if head is None or head.rev != rev:
            raise Unmet(0)
        self.contents = replace(self.contents, head=replace(head, edits=head.edits + 1), sealed=sealed)


class Wrapping:
    """What KMS is to us: nobody else reads what it wraps."""

    def __init__(self) -> None:
        self.unwrapped = 0
        self._kept: dict[bytes, bytes] = {}

    async def wrap(self, key: bytes) -> bytes:
        wrapped = f"wrapped {len(self._kept)}".encode()
        self._kept[wrapped] = key
        return wrapped

    async def unwrap(self, wrapped: bytes) -> bytes | None:
        self.unwrapped += 1
        return self._kept.get(wrapped)


class World:
    """Several instances over the same rows."""

    def __init__(self) -> None:
        self.rows, self.wrapping, self.clock = FakeRows(), Wrapping(), Clock()

    def instance(self) -> Vault:
        return Vault(self.rows, self.wrapping, self.clock, self.rows.audited, CHEAP)

    async def put(self, vault: Vault, provider: str, secret: str) -> None:
        for write in await vault.put(provider, secret):
            write(None)  # type: ignore[arg-type]


@pytest.fixture
def world() -> World:
    return World()


def test_a_secret_opens_with_its_key_and_name_alone() -> None:
    head, key = new_head(PASSWORD, CHEAP)
    sealed = seal(key, b"sk-1", "openai")
    assert unseal(key, sealed, "openai") == b"sk-1"
    assert unseal(key, sealed, "anthropic") is None
    assert unseal(key, sealed[:-1] + bytes([sealed[-1] ^ 1]), "openai") is None
    assert seal(key, b"sk-1", "openai") != sealed
    assert opened(head, PASSWORD) == key
    assert opened(head, OTHER) is None


def test_a_key_is_made_slowly_on_purpose() -> None:
    assert Costs() == Costs(passes=3, memory_kib=64 * 1024, lanes=4)
    assert len(derived(PASSWORD, b"0123456789abcdef", Costs())) == 32


@on_a_loop
async def test_the_first_unlock_sets_the_password(world: World) -> None:
    assert not (await world.instance().status()).initialized
    status = await world.instance().unlock(PASSWORD, "root")
    assert (status.initialized, status.unlocked) == (True, True)
    assert world.rows.told == ["vault.initialized by root"]


@pytest.mark.parametrize("password", ["short", "x" * 257])
@on_a_loop
async def test_a_password_has_eight_characters_at_least(world: World, password: str) -> None:
    with pytest.raises(Failure, match="8 to 256"):
        await world.instance().unlock(password, "root")
    assert world.rows.contents == Contents()


@on_a_loop
async def test_of_two_first_unlocks_one_sets_the_password(world: World) -> None:
    outcomes = await asyncio.gather(
        world.instance().unlock(PASSWORD, "a"), world.instance().unlock(OTHER, "b"), return_exceptions=True
    )
    refused = [each for each in outcomes if isinstance(each, Failure)]
    assert [each.kind for each in refused] == [Kind.UNAUTHENTICATED]


@pytest.mark.parametrize("locked", [True, False])
@on_a_loop
async def test_a_wrong_password_changes_nothing_but_is_told_of(world: World, locked: bool) -> None:
    await world.instance().unlock(PASSWORD, "root")
    if locked:
        await world.instance().lock("root")
    before = world.rows.contents
    with pytest.raises(Failure) as refusal:
        await world.instance().unlock(OTHER, "mallory")
    assert refusal.value.kind is Kind.UNAUTHENTICATED
    assert world.rows.contents == before
    assert world.rows.told[-1] == "vault.unlock_refused by mallory"


@on_a_loop
async def test_what_one_instance_puts_in_another_reads_while_it_is_open(world: World) -> None:
    one, other = world.instance(), world.instance()
    await one.unlock(PASSWORD, "root")
    await world.put(one, "openai", "sk-1")
    assert await other.secret("openai") == "sk-1"
    assert await other.secret("anthropic") is None
    assert (await other.status()).providers == ("openai",)
    await one.lock("root")
    assert await world.instance().secret("openai") is None
    assert await one.secret("openai") is None


@on_a_loop
async def test_what_another_stack_has_wrapped_is_locked_here_until_the_password_opens_it(world: World) -> None:
    await world.instance().unlock(PASSWORD, "root")
    await world.put(world.instance(), "openai", "sk-1")
    world.wrapping = Wrapping()  # the table was restored beside another key
    elsewhere = world.instance()
    assert await elsewhere.secret("openai") is None
    with pytest.raises(Failure) as refusal:
        await elsewhere.put("anthropic", "sk-2")
    assert refusal.value.kind is Kind.LOCKED
    await elsewhere.unlock(PASSWORD, "root")
    assert await elsewhere.secret("openai") == "sk-1"


@on_a_loop
async def test_a_hot_path_asks_neither_the_table_nor_kms_each_time(world: World) -> None:
    one = world.instance()
    await one.unlock(PASSWORD, "root")
    await world.put(one, "openai", "sk-1")
    other = world.instance()
    await other.secret("openai")
    reads, unwrapped = world.rows.reads, world.wrapping.unwrapped
    for _ in range(10):
        assert await other.secret("openai") == "sk-1"
    assert (world.rows.reads, world.wrapping.unwrapped) == (reads, unwrapped)


@on_a_loop
async def test_nothing_is_put_into_a_locked_vault(world: World) -> None:
    with pytest.raises(Failure) as refusal:
        await world.instance().put("openai", "sk-1")
    assert refusal.value.kind is Kind.LOCKED
    await world.instance().unlock(PASSWORD, "root")
    await world.instance().lock("root")
    with pytest.raises(Failure, match="locked"):
        await world.instance().put("openai", "sk-1")


@on_a_loop
async def test_it_locks_itself_when_nobody_uses_it_for_half_an_hour(world: World) -> None:
    await world.instance().unlock(PASSWORD, "root")
    await world.put(world.instance(), "openai", "sk-1")
    for _ in range(4):
        world.clock.at += timedelta(minutes=20)
        assert await world.instance().secret("openai") == "sk-1"
    world.clock.at += timedelta(minutes=20)
    glance = Glance(world.rows, world.clock)
    assert await glance.secret("openai") == "sealed"
    assert await glance.secret("anthropic") is None
    world.clock.at += timedelta(minutes=10)
    assert await world.instance().secret("openai") is None
    assert await glance.secret("openai") is None
    assert not (await world.instance().status()).unlocked


@on_a_loop
async def test_another_password_seals_everything_anew(world: World) -> None:
    vault = world.instance()
    await vault.unlock(PASSWORD, "root")
    await world.put(vault, "openai", "sk-1")
    sealed = dict(world.rows.contents.sealed)
    with pytest.raises(Failure) as refusal:
        await vault.rotate(OTHER, "another one", "root")
    assert refusal.value.kind is Kind.UNAUTHENTICATED
    await vault.rotate(PASSWORD, OTHER, "root")
    assert world.rows.contents.sealed != sealed
    assert await world.instance().secret("openai") == "sk-1"
    await vault.lock("root")
    with pytest.raises(Failure):
        await vault.unlock(PASSWORD, "root")
    await vault.unlock(OTHER, "root")
    assert await world.instance().secret("openai") == "sk-1"


@on_a_loop
async def test_a_secret_that_comes_while_all_are_sealed_anew_is_not_lost(world: World) -> None:
    vault = world.instance()
    await vault.unlock(PASSWORD, "root")
    late = await vault.put("openai", "sk-1")
    await vault.rotate(PASSWORD, OTHER, "root")
    with pytest.raises(Unmet):
        late[0](None)  # type: ignore[arg-type]

    early = await vault.put("anthropic", "sk-2")
    rotation = asyncio.create_task(vault.rotate(OTHER, PASSWORD, "root"))
    await asyncio.sleep(0)
    early[0](None)  # type: ignore[arg-type]
    outcome = (await asyncio.gather(rotation, return_exceptions=True))[0]
    assert await world.instance().secret("anthropic") == "sk-2" or isinstance(outcome, Failure)
