"""Bodies read as bytes: signatures are made over bytes, and OpenAI's vocabulary is checked field by field."""

import json
from typing import Any, NoReturn

from fastapi import Request

from quintet.errors import Failure, Kind
from quintet.http.wholeness import whole


async def json_body(request: Request) -> Any:
    return parsed(await request.body())


def parsed(body: bytes) -> Any:
    """Raises Failure for what is no JSON object in UTF-8: NaN and infinity are no JSON."""
    try:
        value = whole(json.loads(body.decode(), parse_constant=_refuse))
    except RecursionError:
        raise Failure(Kind.MALFORMED, "The request body is nested too deeply") from None
    except ValueError:
        raise Failure(Kind.MALFORMED, "The request body is not valid JSON in UTF-8") from None
    if not isinstance(value, dict):
        raise Failure(Kind.MALFORMED, "The request body must be a JSON object")
    return value


def _refuse(word: str) -> NoReturn:
    raise ValueError(word)
