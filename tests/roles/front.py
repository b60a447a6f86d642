"""The front, with the deployed functions behind it in the place of their code."""

import asyncio
import os
from functools import cache
from pathlib import Path
from typing import Any

from infra.local import front
from infra.local.emulator import Endpoint
from infra.local.sockets import Receive, Scope, Send, Sockets
from infra.local.template import Function, Template
from quintet.settings import settings
from tests.gateway import answer, event
from tests.roles.carrying import invoked


class Deployed:
    """An ASGI app. Its answers come in one piece, as those of the emulator's API Gateway do."""

    def __init__(self, function: Function) -> None:
        self.name = function_name(function)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        query = scope["query_string"].decode("latin-1")
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        asked = event(
            scope["method"],
            scope["path"] + (f"?{query}" if query else ""),
            headers=headers,
            body=body or None,
            ip=(scope.get("client") or ("127.0.0.1", 0))[0],
        )
        told = answer(await asyncio.to_thread(invoked, client(), self.name, asked))
        lines = [
            (name.encode(), each.encode("latin-1")) for name, values in told.all_headers.items() for each in values
        ]
        await send({"type": "http.response.start", "status": told.status, "headers": lines})
        await send({"type": "http.response.body", "body": told.body})


@cache
def client() -> Any:
    endpoint = Endpoint.named(os.environ)
    assert endpoint is not None
    return endpoint.client("lambda")


def function_name(function: Function) -> str:
    return settings().table_prefix + function.module.partition(".")[0]


def load(template: Template, code: Path, key: str) -> front.Front:
    routes = [(route, Deployed(each)) for each in template.functions.values() for route in each.routes]
    behind = template.sockets
    assert behind is not None
    name = function_name(behind)

    def handler(event: Any, _context: Any) -> Any:
        return invoked(client(), name, event)

    return front.Front(front.Routes(routes), Sockets(handler, behind.id), key)


if __name__ == "__main__":
    front.load = load
    front.main()
