"""Today's code on what earlier versions wrote: it reads all of it, goes on with it, and writes the shapes of today.

`make record` made the recordings; each stands in tables of its own, and the clock stands where the recording ended.
"""

import asyncio
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from quintet.settings import Settings
from quintet.store.shapes import NUMBER
from tests.conftest import Stack, as_function, copy_tables
from tests.upgrade.recording import Recording, lacking
from tests.upgrade.story import Callers
from tests.upgrade.today import Today

CHAT = {"request": {"messages": [{"role": "user", "content": "Good morning to you all"}]}}


@pytest.fixture(scope="module", params=Recording.versions())
def today(stack: Stack, request: pytest.FixtureRequest) -> Iterator[Today]:
    recording = Recording.read(request.param)
    given = {
        "TABLE_PREFIX": copy_tables(stack, f"upgrade-{recording.version}-"),
        "JWT_SECRET": recording.known["JWT_SECRET"],
    }
    with pytest.MonkeyPatch.context() as patch, as_function(stack, patch, given):
        asyncio.run(recording.load())
    today = Today(recording, stack.system.environment() | given, stack.endpoint.client("dynamodb"))
    yield today
    today.stop()


@pytest.fixture(scope="module")
def ask(today: Today) -> Callers:
    return today.callers


@pytest.fixture(scope="module")
def names(today: Today) -> Any:
    return today.recording.names


def test_what_was_answered_then_is_answered_still(today: Today, ask: Callers) -> None:
    changed = [
        f"{seen.target}{each}"
        for seen in today.recording.seen
        for each in lacking(seen.body, ask.get(seen.who, seen.target))
    ]
    assert not changed, "\n".join(changed)


def test_keys_open_what_they_opened(ask: Callers) -> None:
    for who in ("KEPT", "BEFORE", "AFTER"):
        assert ask(who, "POST", "/v1/chat", CHAT)["response"]
    assert ask.answer("REVOKED", "POST", "/v1/chat", CHAT)[0] == 401


def test_a_login_goes_on_where_it_was(ask: Callers) -> None:
    assert ask.get("SESSION", "/v1/auth/me")["email"] == "ada@example.test"
    after = ask("", "POST", "/v1/auth/refresh", {"refresh_token": ask.known["REFRESH"]})
    ask.known["NEWER"] = after["access_token"]
    assert ask.get("NEWER", "/v1/auth/me")["email"] == "ada@example.test"
    again = ask.answer("", "POST", "/v1/auth/refresh", {"refresh_token": ask.known["SPENT_REFRESH"]})
    assert again[0] == 401
    anew = {"username": "bob", "password": ask.known["PASSWORD"]}
    assert ask("", "POST", "/v1/auth/login", anew)["user"]["roles"] == ["reviewer"]


def test_users_and_keys_are_changed_and_listed_beside_new_ones(ask: Callers, names: Any) -> None:
    ada, bob, eve = names["users"]
    assert ask("API_KEY", "PATCH", f"/admin/v1/users/{eve}", {"disabled": False})["disabled"] is False
    assert ask("API_KEY", "PATCH", f"/admin/v1/users/{bob}", {"username": "rob"})["username"] == "rob"
    order = {"email": "new@example.test", "username": "new", "roles": []}
    new = ask("API_KEY", "POST", "/admin/v1/users", order)["id"]
    assert ask.answer("API_KEY", "POST", "/admin/v1/users", {**order, "username": "ada"})[0] == 409
    assert {new, ada, bob, eve} <= {each["id"] for each in paged(ask, "/admin/v1/users?limit=2", "users")}
    rotated = ask("API_KEY", "POST", f"/admin/v1/keys/{names['keys'][1]}/rotate", {})
    ask.known["NEWEST"] = rotated["key"]
    assert ask("NEWEST", "POST", "/v1/chat", CHAT)["response"]
    assert ask.answer("BEFORE", "POST", "/v1/chat", CHAT)[0] == 401
    assert {*names["keys"]} <= {each["id"] for each in paged(ask, "/admin/v1/keys?limit=2", "keys")}


