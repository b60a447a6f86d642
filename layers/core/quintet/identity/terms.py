"""How long what we hand out lives, and how often one may err: the one place that reads it."""

from dataclasses import dataclass
from datetime import timedelta

from quintet.identity.limits import Limit
from quintet.settings import settings


@dataclass(frozen=True, slots=True)
class Terms:
    """`logins` counts passwords per name: its window begins anew with every wrong one, so it is also the lock."""

    access: timedelta  # an access token
    session: timedelta  # a login, however often it is refreshed
    longest: timedelta  # a token that a caller orders
    logins: Limit
    new_roles: tuple[str, ...]  # of a user who comes from an OAuth2 provider for the first time


def terms() -> Terms:
    given = settings()
    return Terms(
        access=timedelta(minutes=given.jwt_expiry_minutes),
        session=timedelta(days=given.session_days),
        longest=timedelta(minutes=given.jwt_longest_expiry_minutes),
        logins=Limit("login", given.max_login_attempts, given.login_lock_minutes * 60, renewed=True),
        new_roles=(given.oauth_new_user_role,),
    )
