"""Moments that callers name: whatever is let in can be written, read again, and shown."""

from datetime import UTC, datetime

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

import admin.keys
import tasks.bodies
import webhooks.deliveries
from quintet.http.moments import Moment
from quintet.store.clock import from_millis, iso, millis

NOWHERE = "9999-12-31T23:59:59-23:59"
MOMENT: TypeAdapter[datetime] = TypeAdapter(Moment)


@pytest.mark.parametrize("text", [NOWHERE, "0001-01-01T00:00:00+23:59"])
def test_a_moment_that_has_no_place_in_utc_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="Must lie within the years 1 to 9999"):
        MOMENT.validate_python(text)


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59.999Z", "0001-01-01T00:00:00Z", "2026-11-29T01:00:00.250+02:00"])
def test_every_other_comes_back_from_a_table_as_it_was(text: str) -> None:
    moment = MOMENT.validate_python(text)
    again = from_millis(millis(moment))
    assert again == moment
    assert datetime.fromisoformat(iso(again)) == moment


def test_a_moment_without_an_offset_is_refused() -> None:
    with pytest.raises(ValidationError):
        MOMENT.validate_python("2026-11-29T01:00:00")


def test_moments_are_shown_in_utc_with_milliseconds_only_where_there_are_any() -> None:
    assert iso(datetime(999, 1, 2, 3, 4, 5, 999, tzinfo=UTC)) == "0999-01-02T03:04:05Z"
    assert iso(MOMENT.validate_python("2026-11-29T01:00:00.250+02:00")) == "2026-11-28T23:00:00.250Z"


@pytest.mark.parametrize(
    ("body", "given"),
    [
        (admin.keys.Order, {"name": "a", "expires_at": NOWHERE}),
        (tasks.bodies.NewTask, {"title": "a", "deadline": NOWHERE}),
        (tasks.bodies.TaskChange, {"deadline": NOWHERE}),
        (webhooks.deliveries.Range, {"since": NOWHERE}),
        (webhooks.deliveries.Range, {"since": "2026-11-29T00:00:00Z", "until": NOWHERE}),
    ],
)
def test_no_body_lets_in_a_moment_that_would_break_every_list_it_is_on(
    body: type[BaseModel], given: dict[str, str]
) -> None:
    with pytest.raises(ValidationError, match="Must lie within the years 1 to 9999"):
        body.model_validate(given)
