"""Out to a provider and back, over fake tables: what a real provider cannot be made to do."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from quintet.errors import Failure, Kind
from quintet.identity.credentials import digest
from quintet.identity.logins import Logins
from quintet.identity.model import Taken, User, link_of
from quintet.identity.oauth.model import Identity
from quintet.identity.oauth.signing_in import Return, SigningIn
from quintet.identity.passwords import Passwords
from quintet.store.ids import new_id
from quintet.store.transactions import Write
from tests.fakes.identity import FakeFlows, FakeRegistry, FakeSessions, FakeTables, FakeUsers
from tests.loops import on_a_loop
from tests.unit.identity.conftest import Configure
from tests.unit.identity.test_keys import Told
from tests.unit.identity.test_logins import NOW, TERMS

ADA = Identity("https://login.example.test", "1234", "ada@example.test", "Ada")


@dataclass
class OneProvider:
    """Vouches for whoever comes, and notes what it was asked."""

    who: Identity = ADA
    asked: list[dict[str, str]] = field(default_factory=list)

    async def named(self, name: str) -> "OneProvider":
        return self

    async def authorization_url(self, redirect_uri: str, *, state: str, nonce: str, challenge: str) -> str:
        return f"https://login.example.test/?state={state}&nonce={nonce}&challenge={challenge}"

    async def identity(self, code: str, redirect_uri: str, *, nonce: str, verifier: str) -> Identity:
        self.asked.append({"code": code, "redirect_uri": redirect_uri, "nonce": nonce, "verifier": verifier})
        return self.who


@dataclass
class Desk:
    tables: FakeTables
    provider: OneProvider
    signing_in: SigningIn
    told: Told

    async def leave(self) -> tuple[Return, dict[str, str]]:
        """What the browser brings back, and what the provider was told of the way."""
        departure = await self.signing_in.begin("custom", NOW)
        query = {name: values[0] for name, values in parse_qs(urlsplit(departure.url).query).items()}
        return Return(query["state"], "code", cookie=departure.cookie), query

    async def refused(self, back: Return, name: str = "custom", minutes: int = 0) -> Failure:
        with pytest.raises(Failure) as failure:
            await self.signing_in.finish(name, back, NOW + timedelta(minutes=minutes))
        return failure.value


@pytest.fixture
def desk(configure: Configure) -> Desk:
    tables, provider, told = FakeTables(), OneProvider(), Told()
    logins = Logins(FakeUsers(tables), FakeSessions(tables), FakeRegistry(tables), Passwords(8, 1), TERMS)
    base = "https://api.example.test"
    return Desk(tables, provider, SigningIn(FakeFlows(tables), provider, logins, base, told), told)


@on_a_loop
async def test_the_verifier_and_the_nonce_come_back_to_the_provider_alone(desk: Desk) -> None:
    back, query = await desk.leave()
    (flow,) = desk.tables.flows.values()
    assert flow.verifier not in query.values()
    assert back.state not in repr(flow)
    assert flow.verifier not in repr(flow)
    await desk.signing_in.finish("custom", back, NOW)
    assert desk.provider.asked == [
        {
            "code": "code",
            "redirect_uri": "https://api.example.test/v1/auth/oauth2/custom/callback",
            "nonce": query["nonce"],
            "verifier": flow.verifier,
        }
    ]


@on_a_loop
async def test_the_table_keeps_digests_of_the_state_and_the_cookie(desk: Desk) -> None:
    back, _ = await desk.leave()
    (flow,) = desk.tables.flows.values()
    assert (flow.id, flow.browser) == (digest(back.state), digest(str(back.cookie)))


@on_a_loop
async def test_a_first_sign_in_makes_a_user_and_tells_of_it(desk: Desk) -> None:
    back, _ = await desk.leave()
    user = (await desk.signing_in.finish("custom", back, NOW)).user
    assert (user.email, user.name, user.roles, user.password_hash) == ("ada@example.test", "Ada", ("viewer",), None)
    assert user.links == (link_of(ADA.issuer, ADA.subject),)
    assert desk.told.all == [("user.created", user.id, {"issuer": ADA.issuer, "roles": ["viewer"]}, user.id)]


@on_a_loop
async def test_an_address_links_nobody(desk: Desk) -> None:
    """Whoever puts a victim's address into an account elsewhere does not become the victim here."""
    victim = User(new_id("user", NOW), ADA.email, NOW, roles=("admin",), password_hash="x")
    desk.signing_in.logins.users.add(victim)
    back, _ = await desk.leave()
    user = (await desk.signing_in.finish("custom", back, NOW)).user
    assert user.id != victim.id
    assert user.roles == ("viewer",)


@on_a_loop
async def test_a_disabled_user_stays_out(desk: Desk) -> None:
    back, _ = await desk.leave()
    user = (await desk.signing_in.finish("custom", back, NOW)).user
    desk.tables.users[user.id] = replace(desk.tables.users[user.id], disabled=True)
    again, _ = await desk.leave()
    assert (await desk.refused(again)).message == "This user has been disabled"


@on_a_loop
async def test_two_first_sign_ins_at_once_are_one_user(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    add = FakeUsers.add
    there = User(new_id("user", NOW), None, NOW, links=(link_of(ADA.issuer, ADA.subject),))

    def add_second(self: FakeUsers, user: User, *also: Write) -> None:
        add(self, there)
        raise Taken

    monkeypatch.setattr(FakeUsers, "add", add_second)
    back, _ = await desk.leave()
    assert (await desk.signing_in.finish("custom", back, NOW)).user.id == there.id


@on_a_loop
async def test_a_sign_in_takes_ten_minutes_at_the_most(desk: Desk) -> None:
    back, _ = await desk.leave()
    failure = await desk.refused(back, minutes=10)
    assert (failure.kind, failure.details) == (Kind.REJECTED, {"error": "invalid_state"})


@pytest.mark.parametrize(
    ("changes", "name"),
    [({"state": "another"}, "custom"), ({"cookie": None}, "custom"), ({"cookie": "another"}, "custom"), ({}, "google")],
)
@on_a_loop
async def test_who_does_not_come_back_as_they_left_is_refused_and_the_way_is_closed(
    desk: Desk, changes: dict[str, str], name: str
) -> None:
    back, _ = await desk.leave()
    assert (await desk.refused(replace(back, **changes), name)).kind is Kind.REJECTED
    assert desk.provider.asked == []
    assert bool(desk.tables.flows) == ("state" in changes)


@on_a_loop
async def test_an_answer_without_a_code_or_an_error_is_none(desk: Desk) -> None:
    back, _ = await desk.leave()
    assert (await desk.refused(replace(back, code=None))).kind is Kind.REJECTED


@pytest.mark.parametrize(("word", "said"), [("access_denied", "access_denied"), ("<script>", "error")])
@on_a_loop
async def test_a_refusal_of_the_provider_is_passed_on_if_it_is_a_word(desk: Desk, word: str, said: str) -> None:
    back, _ = await desk.leave()
    failure = await desk.refused(replace(back, code=None, error=word))
    assert (failure.kind, failure.details) == (Kind.UNAUTHENTICATED, {"error": said})
