"""Moments that callers name: with an offset, and within the years that there are once that offset is taken off."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime


def in_utc(moment: datetime) -> datetime:
    """Raises ValueError: what has no place in UTC could be written, and never read again."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("Must lie within the years 1 to 9999 in UTC") from None


Moment = Annotated[AwareDatetime, AfterValidator(in_utc)]
