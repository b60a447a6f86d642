"""The door over a fake registry: who is let in, what is counted, and how little is asked of the store."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from starlette.requests import Request

from quintet.errors import Failure, Kind
from quintet.http.exchange import Exchange, open_exchange
from quintet.identity import door
from quintet.identity.credentials import Credential, key_text
from quintet.identity.door import Door, open_or_principal, permitted, principal, provisional_principal
from quintet.identity.keys import Issued, Keys
from quintet.identity.minting import minted
from quintet.identity.model import OPEN, ROLES, Principal, PrincipalKind, Session, User
from quintet.identity.tokens import Claims, keyring
from quintet.store.clock import SystemClock
from quintet.store.ids import new_id
from tests.asgi import scope
from tests.fakes.identity import FakeKeys, FakeRegistry, FakeSessions, FakeTables, FakeUsers
from tests.loops import on_a_loop
from tests.unit.identity.conftest import Configure

NOW = SystemClock().now()


class House:
    """A door, the tables behind it, and requests that come to it."""

    def __init__(self) -> None:
        self.tables = FakeTables()
        self.registry = FakeRegistry(self.tables)
        self.keys = Keys(FakeKeys(self.tables), "local")
        self.users = FakeUsers(self.tables)
        self.sessions = FakeSessions(self.tables)
        self.door = Door(self.registry)

    def key(self, *roles: str, expires_at: datetime | None = None) -> Issued:
        return self.keys.issue("ci", "team", roles=roles, expires_at=expires_at, actor="test", now=NOW)

    def user(self, *roles: str) -> User:
        user = User(new_id("user", NOW), "ada@example.test", NOW, "Ada", roles=roles, password_hash="x")
        self.users.add(user)
        return user

    def session(self, user: User) -> tuple[Session, str]:
        session = Session(new_id("ses", NOW), user.id, "tok_1", NOW, NOW + timedelta(days=1))
        self.sessions.add(session)
        claims = Claims(user.id, NOW + timedelta(hours=1), session_id=session.id)
        return session, keyring().sign(claims, NOW)

    async def come(
        self,
        path: str = "/v1/tasks",
        method: str = "GET",
        *,
        ip: str = "203.0.113.7",
        at: datetime = NOW,
        shown: Mapping[str, str] | None = None,
        **headers: str,
    ) -> "Visit":
        sent = {name.replace("_", "-"): value for name, value in {**(shown or {}), **headers}.items()}
        asked = scope(method, path, sent, client=(ip, 1))
        exchange = open_exchange(asked, "test", at)
        visit = Visit(exchange, Request(asked))
        try:
            await self.door(exchange)
        except Failure as failure:
            visit.turned_away = failure
        return visit


class Visit:
    def __init__(self, exchange: Exchange, request: Request) -> None:
        self.exchange = exchange
        self.request = request
        self.turned_away: Failure | None = None

    @property
    def caller(self) -> Principal:
        assert isinstance(self.exchange.caller, Principal)
        return self.exchange.caller

    @property
    def remaining(self) -> str | None:
        return self.exchange.answer_headers.get("x-ratelimit-remaining")

    async def refused(self, by: Callable[[Request], Awaitable[Principal]] = principal) -> Failure:
        with pytest.raises(Failure) as failure:
            await by(self.request)
        return failure.value


@pytest.fixture
def house(configure: Configure) -> House:
    return House()


@on_a_loop
async def test_a_key_names_its_owner_in_every_header(house: House) -> None:
    secret = house.key("viewer").secret
    for headers in ({"x_api_key": secret}, {"x_ryuzen_key": secret}, {"authorization": f"Bearer {secret}"}):
        visit = await house.come(shown=headers)
        caller = await principal(visit.request)
        assert (caller.id, caller.kind, caller.permissions) == ("team", PrincipalKind.SERVICE, ROLES["viewer"])
        assert caller.key_id


@on_a_loop
async def test_the_static_token_is_a_developer_in_every_header(house: House, configure: Configure) -> None:
    configure(static_token="cyborg-secret-v2")
    for headers in ({"authorization": "Bearer cyborg-secret-v2"}, {"x_api_key": "cyborg-secret-v2"}):
        caller = await principal((await house.come("/step", "POST", shown=headers)).request)
        assert (caller.kind, caller.permissions) == (PrincipalKind.STATIC, ROLES["developer"])


@on_a_loop
async def test_a_static_token_may_look_like_any_token(house: House, configure: Configure) -> None:
    configure(static_token="a.b.c")
    assert (await principal((await house.come(authorization="Bearer a.b.c")).request)).kind is PrincipalKind.STATIC


@on_a_loop
async def test_without_a_static_token_none_is_believed(house: House) -> None:
    for text in ("cyborg-secret-v2", "x"):
        visit = await house.come("/step", "POST", authorization=f"Bearer {text}")
        assert (await visit.refused()).message == "Invalid authentication token"


@on_a_loop
async def test_a_session_names_its_user(house: House) -> None:
    user = house.user("developer")
    session, token = house.session(user)
    caller = await principal((await house.come(authorization=f"Bearer {token}")).request)
    assert (caller.id, caller.kind, caller.session_id) == (user.id, PrincipalKind.USER, session.id)
    assert (caller.permissions, caller.email, caller.key_id) == (ROLES["developer"], "ada@example.test", None)


@on_a_loop
async def test_a_token_of_a_session_that_nobody_has_is_none(house: House) -> None:
    claims = Claims("user_1", NOW + timedelta(hours=1), session_id="ses_1")
    visit = await house.come(authorization=f"Bearer {keyring().sign(claims, NOW)}")
    assert (await visit.refused()).message == "Invalid authentication token"


@on_a_loop
async def test_tokens_are_not_believed_where_they_are_switched_off(house: House, configure: Configure) -> None:
    token = keyring().sign(Claims("user123", NOW + timedelta(hours=1)), NOW)
    configure(jwt_enabled=False)
    failure = await (await house.come("/step", "POST", authorization=f"Bearer {token}")).refused()
    assert (failure.kind, failure.message) == (Kind.UNAUTHENTICATED, "Invalid authentication token")


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"authorization": "Bearer nonsense"}, "Invalid authentication token"),
        ({"x_api_key": "nonsense"}, "Invalid API key"),
        ({"x_ryuzen_key": key_text("local", bytes(32))}, "Invalid API key"),
        ({"authorization": f"Bearer {key_text('local', bytes(32))}"}, "Invalid authentication token"),
    ],
)
@on_a_loop
async def test_bad_credentials_are_refused_where_somebody_asks(
    house: House, headers: dict[str, str], message: str
) -> None:
    visit = await house.come(shown=headers)
    assert visit.turned_away is None
    assert (await visit.refused()).message == message
    assert (await visit.refused(provisional_principal)).headers == {"www-authenticate": "Bearer"}


@on_a_loop
async def test_a_made_up_bearer_does_not_stand_in_the_way_of_a_key(house: House) -> None:
    visit = await house.come(authorization="Bearer sk-unused", x_api_key=house.key("viewer").secret)
    assert (await principal(visit.request)).id == "team"


@on_a_loop
async def test_of_several_bad_credentials_the_first_is_spoken_of(house: House) -> None:
    visit = await house.come(authorization="Bearer nonsense", x_api_key="nonsense")
    assert (await visit.refused()).message == "Invalid authentication token"


@on_a_loop
async def test_who_shows_nothing_is_told_what_to_show(house: House) -> None:
    failure = await (await house.come()).refused()
    assert failure.kind is Kind.UNAUTHENTICATED
    assert "X-API-Key" in failure.message
    assert (await (await house.come("/step", "POST")).refused()).message == "Not authenticated"


@on_a_loop
async def test_an_expired_key_is_refused_also_from_memory(house: House) -> None:
    secret = house.key("viewer", expires_at=NOW + timedelta(seconds=10)).secret
    await principal((await house.come(x_api_key=secret)).request)
    late = await house.come(x_api_key=secret, at=NOW + timedelta(seconds=10))
    assert (await late.refused()).message == "API key has expired"


@on_a_loop
async def test_an_expired_token_is_refused_also_from_memory(house: House) -> None:
    now = SystemClock().now()
    token = keyring().sign(Claims("user123", now + timedelta(seconds=5)), now)
    await principal((await house.come(authorization=f"Bearer {token}", at=now)).request)
    late = await house.come(authorization=f"Bearer {token}", at=now + timedelta(seconds=36))
    assert (await late.refused()).message == "Token has expired"


# ---- counting


@on_a_loop
async def test_a_known_caller_costs_one_write_and_no_read(house: House) -> None:
    secret = house.key("viewer").secret
    await house.come(x_api_key=secret)
    reads, writes = house.tables.reads, house.tables.writes
    visit = await house.come(x_api_key=secret)
    await principal(visit.request)
    assert (house.tables.reads - reads, house.tables.writes - writes) == (0, 1)


@on_a_loop
async def test_callers_are_counted_apart_and_strangers_by_their_address(house: House, configure: Configure) -> None:
    configure(rate_limit_policy=2)
    one, two = (house.key("viewer").secret for _ in range(2))
    left = [
        (await house.come("/step", "POST", shown=headers)).remaining
        for headers in ({"x_api_key": one}, {"x_api_key": two}, {}, {"x_api_key": "wrong"}, {"x_api_key": one})
    ]
    assert left == ["1", "1", "1", "0", "0"]
    assert (await house.come("/step", "POST", ip="203.0.113.8")).remaining == "1"


@on_a_loop
async def test_who_is_over_the_limit_is_turned_away_in_the_groups_own_words(house: House, configure: Configure) -> None:
    configure(rate_limit_policy=1)
    await house.come("/step", "POST")
    visit = await house.come("/step", "POST")
    assert visit.turned_away is not None
    assert visit.turned_away.message == "Rate limit exceeded: 1 per 1 minute"
    assert visit.turned_away.retry_after == 60
    assert visit.exchange.answer_headers == {
        "x-ratelimit-limit": "1",
        "x-ratelimit-remaining": "0",
        "x-ratelimit-reset": str(int((NOW + timedelta(seconds=61)).timestamp())),
    }


@on_a_loop
async def test_an_exhausted_window_is_remembered_until_it_ends(house: House, configure: Configure) -> None:
    configure(rate_limit_policy=1)
    for _ in range(2):
        await house.come("/step", "POST")
    writes = house.tables.writes
    for _ in range(10):
        assert (await house.come("/step", "POST")).turned_away is not None
    assert house.tables.writes == writes
    assert (await house.come("/step", "POST", at=NOW + timedelta(seconds=60))).turned_away is None


@on_a_loop
async def test_a_path_without_a_limit_is_not_counted(house: House) -> None:
    visit = await house.come("/chat/completions", "POST")
    assert visit.exchange.answer_headers == {}
    assert house.tables.writes == 0


@on_a_loop
async def test_a_probe_asks_nothing_of_the_store(house: House) -> None:
    visit = await house.come("/health", x_api_key=house.key("viewer").secret)
    assert visit.exchange.answer_headers == {}
    assert house.tables.reads == house.tables.writes == 0


@on_a_loop
async def test_logins_count_on_the_address_also_with_a_key(house: House, configure: Configure) -> None:
    configure(rate_limit_auth=2)
    secrets = [house.key("viewer").secret for _ in range(3)]
    visits = [await house.come("/v1/auth/login", "POST", x_api_key=secret) for secret in secrets]
    assert [visit.turned_away is None for visit in visits] == [True, True, False]


@on_a_loop
async def test_behind_our_own_edge_each_caller_has_an_address_and_nobody_else_may_say_so(
    house: House, configure: Configure
) -> None:
    configure(rate_limit_auth=1, edge_key="of-the-stack")

    async def admitted(key: str, viewer: str) -> bool:
        told = {"x_quintet_edge": key, "x_quintet_viewer": viewer}
        return (await house.come("/v1/auth/login", "POST", ip="198.51.100.9", shown=told)).turned_away is None

    assert [await admitted("of-the-stack", f"203.0.113.{n}") for n in (1, 2, 1)] == [True, True, False]
    assert [await admitted("guessed", f"203.0.113.{n}") for n in (3, 4)] == [True, False]
    configure(rate_limit_auth=1, edge_key="")
    assert not await admitted("", "203.0.113.5")


@on_a_loop
async def test_many_subjects_are_no_way_around_the_limit_of_who_ordered_them(
    house: House, configure: Configure
) -> None:
    configure(rate_limit_policy=3)
    key = house.key("developer").key
    for n in range(4):
        claims = Claims(f"subject{n}", NOW + timedelta(hours=1), account=key.account, scopes=("infer",))
        visit = await house.come("/step", "POST", authorization=f"Bearer {keyring().sign(claims, NOW)}")
    assert visit.turned_away is not None


# ---- revocation

COUNTED, UNCOUNTED = "/v1/tasks", "/chat/completions"


@pytest.mark.parametrize("path", [COUNTED, UNCOUNTED, "/v1/auth/token"])
@on_a_loop
async def test_a_revoked_key_is_dead_on_the_next_request(house: House, path: str) -> None:
    issued = house.key("developer")
    await principal((await house.come(path, "POST", x_api_key=issued.secret)).request)
    house.keys.revoke(issued.key.id, actor="test", now=NOW)
    visit = await house.come(path, "POST", x_api_key=issued.secret)
    assert (await visit.refused()).message == "These credentials have been revoked"


@pytest.mark.parametrize("path", [COUNTED, UNCOUNTED])
@on_a_loop
async def test_a_revoked_key_takes_its_tokens_along(house: House, path: str) -> None:
    issued = house.key("developer")
    claims = Claims("subject", NOW + timedelta(hours=1), account=issued.key.account, scopes=("infer",))
    token = keyring().sign(claims, NOW)
    await principal((await house.come(path, authorization=f"Bearer {token}")).request)
    house.keys.revoke(issued.key.id, actor="test", now=NOW)
    visit = await house.come(path, authorization=f"Bearer {token}")
    assert (await visit.refused()).message == "These credentials have been revoked"


@pytest.mark.parametrize("subject", ["zed", None])
@pytest.mark.parametrize("path", [COUNTED, UNCOUNTED])
@on_a_loop
async def test_a_token_that_was_ordered_in_a_session_ends_with_it(house: House, path: str, subject: str | None) -> None:
    user = house.user("developer")
    session, _ = house.session(user)
    token = _ordered(user.principal(session), subject or user.id)
    caller = await principal((await house.come(path, authorization=f"Bearer {token}")).request)
    assert (caller.id, caller.account) == (subject or user.id, user.account)
    house.sessions.end(session, user, NOW)
    visit = await house.come(path, authorization=f"Bearer {token}")
    assert (await visit.refused()).message == "This session has ended: log in again"


@on_a_loop
async def test_a_token_that_was_ordered_grants_no_more_than_who_ordered_it_may_do_now(house: House) -> None:
    user = house.user("developer")
    session, _ = house.session(user)
    token = _ordered(user.principal(session), "zed", scopes=["create_task", "read_tasks"])
    caller = await principal((await house.come(authorization=f"Bearer {token}")).request)
    assert caller.permissions == {"create_task", "read_tasks"}
    house.users.change(user, replace(user, roles=("viewer",), rev=1))
    caller = await principal((await house.come(authorization=f"Bearer {token}")).request)
    assert (caller.id, caller.permissions) == ("zed", frozenset({"read_tasks"}))
    again = await principal((await house.come(authorization=f"Bearer {_ordered(caller, 'zed')}")).request)
    assert again.permissions == {"read_tasks"}


@pytest.mark.parametrize("path", [COUNTED, UNCOUNTED])
@on_a_loop
async def test_a_token_ends_with_the_secret_that_it_was_ordered_with(house: House, path: str) -> None:
    old = house.key("developer")
    token = _ordered(old.key.principal(), "zed")
    await principal((await house.come(path, authorization=f"Bearer {token}")).request)
    house.keys.rotate(old.key.id, timedelta(seconds=60), actor="test", now=NOW)
    await principal((await house.come(path, authorization=f"Bearer {token}")).request)
    late = NOW + timedelta(seconds=91)
    assert (await (await house.come(path, at=late, authorization=f"Bearer {token}")).refused()).message == (
        "Token has expired"
    )
    house.keys.rotate(old.key.id, timedelta(), actor="test", now=NOW)
    visit = await house.come(path, authorization=f"Bearer {token}")
    assert (await visit.refused()).message == "These credentials have been revoked"


def _ordered(by: Principal, subject: str, scopes: list[str] | None = None) -> str:
    return keyring().sign(minted(by, subject, timedelta(hours=1), NOW, scopes), NOW)


@on_a_loop
async def test_who_was_turned_out_is_counted_by_address(house: House) -> None:
    issued = house.key("developer")
    await house.come(x_api_key=issued.secret)
    house.keys.revoke(issued.key.id, actor="test", now=NOW)
    assert (await house.come(x_api_key=issued.secret)).remaining == "999"
    assert house.tables.account("ip#203.0.113.7").windows["default"][0] == 1


@pytest.mark.parametrize("path", [COUNTED, UNCOUNTED])
@on_a_loop
async def test_a_rotated_secret_lives_for_the_overlap_and_not_longer(house: House, path: str) -> None:
    old = house.key("developer")
    await principal((await house.come(path, x_api_key=old.secret)).request)
    new = house.keys.rotate(old.key.id, timedelta(seconds=60), actor="test", now=NOW)
    for secret in (old.secret, new.secret):
        assert (await principal((await house.come(path, x_api_key=secret)).request)).key_id == old.key.id
    late = NOW + timedelta(seconds=60)
    assert (await (await house.come(path, at=late, x_api_key=old.secret)).refused()).message == "API key has expired"
    await principal((await house.come(path, at=late, x_api_key=new.secret)).request)


@pytest.mark.parametrize("path", [COUNTED, UNCOUNTED])
@on_a_loop
async def test_without_an_overlap_the_old_secret_dies_at_once(house: House, path: str) -> None:
    old = house.key("developer")
    await principal((await house.come(path, x_api_key=old.secret)).request)
    house.keys.rotate(old.key.id, timedelta(), actor="test", now=NOW)
    assert (await (await house.come(path, x_api_key=old.secret)).refused()).message == "API key has expired"


@pytest.mark.parametrize("path", [COUNTED, UNCOUNTED])
@on_a_loop
async def test_a_disabled_user_is_out_on_the_next_request(house: House, path: str) -> None:
    user = house.user("developer")
    _, token = house.session(user)
    await principal((await house.come(path, authorization=f"Bearer {token}")).request)
    house.users.change(user, replace(user, disabled=True, rev=1))
    await (await house.come(path, authorization=f"Bearer {token}")).refused()


@pytest.mark.parametrize("path", [COUNTED, UNCOUNTED])
@on_a_loop
async def test_an_ended_session_is_over_on_the_next_request_and_others_go_on(house: House, path: str) -> None:
    user = house.user("developer")
    (session, token), (_, other) = house.session(user), house.session(user)
    for each in (token, other):
        await principal((await house.come(path, authorization=f"Bearer {each}")).request)
    house.sessions.end(session, user, NOW)
    visit = await house.come(path, authorization=f"Bearer {token}")
    assert (await visit.refused()).message == "This session has ended: log in again"
    await principal((await house.come(path, authorization=f"Bearer {other}")).request)


@pytest.mark.parametrize("path", [COUNTED, UNCOUNTED])
@on_a_loop
async def test_a_role_is_gone_on_the_next_request(house: House, path: str) -> None:
    user = house.user("admin")
    _, token = house.session(user)
    await permitted("admin")((await house.come(path, authorization=f"Bearer {token}")).request)
    house.users.change(user, replace(user, roles=("viewer",), rev=1))
    visit = await house.come(path, authorization=f"Bearer {token}")
    assert (await visit.refused(permitted("admin"))).kind is Kind.FORBIDDEN


@on_a_loop
async def test_a_provisional_caller_is_as_this_instance_remembers(house: House) -> None:
    """The route's own write then finds out what has changed, and asks again."""
    issued = house.key("developer")
    await house.come(UNCOUNTED, x_api_key=issued.secret)
    house.keys.revoke(issued.key.id, actor="test", now=NOW)
    reads = house.tables.reads
    visit = await house.come(UNCOUNTED, x_api_key=issued.secret)
    assert (await provisional_principal(visit.request)).id == "team"
    assert house.tables.reads == reads
    assert visit.exchange.confirm is not None
    with pytest.raises(Failure, match="revoked"):
        await visit.exchange.confirm()
    assert visit.exchange.caller is None


