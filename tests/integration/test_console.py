"""GET /console: a page that anybody may load, that holds nothing, and that runs nothing but itself."""

import re
from base64 import b64encode
from hashlib import sha256

import requests

from tests.conftest import Stack


def test_anybody_may_load_the_page(front: str) -> None:
    answer = requests.get(f"{front}/console", timeout=30)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_browser_runs_the_pages_own_script_and_no_other(front: str) -> None:
    answer = requests.get(f"{front}/console", timeout=30)
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["form-action"] == "'none'"
    for tag in ("script", "style"):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", answer.text, re.DOTALL)
        assert policy[f"{tag}-src"] == f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def test_the_page_asks_nobody_else_for_anything(front: str) -> None:
    page = requests.get(f"{front}/console", timeout=30).text
    assert re.findall(r"""(?:src|href)=|https?://|innerHTML|\son[a-z]+=["']""", page) == []


def test_the_gateway_serves_it_from_the_function_as_it_ships(stack: Stack) -> None:
    answer = stack.request("GET", "/console")
    assert answer.status_code == 200
    assert "</html>" in answer.text
