"""The package by which a function in the emulator runs the working tree's code."""

import io
import sys
import zipfile
from pathlib import Path

import pytest

from infra.local.packages import WorkingTree
from infra.local.template import Function

FUNCTION = Function("OddFunction", "odd_name.app", "answer", 3, ())


def test_its_handler_is_the_working_trees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "functions" / "odd_name").mkdir(parents=True)
    (tmp_path / "functions" / "odd_name" / "app.py").write_text("def answer(event, context): return event + 1")
    monkeypatch.setattr(sys, "path", [*sys.path])
    packages = WorkingTree(tmp_path)
    module, _, name = packages.handler(FUNCTION).rpartition(".")
    with zipfile.ZipFile(io.BytesIO(packages.content(FUNCTION))) as package:
        loaded: dict[str, object] = {}
        exec(package.read(f"{module}.py"), loaded)
    handler = loaded[name]
    assert callable(handler)
    assert handler(1, None) == 2


def test_it_is_never_twice_the_same(tmp_path: Path) -> None:
    packages = WorkingTree(tmp_path)
    assert packages.content(FUNCTION) != packages.content(FUNCTION)
