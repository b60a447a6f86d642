"""JSON Web Tokens: what we sign, and what we believe of one that comes in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import jwt

from quintet.errors import Failure, Kind
from quintet.identity.credentials import TOKEN_EXPIRED, refused
from quintet.identity.model import BARE, TOKEN_LEEWAY, Principal, PrincipalKind, account_of, permissions_of
from quintet.settings import settings
from quintet.store.clock import epoch
from quintet.store.ids import new_id
from quintet.store.secrets import secret

DISABLED = "JWT authentication is not enabled. Set api.jwt_enabled=true in config."
_INVALID = "Invalid authentication token"
_WRONG = {"iss": "Invalid token issuer", "aud": "Invalid token audience"}
_REQUIRED = ("exp", "iat", "iss", "aud", "sub")
_GRANTS = ("scopes", "scope", "permissions")
_ROLES = ("roles", "role")
_SHORTEST_SECRET = 32  # bytes
_LONGEST_SUBJECT = 255
_LATEST = 253_402_300_799  # the end of the year 9999, where datetime ends too


class Use(StrEnum):
    ACCESS = "access"
    REFRESH = "refresh"


@dataclass(frozen=True, slots=True)
class Claims:
    """`bare` says that the token names its subject and nothing that it may do. `account` is who answers for it.

    `ordered_by` is its `act` claim (RFC 8693): who had it made in the subject's name. `session_id` and `proof` are the
    session, or the digest of the key's secret, that it stands and falls with.
    """

    subject: str
    expires_at: datetime
    use: Use = Use.ACCESS
    token_id: str | None = None
    session_id: str | None = None
    account: str | None = None
    roles: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    bare: bool = False
    ordered_by: str | None = None
    proof: str | None = None

    @property
    def user_id(self) -> str:
        """Whose session it is: a token that was ordered may bear another name."""
        return self.subject if self.account is None else self.account.partition("#")[2]

    def principal(self) -> Principal:
        """As far as the token itself says."""
        return Principal(
            id=self.subject,
            kind=PrincipalKind.SERVICE,
            account=self.account or account_of(self.subject),
            permissions=BARE if self.bare else permissions_of(self.roles, self.scopes),
            roles=self.roles,
            scopes=self.scopes,
            expires_at=self.expires_at,
            ordered_by=self.ordered_by,
        )


@dataclass(frozen=True, slots=True)
class Keyring:
    """The one algorithm and issuer that this stack signs with and believes."""

    algorithm: str
    issuer: str
    audience: str
    signing: Any = field(repr=False)
    verifying: Any = field(repr=False)

    def sign(self, claims: Claims, now: datetime) -> str:
        body: dict[str, Any] = {
            "sub": claims.subject,
            "iat": epoch(now),
            "exp": epoch(claims.expires_at),
            "iss": self.issuer,
            "aud": self.audience,
            "jti": claims.token_id or new_id("tok", now),
            "token_use": claims.use.value,
        }
        if claims.session_id:
            body["sid"] = claims.session_id
        if claims.account:
            body["account"] = claims.account
        if claims.proof:
            body["proof"] = claims.proof
        if claims.ordered_by:
            body["act"] = {"sub": claims.ordered_by}
        if claims.use is Use.ACCESS:
            body |= {"roles": claims.roles, "scopes": claims.scopes}
        return jwt.encode(body, self.signing, algorithm=self.algorithm)

    def read(self, token: str, use: Use = Use.ACCESS) -> Claims:
        """Raises Failure with cyborgmind.md's words."""
        try:
            body = jwt.decode(
                token,
                self.verifying,
                algorithms=[self.algorithm],
                issuer=self.issuer,
                audience=self.audience,
                leeway=TOKEN_LEEWAY,
                options={"require": list(_REQUIRED)},
            )
        except jwt.ExpiredSignatureError:
            raise refused(TOKEN_EXPIRED) from None
        except jwt.InvalidIssuerError:
            raise refused(_WRONG["iss"]) from None
        except jwt.InvalidAudienceError:
            raise refused(_WRONG["aud"]) from None
        except jwt.MissingRequiredClaimError as error:
            raise refused(_WRONG.get(error.claim, _INVALID)) from None
        except jwt.PyJWTError:
            raise refused(_INVALID) from None
        if not 0 < len(body["sub"]) <= _LONGEST_SUBJECT or body.get("token_use", Use.ACCESS) != use:
            raise refused(_INVALID)
        return _claims(body, use)


def keyring() -> Keyring:
    """Reads the secret: may block. Raises Failure when this stack has no tokens."""
    given = settings()
    if not given.jwt_enabled:
        raise Failure(Kind.UNSUPPORTED, DISABLED)
    if given.jwt_algorithm not in {"HS256", "RS256"}:
        raise ValueError("setting JWT_ALGORITHM must be HS256 or RS256")
    private = secret("jwt_secret").replace("\\n", "\n")  # a PEM often reaches the environment on one line
    if given.jwt_algorithm == "HS256":
        if len(private.encode()) < _SHORTEST_SECRET:
            raise ValueError(f"setting JWT_SECRET is missing or shorter than {_SHORTEST_SECRET} bytes")
        public = private
    else:
        public = given.jwt_public_key.replace("\\n", "\n")
    algorithm = jwt.get_algorithm_by_name(given.jwt_algorithm)
    return Keyring(
        given.jwt_algorithm,
        given.jwt_issuer,
        given.jwt_audience,
        signing=algorithm.prepare_key(private),
        verifying=algorithm.prepare_key(public),
    )


def _claims(body: Mapping[str, Any], use: Use) -> Claims:
    return Claims(
        subject=body["sub"],
        expires_at=datetime.fromtimestamp(min(int(body["exp"]), _LATEST), UTC),
        use=use,
        token_id=body.get("jti"),
        session_id=_text(body, "sid"),
        account=_text(body, "account"),
        roles=_words(body, _ROLES),
        scopes=_words(body, _GRANTS),
        bare=not any(name in body for name in (*_ROLES, *_GRANTS)),
        ordered_by=_text(body["act"], "sub") if isinstance(body.get("act"), dict) else None,
        proof=_text(body, "proof"),
    )


def _text(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    return value if isinstance(value, str) else None


def _words(body: Mapping[str, Any], names: tuple[str, ...]) -> tuple[str, ...]:
    """A list of words, or OAuth2's one text with spaces between them."""
    words: list[str] = []
    for name in names:
        value = body.get(name, ())
        given = value.split() if isinstance(value, str) else value if isinstance(value, list) else ()
        words += [word for word in given if isinstance(word, str)]
    return tuple(words)
