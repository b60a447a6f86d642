"""How providers are asked: JSON over our own client, with failures that name the provider and quote no secret."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlencode

from quintet.errors import Failure, Kind
from quintet.identity.credentials import refused
from quintet.net import client
from quintet.net.client import NetError, Response

_MAX_BYTES = 1 << 20
_ERROR_WORD = re.compile(r"[a-z_]{1,64}")


def denied(provider: str, word: object) -> Failure:
    """`word` is OAuth2's (`access_denied`), if the provider said one."""
    known = word if isinstance(word, str) and _ERROR_WORD.fullmatch(word) else "error"
    return refused(f"The sign-in provider '{provider}' did not let you in: {known}", error=known)


class Fetch(Protocol):
    """`net.client.send`, as far as it is needed here."""

    async def __call__(
        self, method: str, url: str, /, *, headers: Mapping[str, str], body: bytes, timeout: float, max_bytes: int
    ) -> Response: ...


@dataclass(frozen=True, slots=True)
class Asking:
    """`secret` may be empty: PKCE alone then binds the code to us."""

    provider: str
    client_id: str
    secret: str = field(repr=False)
    fetch: Fetch = client.send

    async def get(self, url: str, token: str | None = None) -> Any:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        status, answer = await self._json("GET", url, headers)
        if status != 200:
            raise self.failure(f"answered {status}")
        return answer

    async def post(self, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> dict[str, Any]:
        """To a token endpoint. Some say no with a status, some only in the body."""
        status, answer = await self._json(
            "POST",
            url,
            {"content-type": "application/x-www-form-urlencoded", **headers},
            urlencode(form).encode(),
        )
        if not isinstance(answer, dict) or status >= 500:
            raise self.failure(f"answered {status}")
        if status != 200 or "error" in answer:
            raise denied(self.provider, answer.get("error"))
        return answer

    def failure(self, what: str) -> Failure:
        return Failure(Kind.UPSTREAM, f"The sign-in provider '{self.provider}' {what}")

    async def _json(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> tuple[int, Any]:
        headers = {"accept": "application/json", "user-agent": "quintet", **headers}
        try:
            answer = await self.fetch(method, url, headers=headers, body=body, timeout=10.0, max_bytes=_MAX_BYTES)
        except NetError as error:
            raise self.failure("could not be reached") from error
        try:
            return answer.status, json.loads(answer.body)
        except (ValueError, RecursionError):
            raise self.failure(f"answered {answer.status} without JSON") from None
