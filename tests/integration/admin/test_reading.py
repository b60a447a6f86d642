"""Statistics, logs, rewards and time series over a log of this test's own."""

import asyncio
import secrets
from datetime import datetime, timedelta
from statistics import mean
from typing import Any

import pytest

from quintet.gateway import present
from quintet.settings import settings
from quintet.store import wire
from quintet.store.clock import SystemClock, from_millis, iso, millis
from quintet.store.items import to_item
from quintet.telemetry.rewards import rewards_of
from quintet.telemetry.rollup import roll_up
from quintet.telemetry.store import rewards
from quintet.telemetry.store.books import TableBooks
from tests.integration.admin.conftest import Admin
from tests.records import call, record

NANO = 1_000_000_000


def now() -> datetime:
    return SystemClock().now()


@pytest.fixture
def model() -> str:
    return f"model-{secrets.token_hex(4)}"


async def _logged(records: list[Any]) -> None:
    for each in records:
        await wire.call("PutItem", {"TableName": settings().table("requests"), "Item": to_item(each)})
    await roll_up(records, TableBooks(), now())
    for each in records:
        await rewards.note(list(rewards_of(each, from_millis(each["at"]))))


def logged(*records: Any) -> list[Any]:
    """In the log, and counted."""
    asyncio.run(_logged(list(records)))
    return list(records)


def made(model: str, ago: timedelta, **more: Any) -> Any:
    at = now() - ago
    return record(call(model, "vendor-" + model, at=at, **more), at=at)


class TestStats:
    def test_tell_each_window_of_each_model_and_provider(self, admin: Admin, model: str) -> None:
        ages = [timedelta(0), timedelta(minutes=3), timedelta(minutes=40), timedelta(hours=5), timedelta(hours=20)]
        logged(*(made(model, age, latency_ms=100.0 * (n + 1), cost=n * NANO) for n, age in enumerate(ages)))
        logged(made(model, timedelta(hours=26)))
        stats = admin("GET", "/stats")
        assert stats.keys() == {"global", "by_model", "by_provider", "by_group"}
        own = stats["by_model"][model]
        assert [each["window"] for each in own] == ["1m", "5m", "1h", "24h"]
        assert [each["request_count"] for each in own] == [1, 2, 3, 5]
        assert own[3]["total_cost_usd"] == 10
        assert own[3]["avg_latency_ms"] == mean([100, 200, 300, 400, 500])
        assert own[3]["p95_latency_ms"] == pytest.approx(500, rel=0.1)
        assert stats["by_provider"][f"vendor-{model}"] == own
        for windows in stats["global"], stats["by_group"]["broker"]:
            assert all(
                mine["request_count"] <= of_all["request_count"] for mine, of_all in zip(own, windows, strict=True)
            )
        assert own[0].keys() >= {
            "request_count",
            "error_count",
            "error_rate",
            "avg_latency_ms",
            "p95_latency_ms",
            "total_cost_usd",
        }

    def test_tell_what_failed(self, admin: Admin, model: str) -> None:
        logged(made(model, timedelta(0)), made(model, timedelta(0), status="error", failure="timeout"))
        (minute, *_) = admin("GET", "/stats")["by_model"][model]
        assert (minute["error_count"], minute["error_rate"]) == (1, 0.5)

    @pytest.mark.parametrize("path", ["/stats", "/logs", "/audit", "/audit/verify", "/rewards", "/tsdb/metrics"])
    def test_are_for_admins_alone(self, viewer: Admin, path: str) -> None:
        assert "admin" in viewer.refused("GET", path, status=403)


