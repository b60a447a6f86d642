"""Budgets as an administrator sees them, through the admin function's handler and the real tables."""

import secrets
from typing import Any

import pytest

from quintet.events import store as log
from quintet.store.clock import SystemClock
from tests.integration.admin.conftest import Admin

BUDGETS = "/budgets"


def order(**given: Any) -> dict[str, Any]:
    return {"scope": "key", "subject": f"key_{secrets.token_hex(6)}", "window": "day", "cap_usd": 1.5, **given}


def test_are_made_and_shown_with_all_there_is_to_know(admin: Admin) -> None:
    asked = order()
    made = admin("POST", BUDGETS, asked, 201)
    resets_at = made.pop("resets_at")
    assert resets_at.endswith("T00:00:00Z")
    assert made == {
        **asked,
        "id": made["id"],
        "cap_nano_usd": 1_500_000_000,
        "spent_usd": 0.0,
        "spent_nano_usd": 0,
        "reserved_usd": 0.0,
        "reserved_nano_usd": 0,
        "remaining_usd": 1.5,
        "remaining_nano_usd": 1_500_000_000,
        "created_at": made["created_at"],
        "updated_at": made["created_at"],
        "updated_by": admin.name,
    }
    assert admin("GET", f"{BUDGETS}/{made['id']}") == {**made, "resets_at": resets_at}


def test_there_is_one_of_a_name_and_setting_it_again_changes_it(admin: Admin) -> None:
    asked = order()
    made = admin("POST", BUDGETS, asked, 201)
    again = admin("POST", BUDGETS, {**asked, "cap_usd": 2}, 200)
    assert (again["id"], again["cap_nano_usd"], again["remaining_usd"]) == (made["id"], 2_000_000_000, 2)


@pytest.mark.parametrize("scope", ["system", "principal", "key", "provider", "model", "task", "session"])
@pytest.mark.parametrize("window", ["hour", "day", "month", "total"])
def test_come_in_every_scope_and_window(admin: Admin, scope: str, window: str) -> None:
    asked = order(scope=scope, window=window)
    if scope == "system":
        del asked["subject"]
    made = admin("POST", BUDGETS, asked, 201)
    assert (made["resets_at"] is None) == (window == "total")
    assert admin("PATCH", f"{BUDGETS}/{made['id']}", {"cap_nano_usd": 7})["remaining_nano_usd"] == 7
    assert admin("PATCH", f"{BUDGETS}/{made['id']}", {"cap_usd": 4000.000000001})["cap_nano_usd"] == 4_000_000_000_001
    assert admin("PATCH", f"{BUDGETS}/{made['id']}", {"cap_usd": 3})["remaining_usd"] == 3
    assert admin("DELETE", f"{BUDGETS}/{made['id']}") == {"id": made["id"], "removed": True}
    admin.refused("GET", f"{BUDGETS}/{made['id']}", status=404)


def test_are_listed_page_by_page(admin: Admin) -> None:
    word = secrets.token_hex(6)
    made = [admin("POST", BUDGETS, order(scope="session", subject=f"{word}-{n}"), 201)["id"] for n in range(5)]
    found, path = [], f"{BUDGETS}?scope=session&limit=2"
    page = admin("GET", path)
    while page:
        found += [each["id"] for each in page["budgets"] if each["subject"].startswith(word)]
        page = page["next_cursor"] and admin("GET", f"{path}&cursor={page['next_cursor']}")
    assert found == made
    (one,) = admin("GET", f"{BUDGETS}?scope=session&subject={word}-3")["budgets"]
    assert one["id"] == made[3]
    assert admin("GET", f"{BUDGETS}?scope=session&subject=nobody") == {"budgets": [], "next_cursor": None}
    assert made[0] in {each["id"] for each in admin("GET", f"{BUDGETS}?limit=500")["budgets"]}


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"cap_usd": -1}, "cap_usd"),
        ({"cap_usd": "1"}, "cap_usd"),
        ({"cap_usd": True}, "cap_usd"),
        ({"cap_usd": 1e10}, "cap_usd"),
        ({"cap_usd": None}, "cap_usd"),
        ({"cap_nano_usd": 1}, "cap_usd"),
        ({"cap_usd": None, "cap_nano_usd": 1.5}, "cap_nano_usd"),
        ({"scope": "galaxy"}, "scope"),
        ({"window": "week"}, "window"),
        ({"subject": ""}, "subject"),
        ({"subject": None}, "subject"),
        ({"scope": "system", "subject": "me"}, "subject"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_refuse_what_makes_no_sense(admin: Admin, given: dict[str, Any], field: str) -> None:
    error = admin("POST", BUDGETS, order(**given), 400)["error"]
    assert field in error["message"]


def test_refuse_lists_that_make_no_sense(admin: Admin) -> None:
    for query in ("limit=0", "limit=501", "cursor=%C3%BC", "cursor=!", "scope=galaxy", "subject=x"):
        admin.refused("GET", f"{BUDGETS}?{query}", status=400)


def test_nobody_but_an_administrator_may_look_or_touch(viewer: Admin, admin: Admin) -> None:
    made = admin("POST", BUDGETS, order(), 201)
    for method, path, body in (
        ("GET", BUDGETS, None),
        ("POST", BUDGETS, order()),
        ("GET", f"{BUDGETS}/{made['id']}", None),
        ("PATCH", f"{BUDGETS}/{made['id']}", {"cap_usd": 9}),
        ("DELETE", f"{BUDGETS}/{made['id']}", None),
    ):
        viewer.refused(method, path, body, status=403)


def test_what_is_not_there_is_not_found(admin: Admin) -> None:
    for method, body in (("GET", None), ("PATCH", {"cap_usd": 1}), ("DELETE", None)):
        assert admin.refused(method, f"{BUDGETS}/scope%23task", body, status=404) == "There is no such budget"


def test_every_change_is_told_to_the_audit_log(admin: Admin) -> None:
    made = admin("POST", BUDGETS, order(), 201)
    admin("PATCH", f"{BUDGETS}/{made['id']}", {"cap_usd": 3})
    admin("DELETE", f"{BUDGETS}/{made['id']}")
    now = SystemClock().now()
    told = [each for shard in range(log.OUTBOX_SHARDS) for each in log.waiting(shard, now.replace(year=2100))]
    mine = sorted((each for each in told if each.subject == made["id"]), key=lambda each: each.id)
    assert [(each.type, each.actor) for each in mine] == [
        (f"budget.{what}", admin.name) for what in ("created", "changed", "removed")
    ]
    assert mine[1].data["previous_cap"] == 1_500_000_000