def test_money_is_spent_from_where_it_stood_until_there_is_none(today: Today, ask: Callers, names: Any) -> None:
    today.roll_up()
    month, day, own, _ = names["budgets"]
    before = {each: ask.get("API_KEY", f"/admin/v1/budgets/{each}") for each in (month, day, own)}
    assert before[own]["spent_nano_usd"] > 0
    cost = round(ask("KEPT", "POST", "/v1/chat", CHAT)["cost_usd"] * 1e9)
    today.roll_up()
    after = {each: ask.get("API_KEY", f"/admin/v1/budgets/{each}") for each in before}
    assert cost > 0
    assert {after[each]["spent_nano_usd"] - before[each]["spent_nano_usd"] for each in before} == {cost}
    ask("API_KEY", "PATCH", f"/admin/v1/budgets/{own}", {"cap_nano_usd": after[own]["spent_nano_usd"] + 1})
    assert ask.answer("KEPT", "POST", "/v1/chat", CHAT)[0] == 402
    ask("API_KEY", "DELETE", f"/admin/v1/budgets/{own}")
    assert ask("KEPT", "POST", "/v1/chat", CHAT)["response"]
    left = {each["id"] for each in paged(ask, "/admin/v1/budgets?limit=2", "budgets")}
    assert {month, day} <= left
    assert own not in left


def test_the_vault_opens_with_its_password_though_another_key_wrapped_the_lease(ask: Callers) -> None:
    unlocked = ask("API_KEY", "POST", "/admin/v1/vault/unlock", {"admin_password": ask.known["VAULT_PASSWORD"]})
    assert unlocked["providers"] == ["acme"]
    acme = {"id": "acme", "type": "openai", "base_url": "http://127.0.0.1:9/v1", "enabled": True}
    assert ask("API_KEY", "POST", "/admin/v1/providers", acme)["configured"] is True
    model = ask("API_KEY", "PATCH", "/admin/v1/models/acme-1", {"input_per_1k": 0.004})
    assert model["aliases"] == ["anvil"]
    ask("API_KEY", "POST", "/admin/v1/providers", {**acme, "enabled": False})


def test_agents_step_on_from_where_they_stood(ask: Callers, names: Any) -> None:
    step = {"agent_id": "walker", "observation": [0.1, -0.5, 0.0, 1.2], "deterministic": True}
    before = ask.get("RYUZEN_KEY", "/agents/walker")
    again = ask("RYUZEN_KEY", "POST", "/step", {**step, "step_id": "walker-2"})
    assert ask.get("RYUZEN_KEY", "/agents/walker") == before, "a named step of then is answered, not done again"
    assert again["agent_id"] == "walker"
    walker, twin = (ask("RYUZEN_KEY", "POST", "/step", {**step, "agent_id": each}) for each in ("walker", "twin"))
    assert walker["action"] == twin["action"]
    assert ask.get("RYUZEN_KEY", "/agents/walker") != before
    ask("RYUZEN_KEY", "POST", "/step", {**step, "agent_id": "gambler", "deterministic": False, "seed": 11})
    ask("RYUZEN_KEY", "POST", "/fork", {"agent_id": "walker", "new_agent_id": "runner"})


