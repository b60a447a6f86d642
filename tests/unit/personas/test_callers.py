"""What callers are called."""

from typing import Any

import pytest

from quintet.personas.callers import anonymous_name, call_in, name_of, phone_in, phone_of


@pytest.mark.parametrize(
    ("told", "phone"),
    [
        ("+14155551234", "+14155551234"),
        ("+1 (415) 555-1234", "+14155551234"),
        ("sip:ada@example.test", "sip:ada@example.test"),
        ("a b", ""),
        ("", ""),
        (None, ""),
        (3, ""),
        ("x" * 200, ""),
        ("+1\n2", ""),
    ],
)
def test_a_phone_number_is_its_digits(told: Any, phone: str) -> None:
    assert phone_of(told) == phone


def test_vapi_tells_of_the_caller_in_several_places() -> None:
    assert phone_in({"customer": {"number": "+1415"}}) == "+1415"
    assert phone_in({"call": {"customer": {"number": "+1415"}}}) == "+1415"
    assert phone_in({"call": {"from": "+1415"}, "customer": "x"}) == "+1415"
    assert phone_in({"call": 3}) == ""
    assert (call_in({"call": {"id": "c"}}), call_in({"call": {"callId": "c"}}), call_in({"call": []})) == ("c", "c", "")


def test_nobody_is_taken_for_somebody_else() -> None:
    assert len({anonymous_name() for _ in range(1000)}) == 1000
    assert name_of(" req-1 ") == "req-1"
    assert name_of("grüße") == ""
