"""Which series a request's record counts in, and with what: pure, so that the log alone proves the figures."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from quintet.telemetry.histogram import class_of
from quintet.telemetry.series import Amounts, Measure, Series, Step, added

Record = Mapping[str, Any]

CALLS = "calls"  # model calls: model, provider
GROUPS = "groups"  # requests: group of the API
ENDPOINTS = "endpoints"  # requests: endpoint, status
CONNECTIONS = "connections"  # WebSockets that were asked for: endpoint, status
FAILURES = "failures"  # attempts that failed: model, provider, failure
BANDIT = "bandit"  # rewards: model, bucket of the question's size
TASKS = "tasks"  # what became of tasks: role, type, model
WORK = "work"  # model calls that tasks made: role, type, model
USERS = "users"  # what the tasks of a user cost: user
PLATFORM = "platform"  # what work that is no request cost of AWS itself: group
LOG = "log"  # records; which hours have any
REWARDS = "rewards"  # rewarded calls; which hours have any

STEPS: Mapping[str, tuple[Step, ...]] = {
    CALLS: (Step.MINUTE, Step.HOUR, Step.DAY),
    GROUPS: (Step.MINUTE, Step.HOUR, Step.DAY),
    ENDPOINTS: (),  # only what they came to since ever
    CONNECTIONS: (),
    FAILURES: (),
    BANDIT: (),
    TASKS: (Step.MINUTE, Step.HOUR, Step.DAY),
    WORK: (Step.HOUR, Step.DAY),
    USERS: (Step.HOUR, Step.DAY),
    PLATFORM: (Step.HOUR, Step.DAY),
    LOG: (Step.HOUR,),
    REWARDS: (Step.HOUR,),
}
REWARD_UNIT = 1_000_000  # a reward of 1 is so many units: sums stay whole
_LONGEST_LABEL = 200
_NANO = 1_000_000_000
_COUNTED_EVENTS = {
    "task.started": "started",
    "task.completed": "completed",
    "task.failed": "failed",
    "task.cancelled": "cancelled",
    "escalation.requested": "escalated",
}
_TASK_LABELS = {"role": "assignee_role", "type": "type", "model": "model_used"}
_SPENT = {"cost": "cost", "input": "input_tokens", "output": "output_tokens"}
_SOCKETS = "sockets"


def measures_of(record: Record) -> list[Measure]:
    """Of a request's record; or of an event of the platform's log, as `record_of_event` has it."""
    if "event" in record:
        return list(_event(record["event"]))
    calls = calls_of(record)
    rewarded = sum(is_rewarded(call) for call in calls)
    found = [Measure(Series.of(LOG), {"n": 1}), *_request(record), *(each for call in calls for each in _call(call))]
    found += _task(record, calls)
    return [*found, Measure(Series.of(REWARDS), {"n": rewarded})] if rewarded else found


def calls_of(record: Record) -> list[Mapping[str, Any]]:
    calls = (record.get("facts") or {}).get("calls") or []
    return [call for call in calls if isinstance(call, dict) and call.get("model") and call.get("provider")]


def is_rewarded(call: Mapping[str, Any]) -> bool:
    return call.get("reward") is not None and bool(call.get("bucket")) and bool(call.get("call_id"))


def status_word(status: int) -> str:
    """cyborgmind.md's words."""
    if status in {401, 403}:
        return "auth_failed"
    return "error" if status >= 400 else "success"


def reward_units(reward: float) -> int:
    return round(min(max(reward, 0.0), 1.0) * REWARD_UNIT)


