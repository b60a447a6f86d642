"""What the gateway has done: /admin/v1/stats, /admin/v1/logs."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from admin.access import Admin, Pages
from admin.reading import CountedTable, page_of
from quintet.gateway.model import NANO
from quintet.http.answers import Json
from quintet.http.exchange import exchange_of
from quintet.store.clock import from_millis, iso
from quintet.telemetry.rules import LOG, Record, calls_of
from quintet.telemetry.shapes import RECORD
from quintet.telemetry.stats import stats
from quintet.telemetry.store.log import Log

router = APIRouter(prefix="/admin/v1")

_REQUESTS = Log("requests", "record_id", LOG, RECORD)
_OWN = frozenset({"admin", "operations"})  # who looks at the log would see little but that they did

Word = Annotated[str | None, Query(max_length=200)]


@router.get("/stats")
async def figures(request: Request, _admin: Admin) -> Json:
    return Json(await stats(CountedTable(), exchange_of(request).at))


@router.get("/logs")
async def logs(
    request: Request,
    paging: Pages,
    _admin: Admin,
    group: Word = None,
    model: Word = None,
    provider: Word = None,
    status: Word = None,
) -> Json:
    """Newest first. Without a `group` the admin API's own requests are left out; `group=all` is everything."""

    def wanted(record: Record) -> bool:
        of_group = record.get("group") not in _OWN if group is None else group in ("all", record.get("group"))
        calls = calls_of(record)
        return (
            of_group
            and (model is None or any(call["model"] == model for call in calls))
            and (provider is None or any(call["provider"] == provider for call in calls))
            and status in (None, str(record.get("status")), _word(record))
        )

    page = await page_of(_REQUESTS, paging, exchange_of(request).at, wanted)
    return Json({"logs": [_shown(record) for record in page.items], "next_cursor": page.after})


def _shown(record: Record) -> dict[str, Any]:
    """The last call stands for the request; `calls` has all of them."""
    calls = [_call(call) for call in calls_of(record)]
    last = calls[-1] if calls else {}
    return {
        "id": record["record_id"],
        "request_id": record.get("request_id"),
        "timestamp": iso(from_millis(record["at"])),
        "group": record.get("group"),
        "method": record.get("method"),
        "endpoint": record.get("route"),
        "status_code": record.get("status"),
        "status": _word(record),
        "latency_ms": record.get("latency_ms"),
        "platform_cost_usd": None if record.get("platform_cost") is None else int(record["platform_cost"]) / NANO,
        "principal": record.get("principal"),
        "key_id": record.get("key_id"),
        "failure": record.get("failure"),
        "model_id": last.get("model_id"),
        "provider_id": last.get("provider_id"),
        "mode": last.get("mode"),
        "routing_reason": last.get("routing_reason"),
        "input_tokens": sum(call["input_tokens"] for call in calls),
        "output_tokens": sum(call["output_tokens"] for call in calls),
        "estimated_cost_usd": sum(call["estimated_cost_usd"] for call in calls),
        "cost_usd": sum(call["cost_usd"] for call in calls),
        "calls": calls,
    }


def _call(call: Record) -> dict[str, Any]:
    kept = ("call_id", "status", "failure", "usage_known", "latency_ms", "first_token_ms", "overhead_ms", "mode")
    return {
        "model_id": call["model"],
        "provider_id": call["provider"],
        **{name: call.get(name) for name in kept},
        "routing_reason": call.get("reason"),
        "input_tokens": int(call.get("input_tokens") or 0),
        "output_tokens": int(call.get("output_tokens") or 0),
        "estimated_cost_usd": int(call.get("estimated") or 0) / NANO,
        "cost_usd": int(call.get("cost") or 0) / NANO,
        "attempts": call.get("attempts") or [],
        "stream": bool(call.get("stream")),
    }


def _word(record: Record) -> str:
    calls = calls_of(record)
    failed = bool(record.get("failure")) or int(record.get("status") or 200) >= 400
    return "error" if failed or any(call.get("status") == "error" for call in calls[-1:]) else "success"
