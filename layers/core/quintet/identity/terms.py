"""How long what we hand out lives, and how often one may err: the one place that reads it."""

from dataclasses import dataclass
from datetime import timedelta

from quintet.configuration.live import said, system
from quintet.identity.limits import Limit
from quintet.settings import settings


@dataclass(frozen=True, slots=True)
class Terms:
    """`logins` counts passwords per name: its window begins anew with every wrong one, so it is also the lock."""

    access: timedelta  # an access token
    session: timedelta  # a login, however often it is refreshed
    idle: timedelta  # a login that nobody uses ends after so long
    longest: timedelta  # a token that a caller orders
    logins: Limit
    new_roles: tuple[str, ...]  # of a user who comes from an OAuth2 provider for the first time


async def terms() -> Terms:
    """What an operator has configured goes before the settings. Without its word a token lives an hour, not a day."""
    given, security = settings(), (await system())["security"]
    hours = await said("security", "jwt_expiration_hours")
    return Terms(
        access=timedelta(minutes=given.jwt_expiry_minutes) if hours is None else timedelta(hours=hours),
        session=timedelta(days=given.session_days),
        idle=timedelta(minutes=security["session_timeout_minutes"]),
        longest=timedelta(minutes=given.jwt_longest_expiry_minutes),
        logins=Limit("login", security["max_login_attempts"], given.login_lock_minutes * 60, renewed=True),
        new_roles=(given.oauth_new_user_role,),
    )
