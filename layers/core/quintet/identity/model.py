"""The nouns: who calls, by what right, and what the tables keep of it."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from quintet.errors import Failure, Kind

# What there is to permit: the roles that have it (admin has everything), and the scope word that stands for it
# among others. A permission's own name is a scope too.
_TABLE = (
    ("create_task", "developer reviewer", "tasks"),
    ("read_tasks", "developer reviewer viewer", "tasks"),
    ("update_task", "developer reviewer", "tasks"),
    ("cancel_task", "developer reviewer", "tasks"),
    ("submit_agent", "developer reviewer", "agents"),
    ("read_agents", "developer reviewer viewer", "agents"),
    ("configure_agents", "developer reviewer", "agents"),
    ("select_model", "developer reviewer", "models"),
    ("read_models", "developer reviewer viewer", "models"),
    ("call_models", "developer reviewer", "models"),
    ("request_escalation", "developer reviewer", "escalations"),
    ("read_escalations", "developer reviewer viewer", "escalations"),
    ("approve_escalation", "reviewer", "approvals"),
    ("review_code", "reviewer", "reviews"),
    ("read_monitoring", "developer reviewer viewer", "monitoring"),
    ("manage_alerts", "reviewer", "alerts"),
    ("read_configuration", "developer reviewer viewer", "configuration"),
    ("update_configuration", "", "configuration"),
    ("read_webhooks", "developer reviewer viewer", "webhooks"),
    ("manage_webhooks", "developer reviewer", "webhooks"),
    ("infer", "developer reviewer", "policy"),
    ("use_personas", "developer reviewer", "personas"),
    ("admin", "", "admin"),
)

PERMISSIONS = frozenset(permission for permission, _, _ in _TABLE)
ROLES = {
    "admin": PERMISSIONS,
    **{
        role: frozenset(permission for permission, roles, _ in _TABLE if role in roles.split())
        for role in ("developer", "reviewer", "viewer")
    },
    "service": frozenset[str](),  # nothing but its scopes
}
SCOPES = {
    **{
        word: frozenset(permission for permission, _, its_word in _TABLE if its_word == word)
        for word in {word for _, _, word in _TABLE}
    },
    **{permission: frozenset({permission}) for permission in PERMISSIONS},
}

# A token that names its subject and says no more may step and ask: cyborgmind.md's tokens are like that.
BARE = frozenset({"infer", "call_models"})
# Where the owner has opened the stack, a caller without a name may look, step, ask and talk.
OPEN = ROLES["viewer"] | BARE | {"use_personas"}
# These rest on who somebody is: they cannot be handed on to another name, or a requester could approve as another.
PERSONAL = frozenset({"admin", "approve_escalation"})

TOKEN_LEEWAY = timedelta(seconds=30)  # who signs tokens has a clock of their own

_USER_ID = re.compile(r"user_[0-9a-z]{26}")


def permissions_of(roles: Iterable[str], scopes: Iterable[str]) -> frozenset[str]:
    """A word without a meaning grants nothing: a token may be older or newer than the table."""
    granted = [ROLES.get(role, frozenset()) for role in roles]
    granted += [SCOPES.get(scope, frozenset()) for scope in scopes]
    return frozenset[str]().union(*granted)


def is_user_id(text: str) -> bool:
    return _USER_ID.fullmatch(text) is not None


class PrincipalKind(StrEnum):
    USER = "user"
    SERVICE = "service"
    STATIC = "static"
    ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Principal:
    """`account` names the item that counts what this caller does; several credentials may share one.

    `rev` is the account's revision that this knowledge belongs to: None when no record stands behind the credential.
    `ordered_by` is who had a token made that bears another name than their own. `proof` is the digest of the API key's
    secret that was shown, or that the token was ordered with.
    """

    id: str
    kind: PrincipalKind
    account: str
    permissions: frozenset[str]
    roles: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    key_id: str | None = None
    session_id: str | None = None
    name: str | None = None
    email: str | None = None
    expires_at: datetime | None = None
    rev: int | None = None
    ordered_by: str | None = None
    proof: str | None = None

    @property
    def owner(self) -> str:
        """Whose private things it may reach: a name that others chose for it opens nothing of who really has it."""
        return self.id if self.ordered_by is None else f"ordered#{self.ordered_by}#{self.id}"

    @property
    def answerable(self) -> str:
        """Whose budgets it draws on: another name for a token is no way around one's own, nor into another's."""
        return self.ordered_by or self.id

    def under(self, by: "Principal") -> "Principal":
        """A token that `by` ordered: it grants no more than `by` may do now, and for no longer."""
        ends = [each for each in (self.expires_at, by.expires_at) if each is not None]
        return replace(
            self,
            permissions=self.permissions & by.permissions,
            expires_at=min(ends, default=None),
            rev=by.rev,
            session_id=by.session_id,
            proof=by.proof,
        )

    def may(self, permission: str) -> bool:
        return permission in self.permissions

    def holds_at(self, now: datetime) -> bool:
        if self.expires_at is None:
            return True
        return now < self.expires_at + (timedelta() if self.key_id else TOKEN_LEEWAY)

    def need(self, permission: str) -> None:
        if not self.may(permission):
            raise Failure(
                Kind.FORBIDDEN, f"This needs the permission '{permission}'", details={"permission": permission}
            )


def anonymous(account: str) -> Principal:
    return Principal("anonymous", PrincipalKind.ANONYMOUS, account, OPEN)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One secret of a key: after a rotation the key has two, told apart by digest, until the older one expires.

    `hint` is the secret's end, for people who hold several. `rev` counts the changes to the key.
    """

    id: str
    digest: str
    hint: str
    name: str
    owner: str
    created_at: datetime
    roles: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    rev: int = 0

    @property
    def account(self) -> str:
        return f"key#{self.id}"

    def principal(self) -> Principal:
        return Principal(
            id=self.owner,
            kind=PrincipalKind.SERVICE,
            account=self.account,
            permissions=permissions_of(self.roles, self.scopes),
            roles=self.roles,
            scopes=self.scopes,
            key_id=self.id,
            name=self.name,
            expires_at=self.expires_at,
            rev=self.rev,
            proof=self.digest,
        )


