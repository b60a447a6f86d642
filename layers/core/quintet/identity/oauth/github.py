"""GitHub: OAuth2 without OpenID Connect, so that a user endpoint tells who somebody is."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from quintet.identity.oauth.calls import Asking
from quintet.identity.oauth.model import Identity


@dataclass(frozen=True, slots=True)
class GitHub:
    ask: Asking
    url: str = "https://github.com"
    api_url: str = "https://api.github.com"

    async def authorization_url(self, redirect_uri: str, *, state: str, nonce: str, challenge: str) -> str:  # noqa: ARG002
        query = {
            "client_id": self.ask.client_id,
            "redirect_uri": redirect_uri,
            "scope": "read:user user:email",
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{self.url}/login/oauth/authorize?{urlencode(query)}"

    async def identity(self, code: str, redirect_uri: str, *, nonce: str, verifier: str) -> Identity:  # noqa: ARG002
        form = {
            "client_id": self.ask.client_id,
            "client_secret": self.ask.secret,
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        token = (await self.ask.post(f"{self.url}/login/oauth/access_token", form, {})).get("access_token")
        if not isinstance(token, str):
            raise self.ask.failure("answered without a token")
        user = await self.ask.get(f"{self.api_url}/user", token)
        if not isinstance(user, dict) or not isinstance(user.get("id"), int):
            raise self.ask.failure("answered without a user")
        emails = await self.ask.get(f"{self.api_url}/user/emails", token)
        # A login can change hands; the number stays with the account.
        return Identity(self.url, str(user["id"]), _primary(emails), user.get("name") or user.get("login"))


def _primary(emails: Any) -> str | None:
    """Anybody may enter any address: only a verified one is theirs."""
    given = [each for each in emails if isinstance(each, dict)] if isinstance(emails, list) else []
    return next((each["email"] for each in given if each.get("primary") and each.get("verified")), None)
