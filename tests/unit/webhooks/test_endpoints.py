"""What an owner may make of endpoints."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from quintet.errors import Failure, Kind
from quintet.identity.minting import minted
from quintet.identity.model import ROLES, Principal, PrincipalKind
from quintet.webhooks.endpoints import MOST, Endpoints
from tests.fakes.webhooks import FakeEndpoints
from tests.loops import on_a_loop

NOW = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)
TEAM = Principal("team", PrincipalKind.SERVICE, "key#key_1", ROLES["developer"], key_id="key_1")


async def made(endpoints: Endpoints, owner: Principal) -> None:
    await endpoints.create(owner, "https://93.184.216.34/x", ["*"], None, "", NOW)


@on_a_loop
async def test_an_owner_has_so_many_and_no_more_under_whatever_name() -> None:
    endpoints = Endpoints(FakeEndpoints())
    for number in range(MOST):
        by = TEAM if number % 2 else minted(TEAM, f"name{number}", timedelta(hours=1), NOW).principal()
        await made(endpoints, by)
    for by in (TEAM, minted(TEAM, "another", timedelta(hours=1), NOW).principal()):
        with pytest.raises(Failure) as failure:
            await made(endpoints, by)
        assert failure.value.kind is Kind.REJECTED
    await made(endpoints, replace(TEAM, id="neighbour", account="key#key_2"))
