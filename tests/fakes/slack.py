"""Slack's Web API on loopback: takes what is posted, and answers by a script."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

OK: dict[str, Any] = {"ok": True}


@dataclass
class SlackServer:
    """`answers` are given first, as (status, headers, body); after them everything is well."""

    url: str
    posts: list[dict[str, Any]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    answers: list[tuple[int, dict[str, str], dict[str, Any]]] = field(default_factory=list)
    channels: dict[str, str] = field(default_factory=dict)


@contextmanager
def slack_server() -> Iterator[SlackServer]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            server.tokens.add(self.headers.get("authorization", ""))
            status, headers, told = server.answers.pop(0) if server.answers else (200, {}, OK)
            if status == 200 and told["ok"]:
                server.posts.append(body)
            self._answer(status, headers, told)

        def do_GET(self) -> None:
            channel = parse_qs(urlsplit(self.path).query)["channel"][0]
            name = server.channels.get(channel)
            self._answer(200, {}, {"ok": bool(name), "channel": {"name": name}})

        def _answer(self, status: int, headers: dict[str, str], told: Any) -> None:
            body = json.dumps(told).encode()
            self.send_response(status)
            for header, value in {**headers, "content-length": str(len(body))}.items():
                self.send_header(header, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server = SlackServer(f"http://127.0.0.1:{listener.server_address[1]}/api/")
    thread = threading.Thread(target=listener.serve_forever, args=[0.01], daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()
