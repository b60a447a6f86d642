"""The front door on a laptop: template.yaml's routes over the very apps that Lambda serves, and the WebSocket API.

`system.py` starts this as `python -m infra.local.front` with sockets that listen already. It says when the code is
loaded, serves once it is told to, and says when it no longer takes connections: a new front can so take over from an
old one, and what connects in between only waits.
"""

import asyncio
import hmac
import importlib
import json
import logging
import os
import re
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from socket import socket
from typing import Any

import uvicorn

from infra.local.children import at_end_of_input, private_stdout
from infra.local.known import STATIC_TOKEN
from infra.local.sockets import CONNECTIONS, MAX_MESSAGE, Receive, Scope, Send, Sockets
from infra.local.template import ANY, Function, Route, Template
from quintet.settings import settings

THREADS = 64
GRACE_SECONDS = 2
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
_PORT = re.compile(r":\d+$")
# What web pages of elsewhere may ask for: what the documents open to all of them, what a link or a sign-in leads to.
_FOR_ALL_PAGES = re.compile(r"/api/|/(console|health|healthz|metrics)$|/v1/auth/oauth2/")
_PARAMETER = re.compile(r"\{(\w+)(\+?)\}")


class Routes:
    """API Gateway's choice: the most specific resource, segment by segment: a word before {name} before {name+}.

    The resource is chosen by its path alone; a method that it does not have is refused, not looked for elsewhere.
    """

    def __init__(self, routes: Iterable[tuple[Route, Any]]) -> None:
        by_path: dict[str, dict[str, Any]] = {}
        for route, app in routes:
            by_path.setdefault(route.path, {})[route.method] = app
        self._resources = [(_pattern(path), by_path[path]) for path in sorted(by_path, key=_precedence)]

    def find(self, method: str, path: str) -> Any | None:
        trimmed = path.rstrip("/") or "/"
        for pattern, methods in self._resources:
            if pattern.fullmatch(trimmed):
                return methods.get(method) or methods.get(ANY)
        return None


def _precedence(path: str) -> list[tuple[int, str]]:
    """Sorts before what is less specific; the text only makes the order total."""
    ranks = []
    for segment in path.strip("/").split("/"):
        parameter = _PARAMETER.fullmatch(segment)
        ranks.append((0, segment) if parameter is None else (2 if parameter[2] else 1, segment))
    return ranks


def _pattern(path: str) -> re.Pattern[str]:
    pieces = _PARAMETER.split(path)
    text = re.escape(pieces[0])
    for greedy, literal in zip(pieces[2::3], pieces[3::3], strict=True):
        text += (".+" if greedy else "[^/]+") + re.escape(literal)
    return re.compile(text, re.DOTALL)


