"""What surrounds a function on Lambda: JSON logs, traces and metrics, each only where the settings ask for it."""

import quintet.cold

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from functools import cache, wraps
from typing import Any

from quintet import copies
from quintet.http.entry import Entry, Event, kept_loop
from quintet.http.exchange import exchange_of
from quintet.settings import memory_mb, platform, sampled, settings
from quintet.store.meter import Meter, metered
from quintet.telemetry import emf
from quintet.telemetry.owed import settle
from quintet.telemetry.platform import TIME

_SERVICE = "quintet"
_POLLED = 2  # of its requests Lambda makes for a batch: it receives, and deletes what went well
_LATER = ("botocore.session", "encodings.idna")  # what the first call to AWS or to a vendor imports


def serve(app: Any, *, later: Iterable[str] = ()) -> Entry:
    """The handler of a function behind API Gateway. It is the last line of a module: what is imported by now stays.

    `later` are modules that only some requests need: with SnapStart no caller waits for them.
    """
    entry = Entry(_Watched(app) if settings().on_lambda else app)
    _begin(later)
    return entry


def consume(work: Callable[[Any], Any], *, later: Iterable[str] = ()) -> Callable[[Any, Any], Any]:
    """The handler of a function that takes events. `work` may be a coroutine function.

    Its exceptions go to Lambda as they are: queues retry by them, state machines catch them by name.
    """

    @wraps(work)
    def handler(event: Event, context: Any) -> Any:
        if not settings().on_lambda:
            return ended(work(event))
        _logger().append_keys(function_request_id=context.aws_request_id)
        with metered() as meter:
            kind = kind_of(event)
            _begun(meter, kind, traced=sampled())
            if kind == "queue":
                meter.add("sqs_request", _POLLED)
            try:
                return ended(work(event))
            finally:
                ended(settle(meter, kind))

    def ended(outcome: Any) -> Any:
        return kept_loop().run_until_complete(outcome) if asyncio.iscoroutine(outcome) else outcome

    _begin(later)
    return handler


def _begun(meter: Meter, kind: str, *, traced: bool) -> None:
    meter.add("lambda_request")
    if traced and kind not in {"queue", "step"}:  # those go on with the trace of who sent them
        meter.add("xray_trace")
    if seconds := quintet.cold.start_seconds():
        meter.add(TIME, seconds * int(memory_mb() or 0) / 1024)


def kind_of(event: Any) -> str:
    """Who it comes from."""
    given: Mapping[str, Any] = event if isinstance(event, dict) else {}
    match given:
        case {"Records": [{"eventSource": "aws:sqs"}, *_]}:
            return "queue"
        case {"Records": _}:
            return "stream"
        case {"requestContext": _}:
            return "socket"
        case {"step": _}:
            return "step"
    return "schedule"


class _Watched:
    """An app whose requests are logged, traced and counted under their invocation."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        context = scope.get("aws.context")
        if context is not None:
            _logger().append_keys(function_request_id=context.aws_request_id)
        with metered() as meter:
            traced = sampled()
            _begun(meter, "request", traced=traced)
            meter.add("api_gateway_request")
            try:
                if traced and settings().tracing:
                    await self._traced(scope, receive, send)
                else:
                    await self._app(scope, receive, send)
            finally:
                if settings().metrics:
                    emf.say(emf.request_line(exchange_of(scope)))
                await settle(meter, "request")

    async def _traced(self, scope: Any, receive: Any, send: Any) -> None:
        from aws_xray_sdk.core import xray_recorder

        with xray_recorder.in_subsegment("## request") as segment:
            try:
                await self._app(scope, receive, send)
            finally:
                exchange = exchange_of(scope)
                if segment is not None:
                    segment.put_annotation("group", exchange.group)
                    segment.put_annotation("request_id", exchange.request_id)
                    segment.put_annotation("status", exchange.status)


def _begin(later: Iterable[str]) -> None:
    if settings().on_lambda:
        _logger()
        if settings().tracing:
            _trace()
        if platform().snap_start:
            from snapshot_restore_py import register_after_restore, register_before_snapshot

            register_before_snapshot(copies.prepare, [*_LATER, *later])
            register_after_restore(copies.awake)
    quintet.cold.imported()


@cache
def _logger() -> Any:
    """Formats what every logger below `quintet` says, and what libraries warn of."""
    from aws_lambda_powertools.logging import Logger

    from quintet.telemetry.lines import Lines

    lines = Lines(service=_SERVICE, function=settings().aws_lambda_function_name)
    logger = Logger(service=_SERVICE, level=settings().log_level, logger_formatter=lines)
    root = logging.getLogger()
    if not root.handlers:  # our own runtime brings none
        root.addHandler(logger.registered_handler)
        logging.getLogger(_SERVICE).propagate = False
    return logger


def _trace() -> None:
    """Calls through botocore become subsegments, if and when somebody imports botocore."""
    import wrapt
    from aws_xray_sdk.core import patch

    wrapt.register_post_import_hook(lambda _module: patch(("botocore",)), "botocore.session")