def test_a_conversation_goes_on(ask: Callers, names: Any) -> None:
    (before,) = ask.get("API_KEY", "/api/sessions")
    process = f"/api/processes/{before['process_id']}"
    called = ask.get("API_KEY", process)["metrics"]["llm_calls"]
    chat = {"messages": [{"role": "user", "content": "And what now?"}]}
    ask("RYUZEN_KEY", "POST", "/chat/completions", chat, X_Vapi_Caller_Phone=names["phone"])
    (after,) = ask.get("API_KEY", "/api/sessions")
    assert after["process_id"] == before["process_id"]
    assert ask.get("API_KEY", process)["metrics"]["llm_calls"] == called + 1
    ask("RYUZEN_KEY", "POST", "/chat/completions", chat, X_Vapi_Caller_Phone="+15550199")
    assert len(ask.get("API_KEY", "/api/sessions")) == 2
    told = ask.get("API_KEY", "/api/feed")
    ask("API_KEY", "POST", "/internal/life/trigger?activity=post&persona=maya")
    assert len(ask.get("API_KEY", "/api/feed")["posts"]) == len(told["posts"]) + 1


def test_a_waiting_escalation_is_approved_and_its_task_runs_again(today: Today, ask: Callers, names: Any) -> None:
    escalation, task = names["escalations"]["escalated"], names["tasks"]["escalated"]
    assert ask.get("RYUZEN_KEY", f"/v1/escalation/{escalation}/status")["status"] == "pending_approval"
    ask("REVIEWER_KEY", "POST", f"/v1/escalation/{escalation}/approve", {"decision": "approved"})
    today.work()
    assert ask.get("RYUZEN_KEY", f"/v1/tasks/{task}")["status"] == "completed"
    assert ask.get("RYUZEN_KEY", f"/v1/escalation/{escalation}/status")["status"] == "completed"


def test_a_task_that_waited_for_another_begins_when_that_one_is_done(today: Today, ask: Callers, names: Any) -> None:
    first, waiting = names["tasks"]["unassigned"], names["tasks"]["waiting"]
    for status in ("in_progress", "completed"):
        ask("RYUZEN_KEY", "PUT", f"/v1/tasks/{first}", {"status": status})
    today.work()
    assert ask.get("RYUZEN_KEY", f"/v1/tasks/{waiting}")["status"] == "completed"


def test_tasks_of_then_and_of_now_are_changed_counted_and_paged_together(
    today: Today, ask: Callers, names: Any
) -> None:
    listed = "/v1/tasks?limit=3"
    before = ask.get("RYUZEN_KEY", listed)["pagination"]["total"]
    progress = {"progress": {"completed_steps": 3, "total_steps": 3}, "status": "completed"}
    assert ask("RYUZEN_KEY", "PUT", f"/v1/tasks/{names['tasks']['in_hand']}", progress)["status"] == "completed"
    made = {ask("RYUZEN_KEY", "POST", "/v1/tasks", {"title": f"Anew {each}"})["id"] for each in range(2)}
    found = paged(ask, listed, "tasks")
    assert {*names["tasks"].values(), *made} <= {each["id"] for each in found}
    assert ask.get("RYUZEN_KEY", listed)["pagination"]["total"] == before + 2 == len(found)


def test_configurations_alerts_and_webhooks_are_changed(today: Today, ask: Callers, names: Any) -> None:
    before = ask.get("API_KEY", "/v1/configuration/versions")["versions"]
    ask("API_KEY", "PUT", "/v1/configuration", {"escalation": {"max_daily_escalations": 11}})
    after = ask.get("API_KEY", "/v1/configuration/versions")["versions"]
    assert [each["version"] for each in after] == [before[0]["version"] + 1, *(each["version"] for each in before)]
    assert ask.get("API_KEY", "/v1/configuration")["models"]["default_model"] == names["model"]
    ask("API_KEY", "PUT", "/v1/agents/critic/configuration", {"enabled": True})
    alert = names["alerts"][0]
    ask("API_KEY", "POST", f"/v1/monitoring/alerts/{alert}/resolve")
    assert ask.get("API_KEY", f"/v1/monitoring/alerts/{alert}")["status"] == "resolved"
    heard, deaf = names["webhooks"]
    told = ask.get("API_KEY", f"/v1/webhooks/{heard}/deliveries")["deliveries"]
    assert ask("API_KEY", "POST", f"/v1/webhooks/{heard}/deliveries/{told[0]['id']}/replay")
    ask("API_KEY", "PATCH", f"/v1/webhooks/{deaf}", {"description": "Still nobody", "status": "active"})
    ask("API_KEY", "POST", "/v1/webhooks", {"url": "http://127.0.0.1:9/new", "events": ["task.created"]})


