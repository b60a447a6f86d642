"""Nobody is sent what they may not read: whatever they were when they asked, and whatever became of them since."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quintet.events.platform import TYPES
from quintet.identity.model import ROLES, ApiKey, User, permissions_of
from quintet.identity.standing import Standing
from quintet.webhooks import delivering as module
from quintet.webhooks.delivering import Answered
from quintet.webhooks.model import Attempt, Delivery, Endpoint
from quintet.webhooks.standing import OwnersStanding
from tests.fakes.office import NOW, Office

USER = "user_" + "0" * 26
_ROLES = st.lists(st.sampled_from(sorted(ROLES)), max_size=2).map(tuple)
_CHANGES = st.sampled_from(["revoke", "expire", "disable", "demote", "promote", "delete"])


@dataclass
class People:
    """An owner by key and one by name, as their records stand now."""

    office: Office
    keys: dict[str, ApiKey] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)

    def hire(self, roles: tuple[str, ...]) -> None:
        self.keys["k"] = ApiKey("k", "", "", "robot", "ada", NOW, roles=roles)
        self.users[USER] = User(USER, None, NOW, roles=roles)

    def happen(self, change: str, roles: tuple[str, ...]) -> None:
        key, user, now = self.keys.get("k"), self.users.get(USER), self.office.at
        if key is None or user is None:
            return
        if change == "delete":
            self.keys.clear()
            self.users.clear()
        elif change == "revoke":
            self.keys["k"] = replace(key, revoked_at=now)
        elif change == "expire":
            self.keys["k"] = replace(key, expires_at=now - timedelta(seconds=1))
        elif change == "disable":
            self.users[USER] = replace(user, disabled=True)
        else:
            self.keys["k"] = replace(key, roles=roles)
            self.users[USER] = replace(user, roles=roles)

    def rights(self, account: str) -> frozenset[str]:
        """Said anew, from the records alone."""
        if account == "key#k":
            key = self.keys.get("k")
            over = key is None or key.revoked_at is not None or (key.expires_at or self.office.at) < self.office.at
            return frozenset() if key is None or over else permissions_of(key.roles, key.scopes)
        user = self.users.get(USER)
        return frozenset() if user is None or user.disabled else permissions_of(user.roles, ())

    async def may_read(self, endpoint: Endpoint, needs: str) -> bool:
        """As an instance that has not asked in the last ten seconds."""
        standing = Standing(self.keys.get, self.users.get, self.office)
        return await OwnersStanding(self.office, standing)(endpoint, needs)


@settings(max_examples=60, deadline=None)
@given(
    _ROLES,
    st.lists(st.sampled_from(["*", "task.*", "escalation.*", "system.alert", "budget.*"]), min_size=1),
    st.data(),
)
def test_nobody_is_ever_sent_what_they_may_not_read(
    roles: tuple[str, ...], patterns: list[str], data: st.DataObject
) -> None:
    office = Office(most=0)
    people = People(office)
    office.may_read = people.may_read
    people.hire(roles)
    had = permissions_of(roles, ())
    wrong: list[str] = []

    async def send(endpoint: Endpoint, delivery: Delivery, now: datetime) -> Answered:
        if TYPES[delivery.type] not in people.rights(endpoint.account) & had:
            wrong.append(delivery.type)
        return Answered(Attempt(now, 1, data.draw(st.sampled_from([200, 500]))))

    async def run() -> None:
        for account in ("key#k", f"user#{USER}"):
            office.endpoint("https://example.com", *patterns, account=account, had=had)
        for _ in range(data.draw(st.integers(1, 3))):
            await office.tell(*data.draw(st.lists(st.sampled_from(sorted(TYPES)), max_size=5)))
            if data.draw(st.booleans()):
                await office.work()
            people.happen(data.draw(_CHANGES), data.draw(_ROLES))
            office.at += timedelta(minutes=6)
            await office.work()
        await office.until(timedelta(hours=3))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "attempt", send)
        asyncio.run(run())
    assert not wrong
