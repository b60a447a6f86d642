"""Somebody to be and models to call, for a stack that has neither: an administrator, keys for every role, models."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import botocore.session
from botocore.exceptions import ClientError

from quintet.gateway.catalogue import seeding
from quintet.identity.keys import Keys
from quintet.identity.model import User, login_of
from quintet.identity.passwords import Passwords, generated
from quintet.identity.store import keys as key_table
from quintet.identity.store import users as user_table
from quintet.identity.users import Users
from quintet.settings import settings
from quintet.store.clock import SystemClock

ADMIN = "admin"
_ACTOR = "seed"
# What a key is printed as, and the role that it has.
_KEYS = {"API_KEY": "admin", "RYUZEN_KEY": "developer", "REVIEWER_KEY": "reviewer", "VIEWER_KEY": "viewer"}


def seed(environment: Mapping[str, str]) -> dict[str, str]:
    """What a developer needs to call this stack. The process must have `environment` as its own.

    Seeding again answers the same: the tables keep digests, so the words themselves lie in a secret beside them.
    """
    seeding.fill()
    kept = Kept(settings().table("seed"), environment.get("AWS_REGION", settings().aws_region))
    credentials = kept.read()
    if credentials is None:
        credentials = _credentials(SystemClock().now())
        kept.write(credentials)
    return {**credentials, "STATIC_TOKEN": settings().static_token}


class Kept:
    """A secret with its words as JSON."""

    def __init__(self, name: str, region: str) -> None:
        self._name = name
        self._client: Any = botocore.session.get_session().create_client("secretsmanager", region_name=region)

    def read(self) -> dict[str, str] | None:
        try:
            kept: dict[str, str] = json.loads(self._client.get_secret_value(SecretId=self._name)["SecretString"])
        except ClientError as error:
            if error.response["Error"]["Code"] == "ResourceNotFoundException":
                return None
            raise
        return kept

    def write(self, words: Mapping[str, str]) -> None:
        self._client.create_secret(Name=self._name, SecretString=json.dumps(words))


def _credentials(now: datetime) -> dict[str, str]:
    keys = Keys(key_table, settings().stage)
    users = Users(user_table, keys, Passwords())
    password = generated()
    admin = _admin(users, password, now)
    issued = {
        name: keys.issue(
            f"demo {role}", admin.id if role == "admin" else f"demo-{role}", roles=[role], actor=_ACTOR, now=now
        )
        for name, role in _KEYS.items()
    }
    return {
        **{name: each.secret for name, each in issued.items()},
        "ADMIN_USER": ADMIN,
        "ADMIN_PASSWORD": password,
    }


def _admin(users: Users, password: str, now: datetime) -> User:
    """Whoever stopped halfway left the user behind, and nobody knows the password."""
    known = user_table.by_name(login_of(ADMIN))
    if known is not None:
        return users.set_password(known.id, password, actor=_ACTOR, now=now)
    return users.create(
        "admin@example.com", password, username=ADMIN, name="Demo Admin", roles=["admin"], actor=_ACTOR, now=now
    )
