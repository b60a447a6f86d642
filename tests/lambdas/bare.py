"""ASGI without a frame: what the runtime does with apps that break its rules."""

import os
from typing import Any

from quintet.http.entry import Entry

ended: list[str] = []


async def app(scope: Any, receive: Any, send: Any) -> None:
    case = scope["path"].strip("/")
    headers: list[tuple[bytes, bytes]] = [(b"content-type", b"text/plain")]
    if case == "fails":
        raise LookupError("s3cret")
    if case == "silent":
        return
    if case == "large-headers":
        headers.append((b"x-large", b"x" * (17 << 10)))
    if case == "many-headers":
        headers += [(b"vary", b"a"), (b"vary", b"b"), (b"set-cookie", b"c=1; Path=/"), (b"set-cookie", b"d=2")]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    if case == "fails-midway":
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise LookupError("s3cret")
    if case == "stops-midway":
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        return
    if case == "large":
        for _ in range(64):
            await send({"type": "http.response.body", "body": bytes(1 << 20), "more_body": True})
    if case == "until-gone":
        await send({"type": "http.response.body", "body": b"there", "more_body": True})
        assert (await receive())["type"] == "http.request"
        ended.append((await receive())["type"])
        await send({"type": "http.response.body", "body": b"nobody hears this", "more_body": True})
        return
    if case == "how-it-ended":
        await send({"type": "http.response.body", "body": ",".join(ended).encode(), "more_body": True})
    if case == "trace":
        await send({"type": "http.response.body", "body": os.environ.get("_X_AMZN_TRACE_ID", "-").encode()})
        return
    await send({"type": "http.response.body", "body": b""})


class Handler(Entry):
    """Requests stream; other events are answered whole, and one of them fails."""

    def __call__(self, event: Any, context: Any) -> dict[str, Any]:
        if "httpMethod" in event:
            return super().__call__(event, context)
        if "fail" in event:
            raise LookupError(event["fail"])
        return {
            "echo": event,
            "request_id": context.aws_request_id,
            "client": context.client_context,
            "left": context.get_remaining_time_in_millis(),
        }


handler = Handler(app)
