"""GET /console: one page for a browser that only reads. It asks for an API key and keeps it for as long as its tab."""

import re
from base64 import b64encode
from functools import cache
from hashlib import sha256
from html import escape
from pathlib import Path

from fastapi import APIRouter
from starlette.responses import Response

from quintet.settings import settings

router = APIRouter()


@router.api_route("/console", methods=["GET", "HEAD"])
async def console() -> Response:
    page, headers = _page(settings().sockets_url)
    return Response(page, media_type="text/html", headers=headers)


@cache
def _page(sockets_url: str) -> tuple[str, dict[str, str]]:
    """Nothing runs but the page's own script, and nothing is reached but our two APIs."""
    page = Path(__file__).with_name("console.html").read_text()
    style, script = (re.search(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL) for tag in ("style", "script"))
    assert style
    assert script
    reached = "'self'"
    if sockets_url.startswith("https://"):
        sockets = "wss" + sockets_url.removeprefix("https")
        page = page.replace("<title>", f'<meta name="sockets" content="{escape(sockets)}">\n<title>')
        reached += f" {sockets}"
    policy = (
        f"default-src 'none'; script-src {_hash(script[1])}; style-src {_hash(style[1])}; connect-src {reached}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return page, {
        "content-security-policy": policy,
        "cache-control": "no-store",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), geolocation=(), microphone=()",
        "referrer-policy": "no-referrer",
        "strict-transport-security": "max-age=31536000",
        "x-frame-options": "DENY",
    }


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
