"""Tokens to order: never more than who orders them may do, nor for longer."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quintet.errors import Failure, Kind
from quintet.identity.minting import minted
from quintet.identity.model import OPEN, PERMISSIONS, PERSONAL, ROLES, Principal, PrincipalKind, anonymous
from quintet.store.ids import new_id

NOW = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
TEAM = Principal("team", PrincipalKind.SERVICE, "key#key_1", ROLES["reviewer"], key_id="key_1")


def test_hands_on_what_the_caller_may_do() -> None:
    claims = minted(TEAM, "user123", HOUR, NOW)
    assert (claims.subject, claims.account, claims.expires_at) == ("user123", "key#key_1", NOW + HOUR)
    assert claims.principal().permissions == TEAM.permissions - PERSONAL


def test_what_rests_on_who_one_is_stays_with_ones_own_name() -> None:
    admin = replace(TEAM, permissions=PERMISSIONS)
    assert minted(admin, "team", HOUR, NOW).principal().permissions == PERMISSIONS
    assert not minted(admin, "somebody", HOUR, NOW).principal().permissions & PERSONAL


def test_nobody_orders_a_token_in_the_name_of_a_user() -> None:
    user_id = new_id("user", NOW)
    with pytest.raises(Failure) as failure:
        minted(TEAM, user_id, HOUR, NOW)
    assert failure.value.kind is Kind.FORBIDDEN
    assert minted(replace(TEAM, id=user_id), user_id, HOUR, NOW).subject == user_id


def test_a_token_ends_with_the_credentials_it_was_ordered_with() -> None:
    soon = NOW + timedelta(minutes=5)
    assert minted(replace(TEAM, expires_at=soon), "user123", HOUR, NOW).expires_at == soon


def test_who_has_no_name_hands_on_what_is_open_and_answers_for_nothing() -> None:
    claims = minted(anonymous("ip#203.0.113.7"), "user123", HOUR, NOW)
    assert claims.principal().permissions == OPEN
    assert claims.principal().account == "user#user123"


def test_a_name_that_was_chosen_opens_nothing_of_who_really_has_it() -> None:
    of_another = minted(TEAM, "neighbour", HOUR, NOW).principal()
    assert of_another.id == "neighbour"
    assert of_another.owner not in {"neighbour", "team"}
    assert of_another.owner != minted(anonymous("ip#203.0.113.7"), "neighbour", HOUR, NOW).principal().owner
    assert minted(of_another, "team", HOUR, NOW).principal().owner != "team"


def test_under_ones_own_name_one_stays_who_one_is() -> None:
    own = minted(TEAM, "team", HOUR, NOW).principal()
    assert (own.owner, own.answerable) == ("team", "team")
    of_another = minted(TEAM, "user123", HOUR, NOW).principal()
    assert minted(of_another, "user123", HOUR, NOW).principal().owner == of_another.owner


def test_another_name_is_no_way_around_ones_own_budget() -> None:
    first = minted(TEAM, "user123", HOUR, NOW).principal()
    assert (first.answerable, minted(first, "user456", HOUR, NOW).principal().answerable) == ("team", "team")
    assert minted(anonymous("ip#203.0.113.7"), "team", HOUR, NOW).principal().answerable == "anonymous"


@given(
    st.sets(st.sampled_from(sorted(PERMISSIONS))),
    st.none() | st.lists(st.sampled_from([*sorted(PERMISSIONS), "tasks", "models", "nonsense"])),
    st.sampled_from(["team", "another"]),
)
def test_grants_never_more_than_the_caller_has(own: set[str], scopes: list[str] | None, subject: str) -> None:
    by = replace(TEAM, permissions=frozenset(own))
    first = minted(by, subject, HOUR, NOW, scopes).principal()
    assert first.permissions <= by.permissions
    second = minted(first, "yet another", HOUR, NOW).principal()
    assert second.permissions <= first.permissions
    assert second.account == by.account
