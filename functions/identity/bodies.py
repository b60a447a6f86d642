"""Request bodies that come as a form or as JSON: OAuth2 says forms, people say JSON."""

import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from quintet.errors import Failure, Kind

M = TypeVar("M", bound=BaseModel)

_MOST_FIELDS = 32


def form_or_json(model: type[M]) -> Callable[[Request], Awaitable[M]]:
    """A dependency that answers the body as this model."""

    async def read(request: Request) -> M:
        body = await request.body()
        is_form = request.headers.get("content-type", "").lower().startswith("application/x-www-form-urlencoded")
        try:
            return model.model_validate(_form(body) if is_form else json.loads(body))
        except ValidationError as error:
            raise RequestValidationError(error.errors(include_url=False, include_input=False)) from None
        except (ValueError, RecursionError):
            raise Failure(Kind.MALFORMED, "The request body is neither a form nor JSON") from None

    return read


def _form(body: bytes) -> dict[str, Any]:
    return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS))
