"""The mends of MiniStack refuse to run on anything but what they were made for."""

import importlib.metadata
from types import ModuleType

import pytest

from infra.local import mending, patches


def test_refuses_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda _name: "9.9.9")
    with pytest.raises(mending.Changed, match=r"found 9\.9\.9"):
        patches.apply()


@pytest.mark.parametrize("source", ["", "old old"])
def test_refuses_text_that_is_gone_or_no_longer_unique(source: str) -> None:
    with pytest.raises(mending.Changed, match="the place"):
        mending.edited("the place", source, "old", "new")


def test_refuses_a_name_that_is_gone() -> None:
    with pytest.raises(mending.Changed, match=r"empty\.name"):
        mending.replace(ModuleType("empty"), "name", None)
