"""Personal data out of text, and nothing else."""

import time

import pytest

from quintet.telemetry.redaction import redact, redacted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("write to bob.smith+x@mail.example.co.uk, please", "write to [email], please"),
        ("ü@exämple.de", "[email]"),
        ("card 4111 1111 1111 1111, 378282246310005 and 5555-5555-5555-4444", "card [card], [card] and [card]"),
        ("ssn 123-45-6789 or 123 45 6789", "ssn [ssn] or [ssn]"),
        ("from 10.0.0.1:80 and 203.0.113.7.", "from [ip]:80 and [ip]."),
        ("2001:db8::1 ::1 ::ffff:10.1.2.3 fe80::a%eth0", "[ip] [ip] [ip] [ip]%eth0"),
        ("2001:0db8:85a3:0000:0000:8a2e:0370:7334", "[ip]"),
        ("+1 (555) 123-4567 or +15551234567", "[phone] or [phone]"),
        ("555-123-4567, (415) 555-2671, 415.555.2671, 4155552671", "[phone], [phone], [phone], [phone]"),
        ("+44 20 7946 0958, +49-30-1234567, 030 1234567", "[phone], [phone], [phone]"),
    ],
)
def test_takes_out(text: str, expected: str) -> None:
    assert redact(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1112",  # the check digit does not fit
        "0000 0000 0000 0000",
        "000-12-3456",
        "2026-11-29T11:46:42.123Z",
        "2026-11-29 11:46:42",
        "at 1795170600000 or 1795170600",
        "rec_01jabcd0123456789abcdefghi",
        "5ef4de7a-d49b-0e87-f6ef-6c87fc2e7001",
        "256.1.1.1, version 1.6, aa:bb:cc:dd:ee:ff, std::vector, ::",
        "12345678 tokens for 0.00123456 USD",
        "@decorator @@quintet mode=cheap",
        "arn:aws:lambda:us-east-1:000000000000:function:quintet-ask",
    ],
)
def test_leaves_alone(text: str) -> None:
    assert redact(text) == text


def test_reaches_every_text_of_a_value_but_what_is_kept() -> None:
    value = {"a": ["x@y.example", {"b": "10.0.0.1"}], "id": "555-123-4567", "n": 5551234567, "none": None}
    assert redacted(value, frozenset({"id"})) == {
        "a": ["[email]", {"b": "[ip]"}],
        "id": "555-123-4567",
        "n": 5551234567,
        "none": None,
    }


@pytest.mark.parametrize("piece", ["a", "1", "1 ", ":", "a.", "a@b.", "+1 ", "0:", "1-", "1."])
def test_takes_time_in_proportion_to_the_text(piece: str) -> None:
    text = piece * (300_000 // len(piece))
    began = time.perf_counter()
    redact(text)
    assert time.perf_counter() - began < 3
