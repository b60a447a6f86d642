"""Our Lambda runtime: the documented Runtime API in a loop of our own, so that answers leave as they are made.

AWS's runtime for Python buffers every answer. The script `stream` of this layer starts this module in its place
(`AWS_LAMBDA_EXEC_WRAPPER`); every HTTP route of such a function must have the STREAM transfer mode.
"""

import quintet.cold

import asyncio
import importlib
import json
import logging
import os
import sys
import time
from typing import Any, NoReturn

from quintet.http.afterwards import afterwards
from quintet.http.entry import is_request, kept_loop, request_of
from quintet.http.runtime_api import Invocation, RuntimeApi
from quintet.http.upload import Answer
from quintet.settings import Platform, platform

_TRACE = "_X_AMZN_TRACE_ID"

log = logging.getLogger("quintet.runtime")


def main() -> NoReturn:
    here = platform()
    api = RuntimeApi(here.runtime_api)
    try:
        module, _, name = here.handler.rpartition(".")
        handler = getattr(importlib.import_module(module.replace("/", ".")), name)
        if here.snap_start:
            _before_snapshot()
    except Exception as error:
        log.exception("the function cannot start")
        api.fail_to_start(f"Runtime.{type(error).__name__}", str(error))
        sys.exit(1)
    quintet.cold.imported()
    if here.snap_start:
        _after_restore(api)
    _serve(api, handler, here)


class Context:
    """What a handler gets beside its event, under the names that AWS's runtime uses."""

    identity = None  # callers with Cognito identities do not reach us

    def __init__(self, invocation: Invocation, here: Platform) -> None:
        self.aws_request_id = invocation.request_id
        self.invoked_function_arn = invocation.function_arn
        self.client_context = json.loads(invocation.client_context) if invocation.client_context else None
        self.tenant_id = invocation.tenant_id
        self.function_name = here.function_name
        self.function_version = here.function_version
        self.memory_limit_in_mb = here.memory_mb
        self.log_group_name = here.log_group
        self.log_stream_name = here.log_stream
        self._deadline_ms = invocation.deadline_ms

    def get_remaining_time_in_millis(self) -> int:
        return max(0, self._deadline_ms - int(time.time() * 1000))


def _serve(api: RuntimeApi, handler: Any, here: Platform) -> NoReturn:
    loop = kept_loop()
    asyncio.set_event_loop(loop)
    app = getattr(handler, "app", None)
    afterwards.offered = True
    while True:
        invocation = api.next()
        if invocation.trace_id:
            os.environ[_TRACE] = invocation.trace_id
        else:
            os.environ.pop(_TRACE, None)
        context = Context(invocation, here)
        event = json.loads(invocation.body)
        if app is not None and is_request(event):
            loop.run_until_complete(_stream(api, app, event, context))
        else:
            _buffer(api, handler, event, context)
            loop.run_until_complete(afterwards.finish())


async def _stream(api: RuntimeApi, app: Any, event: Any, context: Context) -> None:
    scope, body = request_of(event, context)
    answer = Answer(api, context.aws_request_id, body)
    try:
        await app(scope, answer.receive, answer.send)
    except Exception as error:
        log.exception("the app failed")
        await answer.close(error)
    else:
        await answer.close(None)


def _buffer(api: RuntimeApi, handler: Any, event: Any, context: Context) -> None:
    """Events that are no requests: a schedule, a queue, a state machine, which reads the error's type."""
    try:
        result = json.dumps(handler(event, context)).encode()
    except Exception as error:
        log.exception("the invocation failed")
        afterwards.forget()
        api.fail(context.aws_request_id, type(error).__name__, str(error))
    else:
        api.answer(context.aws_request_id, result)


def _before_snapshot() -> None:
    from snapshot_restore_py import get_before_snapshot

    hooks = get_before_snapshot()
    while hooks:
        hook, args, kwargs = hooks.pop()  # the last registered runs first
        hook(*args, **kwargs)


def _after_restore(api: RuntimeApi) -> None:
    from snapshot_restore_py import get_after_restore

    api.wait_for_restore()
    try:
        for hook, args, kwargs in get_after_restore():
            hook(*args, **kwargs)
    except Exception as error:
        log.exception("the function cannot go on from its snapshot")
        api.fail_to_restore("Runtime.AfterRestoreError", str(error))
        sys.exit(1)


if __name__ == "__main__":
    main()