@dataclass(frozen=True, slots=True)
class User:
    """`links` are identities at OAuth2 providers, as `link_of` writes them.

    Sessions that began before `sessions_from` are over. `rev` counts the changes that a session must notice.
    """

    id: str
    email: str | None
    created_at: datetime
    name: str | None = None
    username: str | None = None
    roles: tuple[str, ...] = ()
    password_hash: str | None = field(default=None, repr=False)
    disabled: bool = False
    last_login: datetime | None = None
    sessions_from: datetime | None = None
    links: tuple[str, ...] = ()
    rev: int = 0

    @property
    def account(self) -> str:
        return account_of(self.id)

    @property
    def permissions(self) -> frozenset[str]:
        return permissions_of(self.roles, ())

    @property
    def names(self) -> frozenset[str]:
        """What no other user may have. Only a password makes an address a name: a provider's word for it does not."""
        logins = (self.email, self.username) if self.password_hash else ()
        return frozenset([*(login_of(name) for name in logins if name), *self.links])

    def principal(self, session: "Session") -> Principal:
        return Principal(
            id=self.id,
            kind=PrincipalKind.USER,
            account=self.account,
            permissions=self.permissions,
            roles=self.roles,
            session_id=session.id,
            name=self.name,
            email=self.email,
            rev=self.rev,
        )


class Taken(Exception):  # noqa: N818 - an outcome
    """A name belongs to another user already."""


def account_of(subject: str) -> str:
    return f"user#{subject}"


def login_of(name: str) -> str:
    """One spelling for what people type in many."""
    return "login#" + unicodedata.normalize("NFKC", name).strip().casefold()


def link_of(issuer: str, subject: str) -> str:
    """An identity is its issuer and the issuer's own name for it; an e-mail address is neither."""
    return "link#" + hashlib.sha256(f"{issuer}\n{subject}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Session:
    """A login and all that was refreshed from it: one family of tokens. `token_id` is its newest refresh token's."""

    id: str
    user_id: str
    token_id: str
    began_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None
    used_at: datetime | None = None  # when it was refreshed last

    def holds_for(self, user: User, now: datetime) -> bool:
        return (
            self.user_id == user.id
            and not user.disabled
            and self.ended_at is None
            and now < self.expires_at
            and (user.sessions_from is None or self.began_at >= user.sessions_from)
        )
