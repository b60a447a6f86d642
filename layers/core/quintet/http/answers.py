"""Answers in the shapes that the documents share: JSON, the kyros envelope, and a failure in its path's dialect."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic_core import to_json
from starlette.responses import Response

from quintet.errors import Failure
from quintet.http.exchange import Exchange
from quintet.store.clock import iso

_TYPE = (b"content-type", b"application/json")
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


class Json(Response):
    """Compact UTF-8 JSON. NaN and infinity are not JSON: they raise ValueError here instead of breaking the reader.

    Half a surrogate pair, which a vendor's JSON may hold, is no text either: it becomes a question mark.
    """

    media_type = _TYPE[1].decode()

    def render(self, content: Any) -> bytes:
        return _encode(content).encode(errors="replace")

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        """As Starlette does for what has a body, without looking for a length and a type that nobody gives here."""
        told = (headers or {}).items()
        self.raw_headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in told]
        self.raw_headers += [(b"content-length", b"%d" % len(self.body)), _TYPE]


class Figures(Json):
    """Of many values that are known to be finite, and to be text: written several times as fast."""

    def render(self, content: Any) -> bytes:
        return to_json(content)


def envelope(
    exchange: Exchange,
    data: Any,
    message: str = "OK",
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    kind: type[Json] = Json,
) -> Json:
    """kyros.md's standard answer."""
    return kind(
        {
            "success": True,
            "data": data,
            "message": message,
            "timestamp": iso(exchange.at),
            "request_id": exchange.request_id,
        },
        status_code=status,
        headers=headers,
    )


def refusal(exchange: Exchange, failure: Failure) -> Json:
    """The one place where a failure becomes an answer."""
    exchange.failure = failure
    dialect = exchange.dialect
    return Json(
        dialect.body(failure, exchange.at, exchange.request_id),
        status_code=dialect.status(failure),
        headers=dialect.headers(failure),
    )
