"""The front over a real socket, for tests that bring their own app or sockets function."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from infra.local.front import Front, Routes, server
from infra.local.sockets import Sockets
from infra.local.system import listen
from infra.local.template import Route

KEY = "the-functions-key"
PATIENCE = 20.0


@contextmanager
def serving(app: Any = None, sockets: Sockets | None = None) -> Iterator[str]:
    """The front on a free port, in a thread."""
    front = Front(Routes([(Route("ANY", "/{proxy+}"), app)] if app else []), sockets, KEY)
    ready = threading.Event()
    running = server(front, lambda state: ready.set() if state == "serving" else None)
    listening = listen(0)
    address = f"127.0.0.1:{listening[0].getsockname()[1]}"
    thread = threading.Thread(target=running.run, kwargs={"sockets": listening})
    thread.start()
    assert ready.wait(PATIENCE)
    try:
        yield address
    finally:
        running.should_exit = True
        thread.join()
