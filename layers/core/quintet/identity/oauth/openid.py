"""OpenID Connect: the provider's own document says where to go, and an id_token signed with its keys says who came."""

import re
from base64 import b64encode
from collections.abc import Mapping
from hmac import compare_digest
from typing import Any, ClassVar
from urllib.parse import quote, urlencode, urlsplit

import jwt

from quintet.errors import Failure
from quintet.identity.credentials import refused
from quintet.identity.model import TOKEN_LEEWAY
from quintet.identity.oauth.calls import Asking
from quintet.identity.oauth.model import Identity
from quintet.identity.recent import Recent

_REQUIRED = ["exp", "iat", "iss", "aud", "sub"]
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_LONGEST_SUBJECT = 255
_KEEP_SECONDS = 600.0
_LOOK_AGAIN_SECONDS = 10.0  # for keys that we do not know: providers change theirs
_TENANT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class OpenId:
    """`algorithms` is ours to say: whatever a token claims of itself, it is checked with one of these, or refused."""

    algorithms: ClassVar[tuple[str, ...]] = ("RS256", "ES256")

    def __init__(self, ask: Asking, issuer: str, *, insecure: bool = False) -> None:
        """`insecure` allows http: for a provider on the same machine."""
        self._ask = ask
        self._issuer = issuer
        self._schemes = {"https", "http"} if insecure else {"https"}
        self._documents: Recent[None, Mapping[str, Any]] = Recent(1, _KEEP_SECONDS)
        self._key_sets: Recent[None, list[Any]] = Recent(1, _KEEP_SECONDS)
        self._looked: Recent[None, bool] = Recent(1, _LOOK_AGAIN_SECONDS)

    async def authorization_url(self, redirect_uri: str, *, state: str, nonce: str, challenge: str) -> str:
        endpoint = (await self._document())["authorization_endpoint"]
        query = {
            "response_type": "code",
            "client_id": self._ask.client_id,
            "redirect_uri": redirect_uri,
            "scope": "openid email profile",
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(query)}"

    async def identity(self, code: str, redirect_uri: str, *, nonce: str, verifier: str) -> Identity:
        document = await self._document()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        named, headers = self._named(document)
        tokens = await self._ask.post(document["token_endpoint"], {**form, **named}, headers)
        claims = await self._claims(tokens.get("id_token"), document)
        its_nonce = claims.get("nonce")
        if not isinstance(its_nonce, str) or not compare_digest(its_nonce.encode(), nonce.encode()):
            raise self._refusal("it was not made for this sign-in")
        verified = claims.get("email_verified", True) in (True, "true")
        return Identity(
            claims["iss"], claims["sub"], _text(claims, "email") if verified else None, _text(claims, "name")
        )

    def _is_whom_we_asked(self, document: Mapping[str, Any]) -> bool:
        return bool(document["issuer"] == self._issuer)

    def _issuer_of(self, document: Mapping[str, Any], _claims: Mapping[str, Any]) -> str:
        """What `iss` must be."""
        issuer: str = document["issuer"]
        return issuer

    async def _document(self) -> Mapping[str, Any]:
        document = self._documents.get(None)
        if document is None:
            document = await self._ask.get(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
            self._check(document)
            self._documents.put(None, document)
        return document

    def _check(self, document: Any) -> None:
        if not isinstance(document, dict) or not all(_text(document, name) for name in ("issuer", *_ENDPOINTS)):
            raise self._ask.failure("does not say where its endpoints are")
        if not self._is_whom_we_asked(document):
            raise self._ask.failure("names another issuer than the one it was asked for")
        if any(urlsplit(document[name]).scheme not in self._schemes for name in _ENDPOINTS):
            raise self._ask.failure("has an endpoint without TLS")

    def _named(self, document: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
        """Who we are, in the form or in a header, as the provider likes it."""
        ask = self._ask
        if not ask.secret or "client_secret_post" in document.get("token_endpoint_auth_methods_supported", ()):
            return {"client_id": ask.client_id, **({"client_secret": ask.secret} if ask.secret else {})}, {}
        pair = f"{quote(ask.client_id, safe='')}:{quote(ask.secret, safe='')}"
        return {}, {"authorization": f"Basic {b64encode(pair.encode()).decode()}"}

    async def _claims(self, token: object, document: Mapping[str, Any]) -> dict[str, Any]:
        if not isinstance(token, str):
            raise self._refusal("there was none")
        try:
            key = await self._key(jwt.get_unverified_header(token), document)
            claims = jwt.decode(
                token,
                key,
                algorithms=self.algorithms,
                audience=self._ask.client_id,
                leeway=TOKEN_LEEWAY,
                options={"require": _REQUIRED},
            )
        except jwt.ExpiredSignatureError:
            raise self._refusal("it has expired") from None
        except (jwt.InvalidAudienceError, jwt.MissingRequiredClaimError) as error:
            missing = f"'{error.claim}' is missing" if isinstance(error, jwt.MissingRequiredClaimError) else None
            raise self._refusal(missing or "it was made for somebody else") from None
        except jwt.PyJWTError:
            raise self._refusal("it is not signed as it should be") from None
        if claims["iss"] != self._issuer_of(document, claims):
            raise self._refusal("it comes from another issuer")
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if several else self._ask.client_id) != self._ask.client_id:
            raise self._refusal("it was made for somebody else")
        if not 0 < len(claims["sub"]) <= _LONGEST_SUBJECT:
            raise self._refusal("it names nobody")
        return claims

    async def _key(self, header: Mapping[str, Any], document: Mapping[str, Any]) -> jwt.PyJWK:
        """Raises a PyJWTError when there is no such key, or it is not one for an algorithm of ours."""
        algorithm, name = header.get("alg"), header.get("kid")
        if algorithm not in self.algorithms:
            raise jwt.InvalidAlgorithmError("not an algorithm of ours")
        found = _named_key(await self._keys(document), name)
        if found is None and self._looked.get(None) is None:
            self._looked.put(None, True)
            self._key_sets.forget(None)
            found = _named_key(await self._keys(document), name)
        if found is None:
            raise jwt.InvalidKeyError("no such key")
        return jwt.PyJWK(found, algorithm=algorithm)

    async def _keys(self, document: Mapping[str, Any]) -> list[Any]:
        keys = self._key_sets.get(None)
        if keys is None:
            answer = await self._ask.get(document["jwks_uri"])
            given = answer.get("keys") if isinstance(answer, dict) else None
            if not isinstance(given, list):
                raise self._ask.failure("answered without keys")
            keys = [key for key in given if isinstance(key, dict) and key.get("use", "sig") == "sig"]
            self._key_sets.put(None, keys)
        return keys

    def _refusal(self, why: str) -> Failure:
        return refused(f"The id_token of '{self._ask.provider}' does not count: {why}", error="invalid_id_token")


class Microsoft(OpenId):
    """Its issuer has a tenant in it: for `common` and its like, that of whoever signs in."""

    algorithms: ClassVar[tuple[str, ...]] = ("RS256",)

    def __init__(
        self,
        ask: Asking,
        tenant: str,
        allowed_tenants: frozenset[str],
        *,
        authority: str = "https://login.microsoftonline.com",
        insecure: bool = False,
    ) -> None:
        super().__init__(ask, f"{authority}/{tenant}/v2.0", insecure=insecure)
        self._authority = authority
        self._allowed_tenants = allowed_tenants

    def _is_whom_we_asked(self, document: Mapping[str, Any]) -> bool:
        issuer: str = document["issuer"]
        return issuer.startswith(f"{self._authority}/")

    def _issuer_of(self, document: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
        tenant = claims.get("tid")
        if not isinstance(tenant, str) or not _TENANT.fullmatch(tenant):
            raise self._refusal("it names no tenant")
        if self._allowed_tenants and tenant not in self._allowed_tenants:
            raise self._refusal("its tenant is not among those that may come in")
        issuer: str = document["issuer"]
        return issuer.replace("{tenantid}", tenant)


def _named_key(keys: list[Any], name: object) -> dict[str, Any] | None:
    """A token may leave its key unnamed where there is only one."""
    matching: list[dict[str, Any]] = [key for key in keys if name is None or key.get("kid") == name]
    return matching[0] if len(matching) == 1 else None


def _text(values: Mapping[str, Any], name: str) -> str | None:
    value = values.get(name)
    return value if isinstance(value, str) else None