@on_a_loop
async def test_asking_again_brings_the_new_revision(house: House) -> None:
    issued = house.key("developer")
    await house.come(UNCOUNTED, x_api_key=issued.secret)
    house.keys.rotate(issued.key.id, timedelta(hours=1), actor="test", now=NOW)
    visit = await house.come(UNCOUNTED, x_api_key=issued.secret)
    assert visit.caller.rev == 0
    assert visit.exchange.confirm is not None
    await visit.exchange.confirm()
    assert visit.caller.rev == 1


@on_a_loop
async def test_credentials_shown_in_a_message_are_checked_like_all_others(house: House) -> None:
    issued = house.key("developer")
    credential = Credential(issued.secret, bearer=True)
    assert (await house.door.authenticate(credential, NOW)).id == "team"
    house.keys.revoke(issued.key.id, actor="test", now=NOW)
    with pytest.raises(Failure, match="revoked"):
        await house.door.authenticate(credential, NOW)


@on_a_loop
async def test_who_changes_all_the_time_is_asked_to_come_again(house: House) -> None:
    """Each try finds that the record it has just read is out of date."""
    issued = house.key("developer")
    house.tables.account(issued.key.account).rev = 7
    visit = await house.come(x_api_key=issued.secret)
    assert visit.turned_away is not None
    assert visit.turned_away.kind is Kind.UNAVAILABLE


