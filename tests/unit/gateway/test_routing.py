"""Which model is to answer: the rules one by one, and what holds for every catalogue and every wish."""

import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quintet.gateway.catalogue.model import (
    BUILTIN,
    BUILTIN_PROVIDER,
    ECHO,
    ECHO_MODEL,
    Catalogue,
    Defaults,
    Model,
    Price,
    Provider,
)
from quintet.gateway.model import Ask, Terms
from quintet.gateway.present import Health, Learned, Measured, Present
from quintet.gateway.routing import MODES, WEIGHTS, Decision, Wish, decide, larger, wish_of
from quintet.gateway.view import View

NOW = datetime(2026, 11, 29, tzinfo=UTC)
PRICE = Price(1000, 2000, version="1")
WISH = Wish("normal", 50_000_000, 20_000, 0, 100, 512)


def model(id: str, provider: str = "acme", **more: Any) -> Model:  # noqa: A002
    return Model(**{"id": id, "provider": provider, "name": id, "price": PRICE, "latency_ms": 1000.0, **more})


def view(*models: Model, health: Mapping[str, Health] | None = None, **learned: Any) -> View:
    providers = {each.provider: Provider(each.provider, "openai") for each in models} | {BUILTIN: BUILTIN_PROVIDER}
    catalogue = Catalogue(1, providers, {each.id: each for each in models} | {ECHO: ECHO_MODEL})
    return View(catalogue, Present(1, health or {}, Learned(**learned)), dict.fromkeys(providers, ""))


def decided(known: View, wish: Wish = WISH, seed: int = 7) -> Decision:
    return decide(known, wish, NOW, seed)


def test_without_a_vendor_the_builtin_model_answers_whatever_weight_is_asked_for() -> None:
    decision = decided(view(), replace(WISH, min_weight=9, capabilities=frozenset({"planning"})))
    assert (decision.ranking, decision.reason) == ((ECHO,), "mode=normal")


def test_the_builtin_model_is_not_chosen_while_there_is_another_even_one_that_does_not_fit() -> None:
    decision = decided(view(model("small", weight=3)), replace(WISH, min_weight=6))
    assert decision.ranking == ()
    assert decision.excluded == {"small": "weight 3 < 6"}
    assert decision.off == {ECHO: "answers only where no other provider is configured"}


def test_the_builtin_model_answers_when_it_is_asked_for() -> None:
    assert decided(view(model("small")), replace(WISH, hint=ECHO)).ranking[0] == ECHO


@pytest.mark.parametrize(
    ("changes", "wish", "why", "reason"),
    [
        ({"weight": 5}, {"min_weight": 6}, "weight 5 < 6", "min_weight=6"),
        ({"context_window": 64_000}, {"tokens": 60_000}, "1.15 x 60000 tokens > its window of 64000", "context>64k"),
        ({"context_window": 65_536}, {"tokens": 60_000}, "1.15 x 60000 tokens > its window of 65536", "context>64k"),
        ({}, {"capabilities": frozenset({"vision"})}, "cannot do: vision", "capability=vision"),
        (
            {"capabilities": frozenset({"json"})},
            {"needs": frozenset({"tools"})},
            "cannot do: tools",
            "capability=tools",
        ),
        ({}, {"max_budget": 1_000_000}, "estimated 0.001124 USD > 0.001", "max_budget_usd=0.001"),
    ],
)
def test_what_excludes_a_model_is_told_and_is_the_reason(
    changes: dict[str, Any], wish: dict[str, Any], why: str, reason: str
) -> None:
    fits = model("fits", weight=9, price=Price(1, 1), capabilities=frozenset({"vision", "tools", "json"}))
    decision = decided(view(model("unfit", **changes), fits), replace(WISH, **wish))
    assert decision.ranking == ("fits",)
    assert decision.excluded == {"unfit": why}
    assert decision.reason == reason


def test_constraints_that_decided_are_named_together() -> None:
    small, weak, fits = (
        model("small", context_window=64_000, weight=9),
        model("weak", weight=3),
        model("fits", weight=9),
    )
    decision = decided(view(small, weak, fits), replace(WISH, tokens=60_000, min_weight=6, max_budget=10**12))
    assert decision.reason == "context>64k;min_weight=6"


def test_a_window_of_nothing_has_no_end_and_headroom_is_fifteen_percent() -> None:
    models = [model("endless"), model("exact", context_window=1150), model("short", context_window=1149)]
    assert set(decided(view(*models), replace(WISH, tokens=1000)).ranking) == {"endless", "exact"}