class Front:
    """One ASGI app. `key` is the secret first segment of the path under which functions reach open WebSockets.

    It answers to loopback's names and to `hosts` alone: a web page whose own name resolves to us gets nothing. Other
    pages reach us by our own name, through a browser of this machine; much is open here without a key, to its user.
    """

    def __init__(self, routes: Routes, sockets: Sockets | None, key: str, hosts: Iterable[str] = ()) -> None:
        self._routes = routes
        self._sockets = sockets
        self._key = key
        self._hosts = _LOOPBACK | {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._ours(scope):
            message = b"This host name is not ours: start with ALLOWED_HOSTS=its.name to serve it"
            await _turn_away(scope, receive, send, HTTPStatus.MISDIRECTED_REQUEST, message)
        elif self._for_a_page_of_elsewhere(scope):
            message = b"Web pages of other hosts may not ask for this: start with ALLOWED_HOSTS=its.name to let one in"
            await _turn_away(scope, receive, send, HTTPStatus.FORBIDDEN, message)
        elif scope["type"] == "websocket" and self._sockets is not None:
            await self._sockets.serve(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close"})
        elif self._sockets is not None and self._for_functions(scope):
            await self._sockets.manage(scope["method"], scope["path"], receive, send)
        else:
            app = self._routes.find(scope["method"], scope["path"])
            await (app or _nowhere)(_merged(scope), receive, send)

    def _ours(self, scope: Scope) -> bool:
        hosts = [value.decode("latin-1").lower() for name, value in scope["headers"] if name == b"host"]
        return hosts != [] and all(map(self._known, hosts))

    def _known(self, host: str) -> bool:
        name = _PORT.sub("", host)
        return name in self._hosts or name.endswith(".localhost")

    def _for_a_page_of_elsewhere(self, scope: Scope) -> bool:
        """By what browsers say of a request's page, whether it wants that or not; nobody else says it."""
        sent: dict[bytes, str] = {name: value.decode("latin-1").lower() for name, value in scope["headers"]}
        origin = sent.get(b"origin", "null")
        if self._known(origin.partition("://")[2]):
            return False
        if scope["type"] == "websocket":
            return origin != "null"
        if sent.get(b"sec-fetch-site") != "cross-site":
            return False
        shown = [sent.get(name, "") for name in (b"authorization", b"x-api-key", b"x-ryuzen-key", b"xi-api-key")]
        return _FOR_ALL_PAGES.match(scope["path"]) is None or any(STATIC_TOKEN in each for each in shown)

    def _for_functions(self, scope: Scope) -> bool:
        key, _, rest = scope["path"][1:].partition("/")
        return (
            rest.startswith(f"{CONNECTIONS}/")
            and hmac.compare_digest(key.encode(), self._key.encode())
            and all(name != b"origin" for name, _ in scope["headers"])
        )


def _merged(scope: Scope) -> Scope:
    """A header that was sent twice arrives as one, as it does through API Gateway."""
    merged: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        merged[name] = merged[name] + b", " + value if name in merged else value
    if len(merged) == len(scope["headers"]):
        return scope
    return {**scope, "headers": list(merged.items())}


async def _nowhere(_scope: Scope, _receive: Receive, send: Send) -> None:
    """API Gateway's own words for a path or method that the template does not have."""
    await _refuse(send, HTTPStatus.FORBIDDEN, b"Missing Authentication Token")


async def _turn_away(scope: Scope, receive: Receive, send: Send, status: HTTPStatus, message: bytes) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close"})
        return
    await _refuse(send, status, message)


async def _refuse(send: Send, status: HTTPStatus, message: bytes) -> None:
    body = b'{"message":"%s"}' % message
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": body})


def load(template: Template, code: Path, key: str) -> Front:
    """Imports every function's module, also those that serve no route: an edit that breaks one is noticed here."""
    functions = [function for function in template.functions.values() if function.written(code)]
    modules = {function.id: importlib.import_module(function.module) for function in functions}
    routes = [(route, modules[function.id].app) for function in functions for route in function.routes]
    behind: Function | None = template.sockets
    sockets = None
    if behind is not None and behind.id in modules:
        sockets = Sockets(getattr(modules[behind.id], behind.attribute), behind.id)
    hosts = [host.strip() for host in settings().allowed_hosts.split(",") if host.strip()]
    return Front(Routes(routes), sockets, key, hosts)


def server(front: Front, say: Callable[[str], None]) -> uvicorn.Server:
    """`say` hears "serving" once connections are accepted, and "closed" once they no longer are."""

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket] | None = None) -> None:
            loop = asyncio.get_running_loop()
            loop.set_default_executor(ThreadPoolExecutor(THREADS, thread_name_prefix="work"))
            await super().startup(sockets)
            say("serving")

        async def shutdown(self, sockets: list[socket] | None = None) -> None:
            for each in self.servers:
                each.close()
            say("closed")
            await super().shutdown(sockets)

    logging.getLogger("uvicorn.error").addFilter(_worth_telling)
    return Server(
        uvicorn.Config(
            front,
            loop="asyncio",
            http="httptools",
            ws="websockets-sansio",
            ws_max_size=MAX_MESSAGE,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    )


def _worth_telling(record: logging.LogRecord) -> bool:
    """It takes a refused upgrade for one that was forgotten."""
    return "without completing handshake" not in record.getMessage()


def main() -> None:
    replies = private_stdout()
    line = sys.stdin.readline()
    if not line:
        return  # whoever started us was stopped while it did
    told = json.loads(line)
    code = Path(told["code"])
    sys.path.insert(0, str(code))
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    front = load(Template(Path(told["template"])), code, told["key"])

    def say(state: str) -> None:
        with suppress(BrokenPipeError):  # whoever started us is gone
            replies.write(json.dumps({"state": state}) + "\n")
            replies.flush()

    say("loaded")
    if not sys.stdin.readline():
        return  # dismissed before it began
    serving = server(front, say)
    at_end_of_input(lambda: setattr(serving, "should_exit", True))
    serving.run(sockets=[socket(fileno=descriptor) for descriptor in told["listening"]])
    os._exit(0)  # a handler that still runs in its thread would hold us


if __name__ == "__main__":
    main()
