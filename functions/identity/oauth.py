"""kyros.md's way in through a provider elsewhere."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from identity.bodies import form_or_json
from identity.login import granted
from identity.services import signing_in
from quintet.http.answers import Json
from quintet.http.exchange import exchange_of
from quintet.identity.oauth.signing_in import FLOW_LIFETIME, Return
from quintet.settings import settings

router = APIRouter(prefix="/v1/auth/oauth2")

LONGEST = 4096
Text = Annotated[str, Field(max_length=LONGEST)]
QueryText = Annotated[str, Query(max_length=LONGEST)]


class Answer(BaseModel):
    """What a provider sends back with the browser, or a page of the caller's own passes on."""

    state: Text
    code: Text | None = None
    error: Text | None = None


@router.get("/{provider}")
async def begin(provider: str, request: Request) -> Response:
    departure = await (await signing_in()).begin(provider, exchange_of(request).at)
    answer = Response(status_code=302, headers={"location": departure.url, "cache-control": "no-store"})
    name, secure = _cookie()
    answer.set_cookie(
        name,
        departure.cookie,
        max_age=int(FLOW_LIFETIME.total_seconds()),
        path="/",
        secure=secure,
        httponly=True,
        samesite="lax",
    )
    return answer


@router.get("/{provider}/callback")
async def come_back(
    provider: str, request: Request, state: QueryText, code: QueryText | None = None, error: QueryText | None = None
) -> Json:
    return await _finish(provider, Answer(state=state, code=code, error=error), request)


@router.post("/{provider}/callback")
async def hand_in(provider: str, answer: Annotated[Answer, Depends(form_or_json(Answer))], request: Request) -> Json:
    return await _finish(provider, answer, request)


async def _finish(provider: str, answer: Answer, request: Request) -> Json:
    exchange = exchange_of(request)
    name, secure = _cookie()
    back = Return(answer.state, answer.code, answer.error, cookie=request.cookies.get(name))
    response = granted(exchange, await (await signing_in()).finish(provider, back, exchange.at), "Signed in")
    response.delete_cookie(name, path="/", secure=secure, httponly=True, samesite="lax")
    return response


def _cookie() -> tuple[str, bool]:
    """Over https its name makes browsers refuse it from any other host, or without TLS."""
    secure = settings().public_url.startswith("https://")
    return ("__Host-quintet-oauth" if secure else "quintet-oauth"), secure
