"""A process of its own that calls the identity function many times at once: what another instance of it does."""

import asyncio
import json
import os
from collections.abc import Mapping
from threading import Barrier
from typing import Any, NamedTuple

from tests.asgi import ask


class Answered(NamedTuple):
    status: int
    headers: dict[str, str]
    body: Any


def order_tokens(environment: Mapping[str, str], secret: str, times: int, together: Barrier) -> list[Answered]:
    """The first thing its process does: the environment is read once."""
    os.environ.clear()
    os.environ.update(environment)
    return asyncio.run(_order(secret, times, together))


async def _order(secret: str, times: int, together: Barrier) -> list[Answered]:
    from identity.app import app

    headers = {"x-api-key": secret, "content-type": "application/json"}
    body = json.dumps({"subject": "user123"}).encode()
    await ask(app, "GET", "/v1/auth/me", headers=headers)  # another limit: everything is imported and connected now
    together.wait(30)
    asked = [ask(app, "POST", "/auth/token", headers=headers, body=body) for _ in range(times)]
    return [Answered(each.status, each.headers, each.json()) for each in await asyncio.gather(*asked)]
