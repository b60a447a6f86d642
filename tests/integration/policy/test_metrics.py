"""Traffic, and what the Grafana dashboard then finds at GET /metrics."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import requests
import websockets

from tests.processes import eventually

BEARER = {"Authorization": "Bearer cyborg-secret-v2"}
SEEN = [0.1, 0.2, 0.3, 0.4]
_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? \S+$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_SELECTOR = re.compile(r"([a-z_]+)\{([^}]*)\}|\b(cyborg_\w+)")
_MATCHER = re.compile(r'(\w+)(=~|=)"([^"]*)"')


def traffic(front: str) -> None:
    for _ in range(3):
        requests.post(f"{front}/reset", json={"agent_id": "watched"}, headers=BEARER, timeout=30)
        requests.post(f"{front}/step", json={"observation": SEEN}, headers=BEARER, timeout=30)
        requests.post(f"{front}/step", json={"observation": [1]}, headers=BEARER, timeout=30)
        requests.post(f"{front}/step", json={"observation": SEEN}, timeout=30)
        requests.post(f"{front}/step_batch", json={"observations": [SEEN]}, headers=BEARER, timeout=30)

    async def stream() -> None:
        async with websockets.connect(front.replace("http://", "ws://") + "/stream") as socket:
            await socket.send(json.dumps({"observation": SEEN, "token": "cyborg-secret-v2"}))
            await socket.recv()

    asyncio.run(stream())


def samples(front: str) -> list[tuple[str, dict[str, str]]]:
    text = requests.get(f"{front}/metrics", timeout=30).text
    return [(name, dict(_LABEL.findall(labels))) for name, labels in _SAMPLE.findall(text)]


def matches(sample: tuple[str, dict[str, str]], metric: str, matchers: list[tuple[str, str, str]]) -> bool:
    name, labels = sample
    return name == metric and all(
        re.fullmatch(value, labels.get(label, "")) if how == "=~" else labels.get(label) == value
        for label, how, value in matchers
    )


def test_every_expression_of_the_dashboard_finds_data(front: str, repository: Path) -> None:
    dashboard: Any = json.loads((repository / "monitoring/grafana/cyborg_api.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    traffic(front)

    def all_found() -> bool:
        there = samples(front)
        return all(
            any(matches(sample, metric or bare, _MATCHER.findall(selector)) for sample in there)
            for expression in expressions
            for metric, selector, bare in _SELECTOR.findall(expression)
        )

    eventually(all_found)