class TestLogs:
    def test_are_read_newest_first_over_hours_and_shards_page_by_page(self, admin: Admin, model: str) -> None:
        ages = [timedelta(minutes=13 * n) for n in range(40)]
        names = [each["record_id"] for each in logged(*(made(model, age) for age in ages))]
        found: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            page = admin("GET", f"/logs?model={model}&limit=7{cursor and f'&cursor={cursor}'}")
            found += [each["id"] for each in page["logs"]]
            cursor = page["next_cursor"]
        assert found == names
        assert [each["id"] for each in admin("GET", f"/logs?model={model}&limit=5&offset=10")["logs"]] == names[10:15]

    def test_tell_what_a_request_did_and_cost(self, admin: Admin, model: str) -> None:
        (told,) = logged(made(model, timedelta(0)))
        (entry,) = admin("GET", f"/logs?model={model}")["logs"]
        assert entry["request_id"] == told["request_id"]
        assert entry["timestamp"] == iso(from_millis(told["at"]))
        assert (entry["endpoint"], entry["status_code"], entry["status"]) == ("/v1/chat", 200, "success")
        assert (entry["model_id"], entry["cost_usd"], entry["input_tokens"]) == (model, 0.0009, 100)
        assert entry["calls"][0]["routing_reason"] == "mode=normal"

    def test_leave_out_those_who_look_at_them(self, admin: Admin) -> None:
        admin("GET", "/stats")
        assert all(each["group"] != "admin" for each in admin("GET", "/logs")["logs"])
        assert admin("GET", "/logs?group=admin&limit=1")["logs"][0]["group"] == "admin"
        assert admin("GET", "/logs?group=all&limit=1")["logs"][0]["group"] == "admin"

    @pytest.mark.parametrize("query", ["limit=0", "offset=-1", "cursor=nonsense"])
    def test_are_asked_for_within_bounds(self, admin: Admin, query: str) -> None:
        assert admin.refused("GET", f"/logs?{query}", status=400).startswith(query.partition("=")[0])


class TestRewards:
    def test_are_listed_with_what_the_decision_went_by(self, admin: Admin, model: str) -> None:
        decision = {
            "seed": 7,
            "propensity": 0.25,
            "candidates": [{"model": model, "score": 0.1}],
            "excluded": {"b": "c"},
        }
        (told,) = logged(made(model, timedelta(0), decision=decision, mode="thompson"))
        (entry,) = [each for each in admin("GET", "/rewards")["rewards"] if each["model_id"] == model]
        assert (
            entry.items()
            >= {
                "request_id": told["request_id"],
                "mode": "thompson",
                "reward": 0.9,
                "feedback": None,
                "token_bucket": "small",
                "estimated_tokens": 100,
                "latency_budget_ms": 20000,
                "seed": 7,
                "propensity": 0.25,
                "candidates": decision["candidates"],
                "excluded": {"b": "c"},
            }.items()
        )

    def test_blend_in_what_a_caller_says_once(self, admin: Admin, model: str) -> None:
        (told,) = logged(made(model, timedelta(0), reward=0.8))
        path = f"/rewards/{told['request_id']}"
        (heard,) = admin("POST", path, {"reward": 0.2})["rewards"]
        assert (heard["reward"], heard["feedback"]) == (0.5, 0.2)
        assert "counts once" in admin.refused("POST", path, {"reward": 1}, status=409)
        belief = asyncio.run(rewards.believed())[model, "small"]
        assert (belief.alpha, belief.beta) == pytest.approx((1.5, 1.5))
        learned = asyncio.run(present.read()).learned
        assert learned.posteriors[model]["small"] == (1.5, 1.5)
        assert learned.models[model] == present.Measured(250.0, 0.0)
        (entry,) = [each for each in admin("GET", "/rewards")["rewards"] if each["model_id"] == model]
        assert (entry["reward"], entry["feedback"]) == (0.5, 0.2)

    @pytest.mark.parametrize("body", [{}, {"reward": -0.1}, {"reward": 1.1}, {"reward": "good"}, {"reward": 1, "x": 1}])
    def test_are_between_nothing_and_one(self, admin: Admin, body: Any) -> None:
        admin.refused("POST", "/rewards/req_1", body, status=400)

    def test_of_an_unknown_request_are_not_found(self, admin: Admin) -> None:
        assert "req_nobody" in admin.refused("POST", "/rewards/req_nobody", {"reward": 1}, status=404)


