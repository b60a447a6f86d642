"""Who may do what."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from quintet.errors import Failure, Kind
from quintet.identity.model import (
    OPEN,
    PERMISSIONS,
    PERSONAL,
    ROLES,
    SCOPES,
    ApiKey,
    Principal,
    PrincipalKind,
    Session,
    User,
    is_user_id,
    link_of,
    login_of,
    permissions_of,
)
from quintet.store.ids import new_id

NOW = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)
READS = {
    "read_tasks",
    "read_agents",
    "read_models",
    "read_escalations",
    "read_monitoring",
    "read_configuration",
    "read_webhooks",
}
RESERVED = {"approve_escalation", "review_code", "update_configuration", "manage_alerts", "admin"}


def principal(*permissions: str, **fields: object) -> Principal:
    return replace(
        Principal("someone", PrincipalKind.SERVICE, "user#someone", frozenset(permissions)),
        **fields,  # type: ignore[arg-type]
    )


def test_an_admin_may_do_everything() -> None:
    assert ROLES["admin"] == PERMISSIONS


def test_a_developer_may_do_all_but_what_is_reserved() -> None:
    assert ROLES["developer"] == PERMISSIONS - RESERVED


def test_a_reviewer_is_a_developer_who_decides() -> None:
    assert ROLES["reviewer"] == ROLES["developer"] | {"approve_escalation", "review_code", "manage_alerts"}


def test_a_viewer_reads() -> None:
    assert ROLES["viewer"] == READS


def test_a_service_is_what_its_scopes_say() -> None:
    assert permissions_of(["service"], []) == frozenset()
    assert permissions_of(["service"], ["tasks", "infer"]) == {
        "create_task",
        "read_tasks",
        "update_task",
        "cancel_task",
        "infer",
    }


def test_every_permission_is_a_scope_and_belongs_to_a_word() -> None:
    assert all(SCOPES[permission] >= {permission} for permission in PERMISSIONS)
    words = SCOPES.keys() - PERMISSIONS | {"admin"}
    assert frozenset().union(*(SCOPES[word] for word in words)) == PERMISSIONS


def test_a_word_without_a_meaning_grants_nothing() -> None:
    assert permissions_of(["emperor"], ["everything", "*"]) == frozenset()


def test_nobody_without_a_name_changes_anything() -> None:
    assert not OPEN & (RESERVED | PERSONAL)
    assert OPEN - ROLES["viewer"] == {"infer", "call_models", "use_personas"}


def test_a_missing_permission_is_named() -> None:
    with pytest.raises(Failure, match="'create_task'") as failure:
        principal("read_tasks").need("create_task")
    assert failure.value.kind is Kind.FORBIDDEN
    assert failure.value.details == {"permission": "create_task"}


def test_a_permission_that_is_there_is_enough() -> None:
    principal("create_task").need("create_task")


def test_a_token_has_thirty_seconds_of_grace_and_a_key_has_none() -> None:
    token, key = principal(expires_at=NOW), principal(expires_at=NOW, key_id="key_1")
    assert token.holds_at(NOW + timedelta(seconds=29))
    assert not token.holds_at(NOW + timedelta(seconds=30))
    assert not key.holds_at(NOW)
    assert key.holds_at(NOW - timedelta(milliseconds=1))
    assert principal().holds_at(NOW)


def test_only_ids_of_users_are_ids_of_users() -> None:
    assert is_user_id(new_id("user", NOW))
    assert not any(is_user_id(text) for text in ("user123", "user_123", new_id("key", NOW), new_id("user", NOW) + "x"))


def test_spellings_of_a_login_are_one() -> None:
    assert login_of(" Ada@Example.TEST ") == login_of("ada@example.test") == login_of("\uff41da@example.test")


def test_an_identity_is_its_issuer_and_its_subject() -> None:
    links = {
        link_of(*each) for each in (("https://a", "1"), ("https://b", "1"), ("https://a", "2"), ("https://a\n", "1"))
    }
    assert len(links) == 4


def test_an_address_is_a_name_only_with_a_password() -> None:
    user = User("user_1", "a@b", NOW, username="ada", links=("link#1",))
    assert user.names == {"link#1"}
    assert replace(user, password_hash="x").names == {"link#1", "login#a@b", "login#ada"}


def test_a_key_speaks_for_its_owner() -> None:
    key = ApiKey("key_1", "digest", "abcd", "ci", "team", NOW, ("viewer",), ("infer",), NOW, rev=3)
    caller = key.principal()
    assert (caller.id, caller.key_id, caller.account, caller.rev) == ("team", "key_1", "key#key_1", 3)
    assert caller.permissions == ROLES["viewer"] | {"infer"}
    assert caller.expires_at == NOW


class TestASession:
    user = User("user_1", "a@b", NOW)
    session = Session("ses_1", "user_1", "tok_1", NOW, NOW + timedelta(days=30))

    def test_holds(self) -> None:
        assert self.session.holds_for(self.user, NOW)

    @pytest.mark.parametrize(
        ("session", "user", "at"),
        [
            ({}, {"disabled": True}, NOW),
            ({}, {"id": "user_2"}, NOW),
            ({}, {"sessions_from": NOW + timedelta(milliseconds=1)}, NOW),
            ({"ended_at": NOW}, {}, NOW),
            ({}, {}, NOW + timedelta(days=30)),
        ],
        ids=["user disabled", "another user", "all ended", "ended", "too old"],
    )
    def test_does_not_hold(self, session: dict[str, object], user: dict[str, object], at: datetime) -> None:
        its_user = replace(self.user, **user)  # type: ignore[arg-type]
        assert not replace(self.session, **session).holds_for(its_user, at)  # type: ignore[arg-type]

    def test_holds_when_it_began_after_all_others_ended(self) -> None:
        assert self.session.holds_for(replace(self.user, sessions_from=NOW), NOW)
