"""The README's blocks, by the marks above them."""

import re
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"


def block(mark: str) -> str:
    found = re.search(rf"<!-- {re.escape(mark)} -->\n```\w+\n(.*?)```", README.read_text(), re.DOTALL)
    assert found is not None, f"the README has no block {mark}"
    return found[1]