class TestTimeSeries:
    def query(self, admin: Admin, **asked: Any) -> list[dict[str, Any]]:
        text = "&".join(f"{name}={value}" for name, value in asked.items())
        series: list[dict[str, Any]] = admin("GET", f"/tsdb/query?{text}")["series"]
        return series

    def test_answer_each_metric_in_steps(self, admin: Admin, model: str) -> None:
        logged(
            made(model, timedelta(minutes=30), latency_ms=100.0, cost=NANO),
            made(model, timedelta(minutes=30), latency_ms=300.0, cost=NANO, status="error"),
            made(model, timedelta(minutes=10), latency_ms=50.0, cost=NANO // 2),
        )
        values = {}
        for metric in ("latency", "cost", "tokens", "errors", "requests"):
            (series,) = self.query(admin, metric=metric, model=model)
            assert (series["metric"], series["model_id"], series["provider_id"]) == (metric, model, f"vendor-{model}")
            values[metric] = [point["v"] for point in series["points"]]
            assert all(point["t"] % 60_000 == 0 for point in series["points"])
        assert values["requests"] in ([2, 1], [1, 1, 1])
        assert sum(values["errors"]) == 1
        assert sum(values["cost"]) == 2.5
        assert sum(values["tokens"]) == 360
        assert values["latency"][-1] == 50

    def test_are_bounded_by_start_and_end_in_either_form(self, admin: Admin, model: str) -> None:
        at = now()
        logged(made(model, timedelta(hours=3)), made(model, timedelta(minutes=5)))
        start, end = at - timedelta(hours=4), at - timedelta(hours=2)
        for first, last in ((iso(start), iso(end)), (millis(start), millis(end))):
            (series,) = self.query(admin, metric="requests", model=model, start=first, end=last)
            assert [point["v"] for point in series["points"]] == [1]

    def test_of_thirty_days_by_the_hour_take_one_page_of_reads(self, admin: Admin, model: str) -> None:
        at = now().replace(minute=0, second=0, microsecond=0)
        rows = []
        for hours in range(30 * 24):
            counts = {f"+latency.{n}": hours + n for n in range(50, 75)} | {f"+overhead.{n}": n for n in range(8, 22)}
            sums = {"+n": 10, "+errors": 1, "+cost": 10**9, "+input": 10**6, "+output": 10**5, "+latency": 10**9}
            key = {
                "pk": f"calls#hour#model={model}&provider=p",
                "sk": f"{at - timedelta(hours=hours):%Y-%m-%dT%H}#0",
                "expires_at": millis(at),
            }
            rows.append({"PutRequest": {"Item": to_item({**key, **sums, **counts})}})

        async def put() -> None:
            for first in range(0, len(rows), 25):
                items = {settings().table("series"): rows[first : first + 25]}
                await wire.call("BatchWriteItem", {"RequestItems": items})

        asyncio.run(put())
        start = iso(at - timedelta(days=30) + timedelta(hours=1))
        answer = admin("GET", f"/tsdb/query?metric=latency&model={model}&provider=p&start={start}&step=3600000")
        (series,) = answer["series"]
        assert len(series["points"]) == 720
        assert answer["read"] == {"items": 720, "pages": 1}

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("", "metric"),
            ("metric=weather", "metric"),
            ("metric=cost&start=yesterday", "start"),
            ("metric=cost&start=2026-01-01T00:00:00", "start"),
            ("metric=cost&start=2026-01-02T00:00:00Z&end=2026-01-01T00:00:00Z", "start"),
            ("metric=cost&step=0", "step"),
            ("metric=cost&step=1000&start=2000-01-01T00:00:00Z", "step"),
        ],
    )
    def test_are_asked_for_in_order(self, admin: Admin, query: str, field: str) -> None:
        assert admin.refused("GET", f"/tsdb/query?{query}", status=400).startswith(f"{field}: ")

    def test_name_their_metrics(self, admin: Admin) -> None:
        assert admin("GET", "/tsdb/metrics")["metrics"][:1] == ["latency"]
        assert {"latency", "cost", "tokens", "errors", "requests"} <= {*admin("GET", "/tsdb/metrics")["metrics"]}

    def test_are_kept_as_long_as_was_asked(self, admin: Admin, model: str) -> None:
        assert admin("GET", "/tsdb/retention")["days"] == 7
        assert admin("PUT", "/tsdb/retention", {"days": 3})["days"] == 3
        assert admin("GET", "/tsdb/retention")["days"] == 3
        for body in ({"days": 0}, {"days": "many"}, {}, {"days": 1.5}):
            assert admin.refused("PUT", "/tsdb/retention", body, status=400).startswith("days: ")
        old = now() - timedelta(days=4)
        key = {"pk": f"calls#minute#model={model}&provider=vendor-{model}", "sk": f"{old:%Y-%m-%dT%H:%M}#0", "+n": 1}
        asyncio.run(_put(key))
        logged(made(model, timedelta(0)))
        assert admin("POST", "/tsdb/prune") == {"deleted": 1}
        assert admin("POST", "/tsdb/prune") == {"deleted": 0}
        assert admin("PUT", "/tsdb/retention", {"days": 7})["days"] == 7


async def _put(item: Any) -> None:
    await wire.call("PutItem", {"TableName": settings().table("series"), "Item": to_item(item)})
