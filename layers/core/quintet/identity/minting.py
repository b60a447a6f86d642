"""Tokens to order: a caller names a subject, and hands on what it may do itself."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from quintet.errors import Failure, Kind
from quintet.identity.model import PERSONAL, Principal, PrincipalKind, is_user_id, permissions_of
from quintet.identity.tokens import Claims


def minted(
    by: Principal, subject: str, lifetime: timedelta, now: datetime, scopes: Iterable[str] | None = None
) -> Claims:
    """Never more than `by` may do, nor for longer; `scopes` narrows it further.

    The token counts on the account of whoever ordered it, and stands and falls with the session or the secret that it
    was ordered with: many subjects are no way around a limit or a revocation. Nobody can order a token in the name of
    a user, nor hand on what rests on who they are.
    """
    if subject != by.id and is_user_id(subject):
        raise Failure(Kind.FORBIDDEN, "A token in the name of a user comes from logging in as that user")
    permissions = by.permissions if subject == by.id else by.permissions - PERSONAL
    if scopes is not None:
        permissions &= permissions_of((), scopes)
    return Claims(
        subject=subject,
        expires_at=min(now + lifetime, by.expires_at or now + lifetime),
        account=None if by.kind is PrincipalKind.ANONYMOUS else by.account,
        session_id=by.session_id,
        proof=by.proof,
        ordered_by=by.ordered_by if subject == by.id else by.answerable,
        scopes=tuple(sorted(permissions)),
    )
