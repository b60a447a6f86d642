"""Grafana's dashboard of the gateway asks for metrics that the code has, in the shape that they have."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_DECLARED = re.compile(r'\b(counter|gauge|histogram)\(\s*"(\w+)"')
_NAMED = re.compile(r"\bquintet_\w+")
_PARTS = ("_bucket", "_sum", "_count")


@pytest.fixture(scope="module")
def declared() -> dict[str, str]:
    """Every metric of the exposition, by its name, with its kind."""
    root = Path(__file__).parents[2]
    sources = [path for part in ("layers/core", "functions") for path in (root / part).rglob("*.py")]
    return {name: kind for source in sources for kind, name in _DECLARED.findall(source.read_text())}


@pytest.fixture(scope="module")
def asked() -> list[str]:
    path = Path(__file__).parents[2] / "monitoring/grafana/gateway.json"
    return [target["expr"] for panel in _panels(json.loads(path.read_text())) for target in panel.get("targets", ())]


def test_it_asks_for_nothing_that_nobody_has(asked: list[str], declared: dict[str, str]) -> None:
    named = [name for expression in asked for name in _NAMED.findall(expression)]
    assert len(asked) > 25
    assert len(set(named)) > 15
    for name in named:
        part = next((each for each in _PARTS if name.endswith(each)), "")
        kind = declared.get(name.removesuffix(part) if part else name)
        assert kind is not None, f"nobody has {name}"
        assert (kind == "histogram") == bool(part), f"{name} is no {kind}"


def test_what_only_grows_is_asked_for_its_rate(asked: list[str], declared: dict[str, str]) -> None:
    for expression in asked:
        for name in _NAMED.findall(expression):
            if declared.get(name) == "counter":
                assert re.search(rf"\b(rate|increase)\({name}\b", expression), expression


def _panels(part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for panel in part.get("panels", ()):
        yield panel
        yield from _panels(panel)
