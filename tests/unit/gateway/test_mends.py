"""Why nobody could answer, for the person who asked."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from quintet.gateway.failures import all_failed, nothing_eligible
from quintet.gateway.present import Health
from quintet.http.dialects import BROKER, KYROS, OPENAI, TORON, TRON, Dialect
from tests.unit.gateway.test_routing import NOW, WISH, decided, model, view

DIALECTS = {"toron": TORON, "tron": TRON, "openai": OPENAI, "kyros": KYROS, "broker": BROKER}


def words(dialect: Dialect, failure: Any) -> str:
    return str(dialect.body(failure, NOW, "req-1"))


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_every_dialect_says_which_model_was_left_out_and_what_to_do(dialect: Dialect) -> None:
    failure = nothing_eligible(decided(view(model("small", weight=3)), replace(WISH, min_weight=6)))
    assert "no eligible models" in words(dialect, failure)
    assert "'small': weight 3 < 6; lower min_weight" in failure.mend
    assert "weight 3 < 6" in words(dialect, failure)


def test_the_model_that_the_caller_named_comes_first() -> None:
    known = view(model("a", weight=3), model("z", weight=4), model("off", enabled=False))
    for hint, why in (
        ("z", "'z': cannot do: vision"),
        ("off", "'off': disabled"),
        ("nobody", "there is no model 'nobody'"),
    ):
        wish = replace(WISH, hint=hint, capabilities=frozenset({"vision"}))
        assert nothing_eligible(decided(known, wish)).mend.startswith(why)


def test_a_vendor_that_cools_down_is_worth_waiting_for() -> None:
    health = {"acme": Health(cooldown_until=NOW + timedelta(seconds=21))}
    mend = nothing_eligible(decided(view(model("a"), health=health))).mend
    assert mend == "'a': provider 'acme' cools down for 21 s; try again in 21 s"


def test_where_everything_is_switched_off_an_administrator_is_needed() -> None:
    known = view()
    known = replace(known, keys={})
    assert nothing_eligible(decided(known)).mend.startswith("an administrator can give a vendor its key")


def test_a_catalogue_is_not_read_out() -> None:
    known = view(*(model(f"m{number:03}", weight=1) for number in range(80)))
    mend = nothing_eligible(decided(known, replace(WISH, min_weight=6))).mend
    assert "and 77 more" in mend
    assert len(mend) < 200


def test_what_vendors_said_stays_out_of_what_callers_are_told() -> None:
    attempt = {"model": "a", "provider": "acme", "failure": "network", "message": "could not connect to 10.0.0.7"}
    failure = all_failed([attempt, attempt], decided(view(model("a"))))
    assert failure.mend == "'a' failed (network); try again later"
    for dialect in (TORON, TRON, OPENAI):
        assert "10.0.0.7" not in words(dialect, failure)


def test_what_can_be_done_depends_on_what_went_wrong() -> None:
    attempts = [
        {"model": "a", "provider": "acme", "failure": failure}
        for failure in ("unauthorized", "context_overflow", "server")
    ]
    assert all_failed(attempts, None).mend == (
        "'a' failed (unauthorized); 'a' failed (context_overflow); 'a' failed (server); "
        "an administrator can check the vendor's key and account, or send less, or try again later"
    )
