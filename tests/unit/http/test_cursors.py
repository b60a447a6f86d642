"""A cursor says where a list goes on, and says it in a URL."""

import re

import pytest

from quintet.errors import Failure, Kind
from quintet.http.cursors import cursor_of, place_of


@pytest.mark.parametrize("place", ["task_1", "0|000000000000001#task_1", "caller?&%/+ü\u2603", "~" * 3])
def test_a_place_is_found_again_by_a_cursor_that_any_url_can_hold(place: str) -> None:
    cursor = cursor_of(place)
    assert re.fullmatch(r"[\w-]+", cursor or "", re.ASCII)
    assert place_of(cursor) == place


@pytest.mark.parametrize("cursor", ["a", "task_1", "YQ==", "YR", "_w", "Y Q", "ü"])
def test_what_nobody_gave_is_refused(cursor: str) -> None:
    with pytest.raises(Failure) as refused:
        place_of(cursor)
    assert refused.value.kind is Kind.INVALID


def test_the_first_page_has_no_cursor_and_the_last_leads_nowhere() -> None:
    assert (cursor_of(None), place_of(None), place_of("")) == (None, None, None)
