"""The documented WebSocket class, to the letter, in a page that Chromium shows."""

import json
import os
import queue
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from quintet.events.platform import platform_event
from quintet.events.store import outbox
from quintet.store.clock import SystemClock
from quintet.store.ids import new_id
from quintet.store.transactions import write_together
from tests.conftest import Stack
from tests.processes import PATIENCE

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
SAMPLE = (Path(__file__).resolve().parents[2] / "node" / "kyros_socket.mjs").read_text()
CLASS = SAMPLE[SAMPLE.index("class KyrosWebSocket") : SAMPLE.index("const [url")]
PAGE = """<!doctype html><meta charset="utf-8"><script>
%s
let said = Promise.resolve();  // one after another: two requests would race each other to the desk
const say = (what) => said = said.then(() => fetch('/told', {method: 'POST', body: JSON.stringify(what)}));
const ws = new KyrosWebSocket(%s, %s);
ws.connect();
ws.on('open', () => {
    ws.subscribe(['task_progress', 'escalation_status']);
});
ws.on('subscribed', (data) => say({subscribed: data}));
ws.on('task_progress', (data) => say({task_progress: data}));
const obey = () => fetch('/orders').then((answer) => answer.text()).then((order) => {
    if (order === 'lose') {
        ws.ws.addEventListener('close', () => say({lost: true}));
        ws.ws.close();
    }
    obey();
});
obey();
</script>"""

pytestmark = pytest.mark.skipif(
    not CHROMIUM.exists(), reason=f"there is no browser: {CHROMIUM} is missing (Debian package chromium)"
)


class Desk(ThreadingHTTPServer):
    """Gives the page out, hears what it is told, and passes orders on to it."""

    daemon_threads = True

    def __init__(self) -> None:
        self.page = ""
        self.told: queue.Queue[Any] = queue.Queue()
        self.orders: queue.Queue[str] = queue.Queue()
        super().__init__(("127.0.0.1", 0), Clerk)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def lose_connection(self) -> None:
        """What is on its way to a socket that is just closing is lost to its page: it is closed when this returns."""
        self.orders.put("lose")
        while "lost" not in self.told.get(timeout=PATIENCE):
            pass

    def steps(self, task: str, count: int) -> list[str]:
        found: list[str] = []
        while len(found) < count:
            data = self.told.get(timeout=PATIENCE).get("task_progress", {})
            if data.get("task_id") == task:
                found.append(data["step"])
        return found


class Clerk(BaseHTTPRequestHandler):
    server: Desk

    def do_GET(self) -> None:
        if self.path == "/orders":
            try:
                self._answer(self.server.orders.get(timeout=20), "text/plain")
            except queue.Empty:
                self._answer("", "text/plain")
        else:
            self._answer(self.server.page, "text/html")

    def do_POST(self) -> None:
        self.server.told.put(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self._answer("", "text/plain")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Says nothing."""

    def _answer(self, text: str, kind: str) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(text.encode())))
        with suppress(BrokenPipeError):  # the browser has left, and its test is over
            self.end_headers()
            self.wfile.write(text.encode())


@pytest.fixture
def desk(stack: Stack, front: str, tmp_path: Path) -> Iterator[Desk]:
    """With the page open in a browser."""
    key = stack.keys["RYUZEN_KEY"]
    with Desk() as desk:
        desk.page = PAGE % (CLASS, json.dumps(f"{front.replace('http', 'ws', 1)}/ws"), json.dumps(key))
        threading.Thread(target=desk.serve_forever, daemon=True).start()
        home = f"--user-data-dir={tmp_path / 'home'}"
        command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", home, desk.url]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as browser:
            yield desk
            browser.terminate()
        desk.shutdown()


def live(task: str, *steps: str) -> None:
    for step in steps:
        data = {"task_id": task, "step": step}
        write_together([outbox(platform_event(step, task, data, now=SystemClock().now()))])


def test_a_page_follows_a_tasks_life_and_loses_nothing_over_a_reconnect(desk: Desk, function_environment: None) -> None:
    task = new_id("task", SystemClock().now())
    assert desk.told.get(timeout=PATIENCE)["subscribed"]["events"] == ["escalation_status", "task_progress"]
    live(task, "task.created", "task.started")
    assert desk.steps(task, 2) == ["task.created", "task.started"]
    desk.lose_connection()
    live(task, "task.progress", "task.completed")
    assert desk.steps(task, 2) == ["task.progress", "task.completed"]