def _request(record: Record) -> Iterator[Measure]:
    status = record.get("status")
    if not status or record.get("method") == "WORK":  # a caller who left before the answer; work that nobody waits for
        if cost := _whole(record.get("platform_cost")):
            yield Measure(Series.of(PLATFORM, group=_label(record.get("group"))), {"n": 1, "platform": cost})
        return
    word = status_word(status)
    latency = _duration("latency", record.get("latency_ms"))
    failed = {"errors": int(word == "error"), "refused": int(word == "auth_failed"), f"s{status // 100}": 1}
    platform = {"platform": _whole(record.get("platform_cost"))}
    yield Measure(Series.of(GROUPS, group=_label(record.get("group"))), _counted(failed, platform, latency))
    # The upgrade of a WebSocket is a connection; its messages are requests.
    family = CONNECTIONS if record.get("group") == _SOCKETS else ENDPOINTS
    yield Measure(Series.of(family, endpoint=_label(record.get("route")), status=word), _counted(latency))


def _call(call: Mapping[str, Any]) -> Iterator[Measure]:
    model, provider = _label(call["model"]), _label(call["provider"])
    failed = call.get("status", "ok") == "error"
    told = {
        "errors": int(failed),
        "cut": int(call.get("status") == "cut"),
        "cost": _whole(call.get("cost")),
        "input": _whole(call.get("input_tokens")),
        "output": _whole(call.get("output_tokens")),
        "cached": _whole(call.get("cached_tokens")),
        "reasoning": _whole(call.get("reasoning_tokens")),
    }
    durations = [_duration(name, call.get(f"{name}_ms")) for name in ("latency", "first_token", "overhead")]
    yield Measure(Series.of(CALLS, model=model, provider=provider), _counted(told, *durations))
    attempts = [each for each in call.get("attempts") or () if isinstance(each, dict) and each.get("failure")]
    for attempt in attempts:
        yield _failure(attempt.get("model") or model, attempt.get("provider") or provider, attempt["failure"])
    if failed and not attempts:
        yield _failure(model, provider, call.get("failure") or "unknown")
    if is_rewarded(call):
        series = Series.of(BANDIT, model=model, bucket=_label(call["bucket"]))
        yield Measure(series, _counted({"reward": reward_units(float(call["reward"]))}))


def record_of_event(identifier: str, type: str, data: Mapping[str, Any]) -> Record:  # noqa: A002
    """An event counts once by its id, as a request's record does by its own."""
    return {"record_id": identifier, "event": {"type": type, "data": data}}


def _event(event: Mapping[str, Any]) -> Iterator[Measure]:
    name, data = _COUNTED_EVENTS.get(event["type"]), event["data"]
    if name is None:
        return
    labels = {label: _label(data.get(key)) for label, key in _TASK_LABELS.items()}
    ended = name in {"completed", "failed", "cancelled"}
    cost = round(float(data.get("cost_usd") or 0) * _NANO) if ended else 0
    yield Measure(Series.of(TASKS, **labels), {name: 1, **({"cost": cost} if cost else {})})


def _task(record: Record, calls: Iterable[Mapping[str, Any]]) -> Iterator[Measure]:
    """What a task's calls cost, by whose and which work it was."""
    task = (record.get("facts") or {}).get("task")
    if not isinstance(task, dict):
        return
    for call in calls:
        amounts = _counted({name: _whole(call.get(key)) for name, key in _SPENT.items()})
        model = _label(call["model"])
        yield Measure(
            Series.of(WORK, role=_label(task.get("role")), type=_label(task.get("type")), model=model), amounts
        )
        yield Measure(Series.of(USERS, user=_label(task.get("user"))), amounts)


def _failure(model: str, provider: str, failure: str) -> Measure:
    return Measure(
        Series.of(FAILURES, model=_label(model), provider=_label(provider), failure=_label(failure)), {"n": 1}
    )


def _counted(*amounts: Amounts) -> dict[str, int]:
    return {name: number for name, number in added({"n": 1}, *amounts).items() if number}


def _duration(name: str, milliseconds: Any) -> Amounts:
    if milliseconds is None:
        return {}
    micros = max(0, round(float(milliseconds) * 1000))
    return {name: micros, f"{name}.{class_of(micros)}": 1}


def _whole(number: Any) -> int:
    return int(number or 0)


def _label(text: Any) -> str:
    return str(text or "unknown")[:_LONGEST_LABEL]
