"""Keys and users as an administrator sees them, through the admin function's handler and the real tables."""

import json
import secrets
from datetime import timedelta
from typing import Any

import pytest
from fastapi.routing import APIRoute

from quintet.events import store as log
from quintet.events.model import AUDIT, Event
from quintet.store.clock import SystemClock, iso
from tests.gateway import Answer
from tests.integration.identity.conftest import Caller
from tests.integration.identity.test_login import PASSWORD, keys, log_in, users

KEYS, USERS = "/admin/v1/keys", "/admin/v1/users"


class Admin:
    """One who may do everything, from an address of its own."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.name = f"root-{secrets.token_hex(4)}"
        issued = keys().issue("root", self.name, roles=["admin"], actor="test", now=SystemClock().now())
        self.headers = {"X-API-Key": issued.secret}

    def __call__(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        answer = self.caller(method, path, headers=self.headers, json=body)
        assert answer.status == status, answer.text
        return answer.json()

    def refused(self, method: str, path: str, body: Any = None, *, status: int) -> str:
        """What the broker's dialect says."""
        error = self(method, path, body, status)["error"]
        assert error.keys() <= {"message", "type", "details"}
        return str(error["message"])


@pytest.fixture
def admin(caller: Caller) -> Admin:
    return Admin(caller)


def me(caller: Caller, secret: str) -> Answer:
    return caller("GET", "/v1/auth/me", headers={"X-API-Key": secret})


def told(subject: str, since: int) -> list[Event]:
    """What was told about somebody: it lies in the outbox, until the deployed fanout function gives it a number."""
    soon = SystemClock().now() + timedelta(minutes=1)
    events = [event for shard in range(log.OUTBOX_SHARDS) for event in log.waiting(shard, soon)]
    events += [entry.event for entry in log.read(AUDIT, since, 1000).entries]
    about = {event.id: event for event in events if event.subject == subject}
    return [about[each] for each in sorted(about)]