def test_the_log_goes_on_in_its_chain_and_tells_webhooks(today: Today, ask: Callers, names: Any) -> None:
    before = ask.get("API_KEY", "/admin/v1/audit/verify")
    ask("API_KEY", "PUT", "/admin/v1/tsdb/retention", {"days": 10})
    made = ask("RYUZEN_KEY", "POST", "/v1/tasks", {"title": "Tell everybody"})["id"]
    wished = {"task_id": made, "reason": "It matters", "target_model": names["model"], "estimated_cost": 1}
    ask("RYUZEN_KEY", "POST", "/v1/escalation/submit", wished)
    today.number()
    after = ask.get("API_KEY", "/admin/v1/audit/verify")
    assert before["valid"] is after["valid"] is True
    assert after["verified_up_to"] > before["verified_up_to"]
    heard = f"/v1/webhooks/{names['webhooks'][0]}/deliveries"
    newest = ask.get("API_KEY", heard)["deliveries"][0]["seq"]
    today.tell()
    assert ask.get("API_KEY", heard)["deliveries"][0]["seq"] > newest


def test_what_is_new_has_the_number_of_its_shape(today: Today) -> None:
    """But for what only counts, claims, points or lasts for hours."""
    unnumbered = {kind_of(table, item) for table, item in today.new_items() if NUMBER not in item}
    assert unnumbered <= UNNUMBERED
    numbered = {kind_of(table, item) for table, item in today.new_items() if NUMBER in item}
    assert numbered >= NUMBERED
    assert not numbered & UNNUMBERED


NUMBERED = {
    "agents state",
    "budgets",
    "catalogue",
    "configuration",
    "conversations",
    "deliveries",
    "events log",
    "keys",
    "personas feed",
    "processes",
    "requests",
    "rewards",
    "sessions",
    "tasks body",
    "tasks escalation",
    "tasks head",
    "tasks step",
    "users",
    "webhooks",
}
UNNUMBERED = {
    "accounts",
    "agents step",
    "alerts last",
    "budgets purse",
    "budgets scope",
    "events head",
    "events seen",
    "personas call",
    "personas mark",
    "personas posting",
    "series",
    "series seen",
    "task-lists",
    "tasks asked",
    "tasks count",
    "tasks figures",
    "tasks debts",
    "tasks waits",
    "users link",
    "users login",
    "vault lease",
    "webhooks gate",
}


WORDS = {word for kind in NUMBERED | UNNUMBERED for word in kind.split()[1:]}


def kind_of(table: str, item: Any) -> str:
    """By the words of its key, without its ids."""
    if table == "budgets":
        return "budgets purse" if "l_stamp" in item else " ".join([table, *({"scope"} - {*item})])
    key = {item[name]["S"].split("#")[0] for name in ("pk", "sk", "id", "part") if name in item}
    return " ".join([table, *sorted(key & WORDS)])


def paged(ask: Callers, target: str, name: str) -> list[Any]:
    """All pages."""
    found: list[Any] = []
    cursor = None
    while True:
        page = ask.get("API_KEY", f"{target}&cursor={cursor}" if cursor else target)
        found += page[name]
        cursor = page.get("pagination", page)["next_cursor"]
        if not cursor:
            return found


def test_the_changelog_names_this_version_and_those_that_data_is_from(repository: Path) -> None:
    headings = re.findall(r"^## .*?(\d+\.\d+\.\d+)", (repository / "CHANGELOG.md").read_text(), re.MULTILINE)
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    assert headings[0] == project["version"] == Settings().version
    assert {*Recording.versions()} <= {*headings}
