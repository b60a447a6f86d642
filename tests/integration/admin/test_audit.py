"""The audit: who did what, and that nobody can change it unseen."""

import secrets
from collections.abc import Callable
from datetime import timedelta

import pytest

from quintet.events import store as log
from quintet.events.model import AUDIT, Event, digest
from quintet.store.clock import SystemClock
from tests.integration.admin.conftest import Admin


def numbered() -> None:
    """What the fanout function does: here no stream tells it."""
    soon = SystemClock().now() + timedelta(minutes=1)
    for shard in range(log.OUTBOX_SHARDS):
        while waiting := log.waiting(shard, soon):
            log.number(waiting)


def item(seq: int) -> log.EventItem:
    (found,) = log.EventItem.query(f"log#{AUDIT}#{seq // 1000}", log.EventItem.sk == f"{seq:016d}")
    return found


@pytest.fixture
def entries(admin: Admin) -> int:
    """Some entries more; the number of the last one. What others have told before is numbered before."""
    numbered()
    for _ in range(5):
        admin("POST", "/keys", {"name": f"ci-{secrets.token_hex(2)}"}, 201)
    numbered()
    return log.head(AUDIT).seq


def test_it_names_who_did_what_newest_first(admin: Admin, entries: int) -> None:
    page = admin("GET", "/audit?limit=2")
    assert [each["seq"] for each in page["audit"]] == [entries, entries - 1]
    newest = page["audit"][0]
    assert (newest["actor"], newest["action"]) == (admin.name, "key.created")
    assert page["audit"][1]["hash"] == newest["previous_hash"]
    second = admin("GET", f"/audit?limit=2&cursor={page['next_cursor']}")
    assert [each["seq"] for each in second["audit"]] == [entries - 2, entries - 3]
    assert admin("GET", "/audit?limit=1&offset=3")["audit"][0]["seq"] == entries - 3
    assert len(admin("GET", "/audit?limit=500")["audit"]) == min(entries, 500)


def test_it_holds_as_it_was_written(admin: Admin, entries: int) -> None:
    verdict = admin("GET", "/audit/verify")
    assert verdict == {"valid": True, "verified_up_to": entries, "head": entries, "broken": None, "next": None}
    assert admin("GET", f"/audit/verify?after={entries - 2}")["valid"]


def changed(row: log.EventItem) -> None:
    row.actor = "somebody else"
    row.save()


def rewritten(row: log.EventItem) -> None:
    """With a hash that fits: then it does not fit to the entry behind it."""
    row.actor = "somebody else"
    row.hash = digest(log._entry(row))
    row.save()


def moved(row: log.EventItem) -> None:
    row.previous = "1" * 64
    row.hash = digest(log._entry(row))
    row.save()


def removed(row: log.EventItem) -> None:
    row.delete()


@pytest.mark.parametrize("tamper", [changed, rewritten, moved, removed])
@pytest.mark.parametrize("back", [0, 1, 3])
def test_it_names_the_entry_that_somebody_changed(
    admin: Admin, entries: int, tamper: Callable[[log.EventItem], None], back: int
) -> None:
    row, original = item(entries - back), item(entries - back)
    tamper(row)
    verdict = admin("GET", "/audit/verify")
    assert verdict["valid"] is False
    assert verdict["broken"]["seq"] == entries - back
    original.save()
    assert admin("GET", "/audit/verify")["valid"]


def test_an_entry_that_was_forged_behind_the_last_one_is_not_part_of_it(admin: Admin, entries: int) -> None:
    forged = Event(f"evt_{secrets.token_hex(8)}", AUDIT, "key.created", "x", SystemClock().now(), {}, "admin")
    row = log._item(forged, f"log#{AUDIT}#{(entries + 1) // 1000}", f"{entries + 1:016d}")
    row.seq = entries + 1
    row.save()
    assert admin("GET", "/audit")["audit"][0]["seq"] == entries
    assert admin("GET", "/audit/verify")["valid"]
    row.delete()
