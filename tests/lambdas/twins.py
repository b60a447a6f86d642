"""The broker at work, and two copies of its process made as from one snapshot; prints what each has for itself."""

import json
import os
import random
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from broker.app import handler
from quintet import copies
from quintet.gateway.ledger.live import ledger
from quintet.net import client
from quintet.store import secrets
from tests.gateway import call

BODY = {"request": {"messages": [{"role": "user", "content": "Hello"}]}}


def ask(key: str) -> Any:
    answer = call(handler, "POST", "/v1/chat", headers={"X-Ryuzen-Key": key}, json=BODY)
    assert answer.status == 200, answer.text
    return answer.headers["x-request-id"]


def leases() -> list[str]:
    return sorted(ledger()._leases._by_id)  # type: ignore[attr-defined]


def sockets() -> int:
    """Every one that is open, of whomever: the pipes to the parent are none."""
    found = 0
    for each in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the listing's own is closed by now
            found += stat.S_ISSOCK(each.stat().st_mode)
    return found


def told(key: str) -> dict[str, Any]:
    arrived = {"sockets": sockets(), "connections": client.kept()[0], "leases": leases(), "secrets": len(secrets._kept)}
    drawn = [random.random() for _ in range(3)]
    return {"arrived": arrived, "random": drawn, "ids": [ask(key) for _ in range(2)], "leases": leases()}


def main() -> None:
    key = sys.stdin.readline().strip()
    first = {"ids": [ask(key)], "leases": leases(), "connections": client.kept()[0], "secrets": len(secrets._kept)}
    copies.prepare()
    found = [first]
    for _ in range(2):
        read, write = os.pipe()
        if os.fork() == 0:
            copies.awake()
            os.write(write, json.dumps(told(key)).encode())
            os._exit(0)
        os.close(write)
        with os.fdopen(read) as pipe:
            found.append(json.loads(pipe.read()))
        os.wait()
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