# ---- what routes ask


@on_a_loop
async def test_a_missing_permission_is_named(house: House) -> None:
    visit = await house.come(x_api_key=house.key("viewer").secret)
    assert (await permitted("read_tasks")(visit.request)).id == "team"
    failure = await visit.refused(permitted("create_task"))
    assert failure.kind is Kind.FORBIDDEN
    assert "'create_task'" in failure.message


def test_a_permission_that_is_none_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="fly"):
        permitted("fly")


@on_a_loop
async def test_a_closed_stack_asks_who_is_calling(house: House) -> None:
    assert (await (await house.come(UNCOUNTED)).refused(open_or_principal)).kind is Kind.UNAUTHENTICATED


@on_a_loop
async def test_an_open_stack_lets_anybody_in(house: House, configure: Configure) -> None:
    configure(open_access=True)
    shown: list[dict[str, str]] = [{}, {"x_api_key": "wrong"}]
    for headers in shown:
        caller = await open_or_principal((await house.come(UNCOUNTED, shown=headers)).request)
        assert (caller.kind, caller.permissions) == (PrincipalKind.ANONYMOUS, OPEN)
        assert caller.account == "ip#203.0.113.7"


@on_a_loop
async def test_an_open_stack_knows_whom_it_knows(house: House, configure: Configure) -> None:
    configure(open_access=True)
    visit = await house.come(UNCOUNTED, x_api_key=house.key("viewer").secret)
    assert (await open_or_principal(visit.request)).id == "team"


@on_a_loop
async def test_many_at_once_are_admitted_exactly_to_the_limit(house: House, configure: Configure) -> None:
    configure(rate_limit_policy=10)
    visits = await asyncio.gather(*(house.come("/step", "POST") for _ in range(30)))
    assert sum(visit.turned_away is None for visit in visits) == 10


def test_the_gate_is_over_the_tables() -> None:
    assert isinstance(door.gate(), Door)
