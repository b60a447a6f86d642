"""Inside the measured process: the policy function's handler, called as Lambda calls it, and where its time goes.

It imports nothing before it starts its clock, which with --cpu counts the process's CPU time. With --in-process what
DynamoDB would be asked is answered from a dictionary here. One line of JSON says what was found.
"""

import sys
import time

CLOCK = time.process_time if "--cpu" in sys.argv else time.perf_counter
BEGAN = CLOCK()

import json  # noqa: E402
import resource  # noqa: E402
from typing import Any  # noqa: E402


def main() -> None:
    from policy.app import handler

    ready = CLOCK() - BEGAN
    told = json.loads(sys.stdin.read())
    storing = watched_store(in_process="--in-process" in sys.argv)
    began = CLOCK()
    handler(told["step"], Context())
    first = CLOCK() - began
    found: dict[str, Any] = {"import_s": ready, "first_step_s": first, "memory_mb": memory()}
    for reset in told["resets"]:
        handler(reset, Context())
    for name, calls in told["calls"].items():
        found[name] = measured(lambda event=told[name]: handler(event, Context()), storing, calls)
    found["peak_mb"] = memory()
    print(json.dumps(found))


def measured(call: Any, storing: list[float], calls: int) -> dict[str, float]:
    """Milliseconds: medians, and the 99th percentile of what is not the store's."""
    from quintet.policy.runtime import Policy

    graph: list[float] = []
    for name in ("infer", "infer_stateless"):
        setattr(Policy, name, timed(getattr(Policy, name), graph))
    for _ in range(20):
        assert call()["statusCode"] == 200
    rows: list[tuple[float, float, float]] = []
    for _ in range(calls):
        storing.clear()
        graph.clear()
        began = CLOCK()
        answer = call()
        whole = CLOCK() - began
        assert answer["statusCode"] == 200, answer
        rows.append((whole * 1000, sum(storing) * 1000, sum(graph) * 1000))
    own = sorted(whole - store for whole, store, _ in rows)
    return {
        "own_p50": median(own),
        "own_p99": own[int(len(own) * 0.99)],
        "graph_p50": median([graph_ for _, _, graph_ in rows]),
        "framework_p50": median([whole - store - graph_ for whole, store, graph_ in rows]),
        "store_p50": median([store for _, store, _ in rows]),
        "whole_p50": median([whole for whole, _, _ in rows]),
        "own_per_second": 1000 * len(own) / sum(own),
        "whole_per_second": 1000 * len(rows) / sum(whole for whole, _, _ in rows),
    }


def timed(function: Any, into: list[float]) -> Any:
    inner = getattr(function, "inner", function)

    def call(*args: Any, **kwargs: Any) -> Any:
        began = CLOCK()
        try:
            return inner(*args, **kwargs)
        finally:
            into.append(CLOCK() - began)

    call.inner = inner  # type: ignore[attr-defined]
    return call


def watched_store(*, in_process: bool) -> list[float]:
    """Every call to DynamoDB, signing included."""
    from quintet.store import wire

    spent: list[float] = []
    inner = InProcess() if in_process else wire.call

    async def call(*args: Any, **kwargs: Any) -> Any:
        began = CLOCK()
        try:
            return await inner(*args, **kwargs)
        finally:
            spent.append(CLOCK() - began)

    wire.call = call
    return spent


class InProcess:
    """As much of DynamoDB as one caller's steps need when nobody else steps: no condition is ever unmet."""

    def __init__(self) -> None:
        self.agents: dict[str, Any] = {}
        self.counted = 0

    async def __call__(self, operation: str, request: Any, **_: Any) -> Any:
        match operation:
            case "PutItem":
                self.put(request)
            case "TransactWriteItems":
                for each in request["TransactItems"]:
                    self.put(each["Put"])
            case "GetItem":
                found = self.agents.get(request["Key"]["id"]["S"]) if "id" in request["Key"] else None
                return {"Item": found} if found else {}
            case "BatchGetItem":
                ((table, asked),) = request["RequestItems"].items()
                ids = [key["id"]["S"] for key in asked["Keys"]]
                return {"Responses": {table: [self.agents[each] for each in ids if each in self.agents]}}
            case "UpdateItem":  # the caller's window
                self.counted += 1
                ends = round(time.time() * 1000) + 60_000
                return {"Attributes": {"n_policy": {"N": str(self.counted)}, "r_policy": {"N": str(ends)}}}
            case _:
                raise LookupError(operation)
        return {}

    def put(self, request: Any) -> None:
        if request["TableName"].endswith("agents"):
            self.agents[request["Item"]["id"]["S"]] = request["Item"]


class Context:
    function_name = "policy"
    memory_limit_in_mb = 1769
    invoked_function_arn = "arn:aws:lambda:us-east-1:000000000000:function:policy"
    aws_request_id = "00000000-0000-0000-0000-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        return 29_000


def median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
