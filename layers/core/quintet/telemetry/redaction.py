"""Personal data out of free text, before it leaves for logs and other telemetry. Pure, and linear in the text's length.

What is found becomes a word that says what it was: `[email]`, `[card]`, `[ssn]`, `[ip]`, `[phone]`. A card number is
taken for one only if its check digit fits. It is the last line of defence: prompts are not logged in the first place.
"""

import ipaddress
import re
from collections.abc import Mapping
from typing import Any

_EMAIL = re.compile(r"(?<![\w.%+-])[\w.%+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,63}")
_CARD = re.compile(r"(?<![\d.-])\d(?:[ -]?\d){12,18}(?![\d-])")
_SSN = re.compile(r"(?<![\w-])(?!000|666|9)\d{3}([- ])(?!00)\d{2}\1(?!0000)\d{4}(?![\w-])")
_IPV4 = re.compile(r"(?<![\w.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\w]|\.\d)")
_IPV6 = re.compile(r"(?<![\w:.])(?=[0-9A-Fa-f]*:[0-9A-Fa-f:]*:|::)[0-9A-Fa-f:]{2,39}(?:(?:\.\d{1,3}){3})?(?![\w:])")
_PHONE = re.compile(
    r"(?<![\w+.-])(?:"
    r"\+\d(?:[ ().-]{0,2}\d){6,14}"  # with its country
    r"|(?:1[ .-])?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}"  # as North America writes it
    r"|1?[2-9]\d{2}[2-9]\d{6}"
    r"|(?<!\d )0\d{2,4}[ /-]\d{3,4}[ -]?\d{3,5}(?! \d)"  # with the trunk's 0 of most other countries
    r")(?![\w-])"
)
_NO_TEXT = frozenset({bool, float, int, type(None)})
_WORTH_LOOKING = re.compile(r"@|\d.*\d.*\d|::", re.DOTALL)


def redact(text: str) -> str:
    if not _WORTH_LOOKING.search(text):
        return text
    text = _EMAIL.sub("[email]", text)
    text = _CARD.sub(lambda found: "[card]" if _is_card(found[0]) else found[0], text)
    text = _SSN.sub("[ssn]", text)
    text = _IPV6.sub(lambda found: "[ip]" if _is_address(found[0]) else found[0], text)
    text = _IPV4.sub("[ip]", text)
    return _PHONE.sub("[phone]", text)


def redacted(value: Any, keep: frozenset[str] = frozenset()) -> Any:
    """All text in a value of JSON; what stands under a name in `keep` stays as it is."""
    if isinstance(value, str):
        return redact(value)
    if type(value) in _NO_TEXT:
        return value
    if isinstance(value, Mapping):
        return {name: each if name in keep else redacted(each, keep) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(each, keep) for each in value]
    return value


def _is_card(text: str) -> bool:
    digits = [int(letter) for letter in text if letter.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return len(set(digits)) > 1 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _is_address(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return text != "::"