def test_a_provider_that_cools_down_is_left_alone() -> None:
    health = {"acme": Health(errors=5, cooldown_until=NOW + timedelta(seconds=12))}
    decision = decided(view(model("a"), model("b", "rival"), health=health))
    assert decision.ranking == ("b",)
    assert decision.excluded == {"a": "provider 'acme' cools down for 12 s"}
    assert decision.reason == "cooldown=acme"


def test_a_hint_goes_first_even_if_weight_or_budget_excludes_it() -> None:
    dear = model("dear", weight=1, price=Price(10**6, 10**6))
    known = view(dear, model("b", weight=9))
    decision = decided(known, replace(WISH, hint="dear", min_weight=5))
    assert decision.ranking == ("dear", "b")
    assert (decision.reason, decision.excluded) == ("hint=dear", {})


@pytest.mark.parametrize(
    "hinted",
    [{"enabled": False}, {"context_window": 10}, {"capabilities": frozenset({"json"})}],
)
def test_a_hint_does_not_make_a_model_able(hinted: dict[str, Any]) -> None:
    wish = replace(WISH, hint="a", needs=frozenset({"tools"}))
    known = view(model("a", **hinted), model("b", capabilities=frozenset({"tools"})))
    assert decided(known, wish).ranking == ("b",)


def test_what_is_to_be_avoided_goes_last() -> None:
    known = view(model("a", weight=10), model("b", weight=1))
    assert decided(known, replace(WISH, avoid=frozenset({"a"}))).ranking == ("b", "a")
    assert decided(view(model("a")), replace(WISH, avoid=frozenset({"a"}))).ranking == ("a",)


@pytest.mark.parametrize(
    ("mode", "first"),
    [
        ("cheap", "cheap"),
        ("high_confidence", "good"),
        ("planning", "good"),
        ("adversarial", "good"),
        ("nonsense", "quick"),
    ],
)
def test_every_mode_weighs_in_its_own_way(mode: str, first: str) -> None:
    known = view(
        model("cheap", price=Price(10, 20), weight=4, latency_ms=1500),
        model("good", price=Price(3000, 6000), weight=10, latency_ms=3000),
        model("quick", price=Price(600, 1200), weight=4, latency_ms=300),
    )
    assert decided(known, replace(WISH, mode=mode)).ranking[0] == first


def test_the_score_is_the_weighted_sum_of_shares_of_the_largest() -> None:
    known = view(
        model("a", price=Price(1000, 2000), weight=5, latency_ms=500),
        model("b", price=Price(2000, 4000), weight=10, latency_ms=1000),
        models={"a": Measured(500, 0.1), "b": Measured(1000, 0.2)},
    )
    scores = {each.model: each.score for each in decided(known).candidates}
    assert scores == {"a": pytest.approx(0.25 * (0.5 + 0.5 + 0.5 - 0.5)), "b": pytest.approx(0.25 * (1 + 1 + 1 - 1))}


def test_ties_go_to_the_cheaper_and_then_to_the_id() -> None:
    alike = view(model("b"), model("a"), model("c"))
    assert decided(alike).ranking == ("a", "b", "c")


def test_what_was_measured_counts_more_than_what_was_expected() -> None:
    known = view(model("a"), model("b"), models={"a": Measured(9000, 0.0)})
    assert decided(known).ranking == ("b", "a")


def test_a_long_input_is_priced_by_its_tier() -> None:
    price = Price(1000, 2000, tiers=(Price(0, 0).at(0).__class__(200_000, 2000, 3000),), version="1")
    wish = replace(WISH, tokens=200_001, output=100, max_budget=10**12)
    (candidate,) = decided(view(model("a", price=price)), wish).candidates
    assert candidate.cost == 200_001 * 2000 + 100 * 3000


def test_thompson_draws_the_same_for_the_same_seed_and_prefers_what_has_done_well() -> None:
    wish = replace(WISH, mode="thompson")
    known = view(model("bad"), model("good"), posteriors={"bad": {"small": (2, 30)}, "good": {"small": (30, 2)}})
    first = [decided(known, wish, seed).ranking[0] for seed in range(200)]
    assert first == [decided(known, wish, seed).ranking[0] for seed in range(200)]
    assert first.count("good") == 200
    assert decided(known, wish).propensity == pytest.approx(1, abs=1e-3)


def test_the_propensity_is_how_often_thompson_chooses() -> None:
    wish = replace(WISH, mode="thompson")
    known = view(model("a"), model("b"), model("c"), posteriors={"a": {"small": (4, 3)}, "b": {"small": (3, 3)}})
    chosen = [decided(known, wish, seed) for seed in range(3000)]
    for name in "abc":
        share = sum(each.ranking[0] == name for each in chosen) / len(chosen)
        told = next(each.propensity for each in chosen if each.ranking[0] == name)
        assert share == pytest.approx(told, abs=0.03)