class TestKeys:
    def test_are_shown_once(self, admin: Admin) -> None:
        order = {"name": "ci", "owner": "team", "roles": ["viewer"], "scopes": ["tasks"]}
        issued = admin("POST", KEYS, order, 201)
        secret = issued.pop("key")
        assert issued.items() >= order.items()
        assert issued.keys() == {*order, "id", "hint", "created_at", "expires_at", "revoked_at", "last_used"}
        assert secret.startswith("qk_local_")
        assert secret.endswith(issued["hint"])
        assert admin("GET", f"{KEYS}/{issued['id']}") == issued

    def test_open_what_they_say_and_tell_when_they_were_used(self, admin: Admin, caller: Caller) -> None:
        issued = admin("POST", KEYS, {"name": "ci", "owner": "team", "scopes": ["read_tasks"]}, 201)
        assert me(caller, issued["key"]).json()["data"]["permissions"] == ["read_tasks"]
        assert admin("GET", f"{KEYS}/{issued['id']}")["last_used"] >= issued["created_at"][:19]
        (own,) = admin("GET", f"{KEYS}?owner={admin.name}")["keys"]
        assert own["last_used"]

    def test_belong_to_who_made_them_unless_said_otherwise(self, admin: Admin) -> None:
        assert admin("POST", KEYS, {"name": "mine"}, 201)["owner"] == admin.name

    def test_end_when_they_are_told_to(self, admin: Admin) -> None:
        end = iso(SystemClock().now() + timedelta(days=1))
        assert admin("POST", KEYS, {"name": "short", "expires_at": end}, 201)["expires_at"] == end

    def test_are_rotated_with_an_overlap(self, admin: Admin, caller: Caller) -> None:
        old = admin("POST", KEYS, {"name": "ci", "scopes": ["tasks"]}, 201)
        new = admin("POST", f"{KEYS}/{old['id']}/rotate", {"overlap_seconds": 60})
        assert new["id"] == old["id"]
        assert new["key"] != old["key"]
        assert new["old_key_expires_at"] > old["created_at"]
        assert [me(caller, each["key"]).status for each in (old, new)] == [200, 200]

    def test_are_rotated_without_one(self, admin: Admin, caller: Caller) -> None:
        old = admin("POST", KEYS, {"name": "ci", "scopes": ["tasks"]}, 201)
        assert me(caller, old["key"]).status == 200
        new = admin("POST", f"{KEYS}/{old['id']}/rotate", {"overlap_seconds": 0})
        assert [me(caller, each["key"]).status for each in (old, new)] == [401, 200]

    def test_overlap_for_an_hour_unless_said_otherwise(self, admin: Admin, caller: Caller) -> None:
        old = admin("POST", KEYS, {"name": "ci"}, 201)
        new = admin("POST", f"{KEYS}/{old['id']}/rotate")
        assert me(caller, old["key"]).status == 200
        assert new["old_key_expires_at"] > iso(SystemClock().now() + timedelta(minutes=59))

    def test_are_dead_on_the_next_request_after_they_were_revoked(self, admin: Admin, caller: Caller) -> None:
        issued = admin("POST", KEYS, {"name": "ci", "scopes": ["tasks"]}, 201)
        assert me(caller, issued["key"]).status == 200
        revoked = admin("DELETE", f"{KEYS}/{issued['id']}")
        assert revoked["revoked_at"]
        assert me(caller, issued["key"]).status == 401
        assert admin("DELETE", f"{KEYS}/{issued['id']}") == revoked
        assert "revoked" in admin.refused("POST", f"{KEYS}/{issued['id']}/rotate", status=409)

    def test_are_listed_newest_first_page_by_page(self, admin: Admin) -> None:
        owner = f"team-{secrets.token_hex(4)}"
        ids = [admin("POST", KEYS, {"name": f"{n}", "owner": owner}, 201)["id"] for n in range(3)]
        first = admin("GET", f"{KEYS}?owner={owner}&limit=2")
        second = admin("GET", f"{KEYS}?owner={owner}&limit=2&cursor={first['next_cursor']}")
        assert [key["id"] for page in (first, second) for key in page["keys"]] == sorted(ids, reverse=True)
        assert second["next_cursor"] is None
        assert len(admin("GET", f"{KEYS}?owner={owner}&offset=2")["keys"]) == 1
        assert "key" not in first["keys"][0]

    @pytest.mark.parametrize(
        ("order", "field"),
        [
            ({}, "name"),
            ({"name": ""}, "name"),
            ({"name": "x", "roles": ["emperor"]}, "roles"),
            ({"name": "x", "scopes": ["*"]}, "scopes"),
            ({"name": "x", "owner": f"user_{'0' * 26}"}, "owner"),
            ({"name": "x", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
            ({"name": "x", "expires_at": "2030-01-01T00:00:00"}, "expires_at"),
            ({"name": "x", "colour": "red"}, "colour"),
        ],
    )
    def test_are_refused_by_field(self, admin: Admin, order: dict[str, Any], field: str) -> None:
        assert admin.refused("POST", KEYS, order, status=400).startswith(f"{field}: ")

    @pytest.mark.parametrize("query", ["limit=0", "limit=501", "offset=-1", "offset=10001", "limit=many"])
    def test_are_listed_within_bounds(self, admin: Admin, query: str) -> None:
        assert admin.refused("GET", f"{KEYS}?{query}", status=400).startswith(query.partition("=")[0])

    @pytest.mark.parametrize(("method", "path"), [("GET", ""), ("DELETE", ""), ("POST", "/rotate")])
    def test_are_not_found_under_another_id(self, admin: Admin, method: str, path: str) -> None:
        assert admin.refused(method, f"{KEYS}/key_nobody{path}", status=404) == "There is no key 'key_nobody'"

    def test_change_with_an_event_that_names_no_secret(self, admin: Admin) -> None:
        since = log.head(AUDIT).seq
        issued = admin("POST", KEYS, {"name": "ci"}, 201)
        rotated = admin("POST", f"{KEYS}/{issued['id']}/rotate")
        admin("DELETE", f"{KEYS}/{issued['id']}")
        events = told(issued["id"], since)
        assert [event.type for event in events] == ["key.created", "key.rotated", "key.revoked"]
        assert {(event.topic, event.actor, event.needs) for event in events} == {(AUDIT, admin.name, "admin")}
        text = json.dumps([dict(event.data) for event in events])
        assert issued["key"] not in text
        assert rotated["key"] not in text


class TestUsers:
    def new(self, **more: Any) -> dict[str, Any]:
        word = secrets.token_hex(6)
        return {"email": f"{word}@example.test", "username": word, "name": "Ada", **more}

    def test_are_created_with_a_password_of_their_own(self, admin: Admin, caller: Caller) -> None:
        new = self.new(roles=["developer"])
        user = admin("POST", USERS, {**new, "password": PASSWORD}, 201)
        assert user == {
            **new,
            "id": user["id"],
            "created_at": user["created_at"],
            "disabled": False,
            "last_login": None,
        }
        assert log_in(caller, new["username"]).status == 200
        assert admin("GET", f"{USERS}/{user['id']}")["last_login"]

    def test_get_a_password_where_none_was_given(self, admin: Admin, caller: Caller) -> None:
        user = admin("POST", USERS, self.new(), 201)
        assert user["roles"] == ["viewer"]
        assert log_in(caller, user["username"], user["password"]).status == 200

    def test_share_no_names(self, admin: Admin) -> None:
        new = self.new()
        admin("POST", USERS, new, 201)
        assert "belongs to another user" in admin.refused("POST", USERS, {"email": new["email"]}, status=409)

    def test_are_changed_where_something_is_said(self, admin: Admin) -> None:
        user = admin("POST", USERS, self.new(), 201)
        changed = admin("PATCH", f"{USERS}/{user['id']}", {"roles": ["reviewer"], "name": "Ada L."})
        assert (changed["roles"], changed["name"], changed["email"]) == (["reviewer"], "Ada L.", user["email"])
        assert admin("GET", f"{USERS}/{user['id']}") == changed

    def test_are_out_when_disabled_and_so_are_their_keys(self, admin: Admin, caller: Caller) -> None:
        user = admin("POST", USERS, self.new(password=PASSWORD, roles=["developer"]), 201)
        key = admin("POST", KEYS, {"name": "own", "owner": user["id"], "scopes": ["tasks"]}, 201)
        access = log_in(caller, user["username"]).json()["data"]["access_token"]
        bearer = {"Authorization": f"Bearer {access}"}
        assert me(caller, key["key"]).status == caller("GET", "/v1/auth/me", headers=bearer).status == 200
        assert admin("PATCH", f"{USERS}/{user['id']}", {"disabled": True})["disabled"]
        assert me(caller, key["key"]).status == caller("GET", "/v1/auth/me", headers=bearer).status == 401
        assert log_in(caller, user["username"]).json()["error"]["message"] == "This user has been disabled"

    def test_get_another_password_and_lose_their_sessions(self, admin: Admin, caller: Caller) -> None:
        user = admin("POST", USERS, self.new(password=PASSWORD), 201)
        access = log_in(caller, user["username"]).json()["data"]["access_token"]
        new = admin("POST", f"{USERS}/{user['id']}/password")["password"]
        assert caller("GET", "/v1/auth/me", headers={"Authorization": f"Bearer {access}"}).status == 401
        assert [log_in(caller, user["username"], each).status for each in (PASSWORD, new)] == [401, 200]
        assert "password" not in admin("POST", f"{USERS}/{user['id']}/password", {"password": PASSWORD})

    def test_lose_their_sessions_alone(self, admin: Admin, caller: Caller) -> None:
        user = admin("POST", USERS, self.new(password=PASSWORD), 201)
        grant = log_in(caller, user["username"]).json()["data"]
        admin("DELETE", f"{USERS}/{user['id']}/sessions")
        bearer = {"Authorization": f"Bearer {grant['access_token']}"}
        assert caller("GET", "/v1/auth/me", headers=bearer).status == 401
        refreshed = caller("POST", "/v1/auth/refresh", json={"refresh_token": grant["refresh_token"]})
        assert refreshed.status == 401
        assert log_in(caller, user["username"]).status == 200

    def test_are_removed(self, admin: Admin) -> None:
        user = admin("POST", USERS, self.new(), 201)
        assert admin("DELETE", f"{USERS}/{user['id']}") == {"id": user["id"], "removed": True}
        assert admin.refused("GET", f"{USERS}/{user['id']}", status=404) == f"There is no user '{user['id']}'"

    def test_are_listed(self, admin: Admin) -> None:
        ids = {admin("POST", USERS, self.new(), 201)["id"] for _ in range(2)}
        page = admin("GET", f"{USERS}?limit=500")
        assert ids <= {user["id"] for user in page["users"]}
        assert "password" not in json.dumps(page)

    @pytest.mark.parametrize(
        ("new", "field"),
        [
            ({}, "email"),
            ({"email": "nobody"}, "email"),
            ({"email": "a@b", "password": "short"}, "password"),
            ({"email": "a@b", "roles": ["emperor"]}, "roles"),
            ({"email": "a@b", "id": "user_1"}, "id"),
        ],
    )
    def test_are_refused_by_field(self, admin: Admin, new: dict[str, Any], field: str) -> None:
        assert admin.refused("POST", USERS, new, status=400).startswith(f"{field}: ")

    def test_change_with_an_event(self, admin: Admin) -> None:
        since = log.head(AUDIT).seq
        user = admin("POST", USERS, self.new(), 201)
        path = f"{USERS}/{user['id']}"
        admin("PATCH", path, {"name": "Ada L."})
        admin("POST", f"{path}/password")
        admin("DELETE", f"{path}/sessions")
        admin("DELETE", path)
        assert [event.type for event in told(user["id"], since)] == [
            "user.created",
            "user.changed",
            "user.password_set",
            "user.sessions_ended",
            "user.removed",
        ]

    def test_do_not_disable_themselves(self, admin: Admin, caller: Caller) -> None:
        user = users().create(
            f"{secrets.token_hex(4)}@example.test", PASSWORD, roles=["admin"], actor="test", now=SystemClock().now()
        )
        access = log_in(caller, user.email).json()["data"]["access_token"]
        admin.headers = {"Authorization": f"Bearer {access}"}
        assert "yourself" in admin.refused("PATCH", f"{USERS}/{user.id}", {"disabled": True}, status=400)
        assert "yourself" in admin.refused("PATCH", f"{USERS}/{user.id}", {"roles": []}, status=400)
        assert "yourself" in admin.refused("DELETE", f"{USERS}/{user.id}", status=400)


ROUTES = [
    ("GET", KEYS),
    ("POST", KEYS),
    ("GET", f"{KEYS}/key_1"),
    ("DELETE", f"{KEYS}/key_1"),
    ("POST", f"{KEYS}/key_1/rotate"),
    ("GET", USERS),
    ("POST", USERS),
    ("GET", f"{USERS}/user_1"),
    ("PATCH", f"{USERS}/user_1"),
    ("DELETE", f"{USERS}/user_1"),
    ("POST", f"{USERS}/user_1/password"),
    ("DELETE", f"{USERS}/user_1/sessions"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_only_an_administrator_comes_in(caller: Caller, method: str, path: str) -> None:
    assert caller(method, path, json={}).status == 401
    reviewer = keys().issue("ci", "team", roles=["reviewer"], actor="test", now=SystemClock().now()).secret
    answer = caller(method, path, json={}, headers={"X-API-Key": reviewer})
    assert (answer.status, answer.json()["error"]["details"]) == (403, {"permission": "admin"})


def test_every_route_is_in_that_table(function_environment: None) -> None:
    from admin import keys, users

    routes = {
        (method, route.path.replace("{key_id}", "key_1").replace("{user_id}", "user_1"))
        for router in (keys.router, users.router)
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
    assert routes == set(ROUTES)
