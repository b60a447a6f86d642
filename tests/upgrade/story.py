"""What happens in a stack that is recorded: some of everything, told through the public API and nothing else."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Send = Callable[..., tuple[int, Any]]
_PATIENCE = 120.0
_PAUSE = 1.0  # every look is a request that is recorded
_ENVELOPE = {"success", "data"}


class Callers:
    """Those that a story has, by the names of their credentials. `known` grows with those that the story makes."""

    def __init__(self, send: Send, known: dict[str, str]) -> None:
        self._send = send
        self.known = known

    def __call__(self, who: str, method: str, target: str, body: Any = None, **headers: str) -> Any:
        """The answer's body, out of kyros.md's envelope; it must be a success."""
        status, told = self.answer(who, method, target, body, **headers)
        assert status < 300, f"{method} {target}: {status} {told}"
        return told["data"] if isinstance(told, dict) and told.keys() >= _ENVELOPE else told

    def answer(self, who: str, method: str, target: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if who:
            sent["Authorization"] = f"Bearer {self.known[who]}"
        return self._send(method, target, json=body, headers=sent)

    def get(self, who: str, target: str) -> Any:
        return self(who, "GET", target)


class Story:
    def __init__(self, callers: Callers) -> None:
        self._as = callers
        self._names: dict[str, Any] = {}

    def tell(self) -> dict[str, Any]:
        """The names of what came to be."""
        with _receiver() as receiver:
            self._people()
            self._catalogue()
            self._webhooks(receiver)
            self._configuration()
            self._budgets()
            self._models()
            self._agents()
            self._personas()
            self._tasks()
            self._alerts()
            time.sleep(3)  # deliveries
            self._as("API_KEY", "PATCH", f"/v1/webhooks/{self._names['webhooks'][1]}", {"status": "paused"})
        return self._names

    def questions(self, names: dict[str, Any]) -> Iterator[tuple[str, str]]:
        """What is asked when all is done, by whom."""
        yield from (("API_KEY", f"/admin/v1/{target}") for target in _ADMINS)
        yield from (("API_KEY", f"/admin/v1/users/{each}") for each in names["users"])
        yield from (("API_KEY", f"/admin/v1/keys/{each}") for each in names["keys"])
        yield from (("API_KEY", f"/admin/v1/budgets/{each}") for each in names["budgets"])
        yield from (("RYUZEN_KEY", f"/v1/tasks/{each}") for each in names["tasks"].values())
        yield from (("RYUZEN_KEY", f"/v1/tasks/{each}/steps") for each in names["tasks"].values())
        yield from (("RYUZEN_KEY", f"/v1/escalation/{each}/status") for each in names["escalations"].values())
        yield from (("RYUZEN_KEY", f"/v1/{target}") for target in _DEVELOPERS)
        yield from (("API_KEY", f"/v1/webhooks/{each}/deliveries") for each in names["webhooks"])
        yield from (("RYUZEN_KEY", f"/agents/{each}") for each in names["agents"])
        yield from (("API_KEY", target) for target in _PERSONAS)
        yield from (("API_KEY", f"/api/processes/{each}") for each in names["processes"])
        yield from (("API_KEY", f"/v1/monitoring/alerts/{each}") for each in names["alerts"])
        yield "API_KEY", "/v1/configuration"
        yield "API_KEY", "/v1/configuration/versions"
        yield "SESSION", "/v1/auth/me"

    def _people(self) -> None:
        ask, known = self._as, self._as.known
        people = [
            {"email": "ada@example.test", "username": "ada", "name": "Ada", "roles": ["developer"]},
            {"email": "bob@example.test", "username": "bob", "roles": ["reviewer"]},
            {"email": "eve@example.test", "roles": ["viewer"]},
        ]
        made = [
            ask("API_KEY", "POST", "/admin/v1/users", {**each, "password": known["PASSWORD"]})["id"] for each in people
        ]
        ask("API_KEY", "PATCH", f"/admin/v1/users/{made[1]}", {"name": "Robert"})
        ask("API_KEY", "PATCH", f"/admin/v1/users/{made[2]}", {"disabled": True})
        begun = ask("", "POST", "/v1/auth/login", {"username": "ada", "password": known["PASSWORD"]})
        known["SPENT_REFRESH"] = begun["refresh_token"]
        gone_on = ask("", "POST", "/v1/auth/refresh", {"refresh_token": begun["refresh_token"]})
        known["REFRESH"], known["SESSION"] = gone_on["refresh_token"], gone_on["access_token"]
        order = {"name": "kept", "owner": "somebody", "roles": ["developer"]}
        kept = ask("API_KEY", "POST", "/admin/v1/keys", order)
        rotated = ask("API_KEY", "POST", "/admin/v1/keys", {**order, "name": "rotated"})
        revoked = ask("API_KEY", "POST", "/admin/v1/keys", {**order, "name": "revoked"})
        again = ask("API_KEY", "POST", f"/admin/v1/keys/{rotated['id']}/rotate", {"overlap_seconds": 86_400})
        ask("API_KEY", "DELETE", f"/admin/v1/keys/{revoked['id']}")
        known |= {"KEPT": kept["key"], "BEFORE": rotated["key"], "AFTER": again["key"], "REVOKED": revoked["key"]}
        self._names |= {"users": made, "keys": [kept["id"], rotated["id"], revoked["id"]]}

    def _catalogue(self) -> None:
        ask, admin = self._as, "API_KEY"
        ask(admin, "POST", "/admin/v1/vault/unlock", {"admin_password": ask.known["VAULT_PASSWORD"]})
        provider = {"type": "openai", "base_url": "http://127.0.0.1:9/v1"}
        ask(admin, "POST", "/admin/v1/providers", {"id": "acme", "api_key": "sk-acme", "enabled": False, **provider})
        ask(admin, "POST", "/admin/v1/providers", {"id": "gone", **provider})
        model = {"input_per_1k": 0.001, "output_per_1k": 0.002, "weight": 1, "max_output": 100}
        ask(admin, "POST", "/admin/v1/models", {"id": "acme-1", "provider_id": "acme", **model})
        ask(admin, "PATCH", "/admin/v1/models/acme-1", {"input_per_1k": 0.003, "aliases": ["anvil"]})
        ask(admin, "DELETE", "/admin/v1/providers/gone")
        (echo,) = [each["id"] for each in ask.get(admin, "/admin/v1/models")["models"] if "echo" in each["id"]]
        ask(admin, "PATCH", f"/admin/v1/models/{echo}", {"input_per_1k": 0.01, "output_per_1k": 0.02})
        ask(admin, "PUT", "/admin/v1/routing-config", {"max_latency_ms": 20_000})
        self._names["model"] = echo

    def _webhooks(self, receiver: str) -> None:
        order = {"events": ["*"], "secret": "whsec_" + "c2VjcmV0" * 4}
        heard = self._as("API_KEY", "POST", "/v1/webhooks", {"url": receiver, **order})["id"]
        deaf = {"url": "http://127.0.0.1:9/", "events": ["task.created"], "description": "Nobody is there"}
        self._names["webhooks"] = [heard, self._as("API_KEY", "POST", "/v1/webhooks", deaf)["id"]]

    def _configuration(self) -> None:
        ask, model = self._as, self._names["model"]
        ask("API_KEY", "PUT", "/v1/configuration", {"models": {"default_model": model}})
        change = {"models": {"escalation_model": model}, "monitoring": {"daily_budget": 0.001}}
        ask("API_KEY", "PUT", "/v1/configuration", change)
        ask("API_KEY", "PUT", "/v1/agents/critic/configuration", {"enabled": False})
        ask("API_KEY", "PUT", "/admin/v1/tsdb/retention", {"days": 9})

    def _budgets(self) -> None:
        ask, path = self._as, "/admin/v1/budgets"
        orders = [
            {"scope": "system", "window": "month", "cap_usd": 1000},
            {"scope": "principal", "subject": "somebody", "window": "day", "cap_usd": 1},
            {"scope": "key", "subject": self._names["keys"][0], "window": "total", "cap_usd": 0.5},
            {"scope": "model", "subject": self._names["model"], "window": "hour", "cap_usd": 50},
        ]
        made = [ask("API_KEY", "POST", path, order)["id"] for order in orders]
        gone = ask("API_KEY", "POST", path, {**orders[1], "window": "month"})["id"]
        ask("API_KEY", "PATCH", f"{path}/{made[1]}", {"cap_usd": 2})
        ask("API_KEY", "DELETE", f"{path}/{gone}")
        self._names["budgets"] = made

    def _models(self) -> None:
        ask = self._as
        chat = {"request": {"messages": [{"role": "user", "content": "Good morning to you all"}]}}
        called = [ask("KEPT", "POST", "/v1/chat", chat, X_Request_ID=f"recorded-{number}") for number in range(4)]
        ask("AFTER", "POST", "/v1/plan", {"input": "Plan a picnic", **chat})
        ask("RYUZEN_KEY", "POST", "/api/v1/ask", {"prompt": "Summarize zero trust"})
        _until(lambda: ask.get("API_KEY", "/admin/v1/rewards")["rewards"])
        _until(lambda: ask.answer("API_KEY", "POST", "/admin/v1/rewards/recorded-0", {"reward": 1})[0] < 300)
        self._names["calls"] = len(called)

    def _agents(self) -> None:
        ask = self._as
        for name, seed in (("walker", None), ("gambler", 7)):
            ask("RYUZEN_KEY", "POST", "/reset", {"agent_id": name})
            step = {"agent_id": name, "observation": [0.1, -0.5, 0.0, 1.2], "deterministic": seed is None}
            for number in range(3):
                more = {"step_id": f"{name}-{number}"} | ({} if seed is None else {"seed": seed + number})
                ask("RYUZEN_KEY", "POST", "/step", {**step, **more})
        ask("RYUZEN_KEY", "POST", "/fork", {"agent_id": "walker", "new_agent_id": "twin"})
        self._names["agents"] = ["walker", "gambler", "twin"]

    def _personas(self) -> None:
        ask, phone = self._as, "+15550100"
        for text in ("Hello Tony!", "What did I say first?"):
            chat = {"messages": [{"role": "user", "content": text}]}
            ask("RYUZEN_KEY", "POST", "/chat/completions", chat, X_Vapi_Caller_Phone=phone)
        report = {
            "type": "end-of-call-report",
            "endedReason": "customer-ended-call",
            "call": {"id": "recorded-call", "customer": {"number": phone}},
            "artifact": {"transcript": "User: I like tea\nAI: I shall remember it"},
        }
        ask("", "POST", "/vapi/events", {"message": report}, X_Vapi_Secret=ask.known["VAPI_SECRET"])
        for activity in ("post", "reflection", "journal", "goals"):
            ask.answer("API_KEY", "POST", f"/internal/life/trigger?activity={activity}&persona=tony")
        self._names["phone"] = phone
        self._names["processes"] = [each["id"] for each in ask.get("API_KEY", "/api/processes")]

    def _tasks(self) -> None:
        ask, who = self._as, "RYUZEN_KEY"

        def task(title: str, **more: Any) -> str:
            identifier: str = ask(who, "POST", "/v1/tasks", {"title": title, **more})["id"]
            return identifier

        def over(identifier: str) -> bool:
            return bool(ask(who, "GET", f"/v1/tasks/{identifier}")["status"] in {"completed", "failed"})

        wished = {"reason": "It matters", "target_model": self._names["model"], "estimated_cost": 1}
        made = {
            "done": task("Write a haiku", assignee_role="implementer", tags=["verse"], priority="high"),
            "escalated": task("Write an ode", assignee_role="implementer", tags=["verse"]),
            "refused": task("Write a limerick"),
            "unassigned": task("Think", tags=["later"], deadline="2030-01-01T00:00:00Z"),
            "in_hand": task("Sweep the yard", description="By hand", acceptance_criteria=["It is clean"]),
            "called_off": task("Paint the fence"),
        }
        made["waiting"] = task("Rest", assignee_role="implementer", dependencies=[made["unassigned"]])
        begun = {"status": "in_progress", "progress": {"completed_steps": 1, "total_steps": 3}}
        ask(who, "PUT", f"/v1/tasks/{made['in_hand']}", begun)
        ask(who, "DELETE", f"/v1/tasks/{made['called_off']}", {"reason": "It rains"})
        _until(lambda: over(made["done"]) and over(made["escalated"]))
        asked = {
            name: ask(who, "POST", "/v1/escalation/submit", {"task_id": made[name], **wished})["escalation_id"]
            for name in ("done", "escalated", "refused")
        }
        approve, reject = {"decision": "approved"}, {"decision": "rejected", "reason": "Too dear"}
        ask("REVIEWER_KEY", "POST", f"/v1/escalation/{asked['done']}/approve", approve)
        ask("REVIEWER_KEY", "POST", f"/v1/escalation/{asked['refused']}/approve", reject)
        standing = f"/v1/escalation/{asked['done']}/status"
        _until(lambda: ask(who, "GET", standing)["status"] == "completed")
        self._names |= {"tasks": made, "escalations": asked}

    def _alerts(self) -> None:
        """The day's budget is tiny: the schedule sees it within a minute."""
        path = "/v1/monitoring/alerts"
        found = _until(lambda: self._as("API_KEY", "GET", path)["alerts"])
        self._as("API_KEY", "POST", f"{path}/{found[0]['id']}/acknowledge")
        self._names["alerts"] = [each["id"] for each in found]


_ADMINS = (
    "users",
    "keys",
    "providers",
    "models",
    "routing-config",
    "budgets",
    "vault/status",
    "rewards",
    "decisions/recorded-0",
    "audit",
    "audit/verify",
    "tsdb/retention",
)
_DEVELOPERS = (
    "tasks?limit=50",
    "tasks?limit=50&status=completed",
    "tasks?limit=50&tags=verse&sort=priority",
    "escalations",
    "agents/implementer/configuration",
    "agents/critic/configuration",
)
_PERSONAS = ("/api/feed", "/api/sessions", "/v1/webhooks", "/v1/monitoring/alerts")


def _until(look: Callable[[], Any]) -> Any:
    """What `look` finds once it finds something."""
    until = time.monotonic() + _PATIENCE
    while not (found := look()):
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(_PAUSE)
    return found


@contextmanager
def _receiver() -> Iterator[str]:
    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            json.loads(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/heard"
        server.shutdown()