def test_the_smallest_larger_model_takes_what_was_too_long() -> None:
    small = model("small", context_window=8000)
    models = [small, model("huge"), model("large", context_window=64_000), model("larger", context_window=32_000)]
    assert getattr(larger(view(*models), WISH, NOW, small, ["small"]), "id", None) == "larger"
    assert getattr(larger(view(*models), WISH, NOW, small, ["small", "larger", "large"]), "id", None) == "huge"
    assert larger(view(small), WISH, NOW, small, ["small"]) is None


def test_a_request_takes_the_defaults_where_it_says_nothing() -> None:
    ask = Ask([{"role": "user", "content": "x" * 41}])
    wish = wish_of(ask, Terms(), Defaults(mode="cheap", min_weight=3))
    assert (wish.mode, wish.max_budget, wish.max_latency_ms, wish.min_weight) == ("cheap", 50_000_000, 20_000, 3)
    assert (wish.tokens, wish.output) == (11, 512)


def test_what_a_request_needs_follows_from_what_is_in_it() -> None:
    parts = [{"type": "text", "text": "what is it?"}, {"type": "image_url", "image_url": {"url": "data:,"}}]
    ask = Ask(
        [{"role": "user", "content": parts}], tools=[{"type": "function"}], response_format={"type": "json_schema"}
    )
    assert wish_of(ask, Terms(), Defaults()).needs == {"vision", "tools", "json"}


# ---- what holds always

models = st.builds(
    lambda id, provider, **more: model(id, provider, **more),  # noqa: A006
    st.sampled_from([f"m{number}" for number in range(12)]),
    st.sampled_from(["acme", "rival", "third"]),
    enabled=st.booleans(),
    weight=st.integers(0, 10),
    price=st.builds(Price, st.integers(0, 10**5), st.integers(0, 10**5)),
    context_window=st.sampled_from([0, 1000, 8000, 128_000]),
    capabilities=st.frozensets(st.sampled_from(["tools", "vision", "json"])),
    latency_ms=st.floats(0, 10_000),
)
wishes = st.builds(
    Wish,
    st.sampled_from([*MODES, "strange"]),
    st.integers(0, 10**9),
    st.integers(1, 300_000),
    st.integers(0, 10),
    st.integers(0, 10**6),
    st.integers(1, 10_000),
    capabilities=st.frozensets(st.sampled_from(["tools", "vision", "json"])),
    hint=st.sampled_from([None, "m1", "m2", "unheard-of"]),
    avoid=st.frozensets(st.sampled_from(["m1", "m3"])),
)


@given(st.lists(models, max_size=12), wishes, st.integers(0, 2**32 - 1), st.randoms())
def test_a_decision_explains_every_model_and_is_the_same_in_whatever_order(
    found: list[Model], wish: Wish, seed: int, chance: random.Random
) -> None:
    known = view(*{each.id: each for each in found}.values())
    decision = decided(known, wish, seed)
    told = {*decision.ranking, *decision.excluded, *decision.off}
    assert told == set(known.catalogue.models)
    assert len(decision.ranking) == len(set(decision.ranking))
    assert not set(decision.ranking) & {*decision.excluded, *decision.off}
    assert 0 <= decision.propensity <= 1.001
    shuffled = list(known.catalogue.models.items())
    chance.shuffle(shuffled)
    other = replace(known, catalogue=replace(known.catalogue, models=dict(shuffled)))
    assert decided(other, wish, seed) == replace(decision, excluded=decision.excluded, off=decision.off)


@given(st.lists(models, max_size=12), wishes)
def test_whoever_is_ranked_fits_or_was_hinted_at(found: list[Model], wish: Wish) -> None:
    known = view(*{each.id: each for each in found}.values())
    decision = decided(known, wish)
    for name in decision.ranking:
        chosen = known.catalogue.models[name]
        assert chosen.enabled
        assert wish.capabilities <= chosen.capabilities
        assert not chosen.context_window or 1.15 * wish.tokens <= chosen.context_window
        if name not in (wish.hint, ECHO):
            assert chosen.weight >= wish.min_weight
            assert chosen.price.of(wish.tokens, wish.output) <= wish.max_budget


@given(st.lists(models, min_size=2, max_size=12), wishes.filter(lambda wish: wish.mode in WEIGHTS and not wish.hint))
def test_candidates_are_told_best_first(found: list[Model], wish: Wish) -> None:
    scores = [each.score for each in decided(view(*{each.id: each for each in found}.values()), wish).candidates]
    assert scores == sorted(scores)
