"""What `make build` made is what Lambda can load, and building it again makes the same."""

import subprocess
import sys
from pathlib import Path

import pytest

from infra import build
from infra.shipped import BUILT, digest, faults, shipped, size

PARTS = {"core": "CoreLayer", "functions": "AskFunction", "inference": "InferenceLayer", "vendor": "VendorLayer"}


def test_lambda_finds_nothing_wrong() -> None:
    assert faults(shipped(BUILT), compiled=build.interpreter() is not None) == []


def test_sizes_are_bounded() -> None:
    assert size(BUILT / "VendorLayer") <= 60 << 20
    assert max(sum(map(size, function.trees)) for function in shipped(BUILT)) <= 250 << 20


@pytest.mark.parametrize("part", PARTS)
def test_building_again_makes_the_same(part: str, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "infra/build.py", part, tmp_path], cwd=build.ROOT, check=True)
    assert digest(tmp_path) == digest(BUILT / PARTS[part])
