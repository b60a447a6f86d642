"""Every failure and every way around it, over real adapters and a vendor that misbehaves on command."""

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from quintet.errors import Failure, Kind
from quintet.gateway.ledger.model import Reservation
from quintet.gateway.model import Ask, Completion, Payer, Terms
from quintet.gateway.present import Health
from quintet.settings import settings
from tests.fakes.gateway import FakeJournal
from tests.fakes.gateway_core import World
from tests.fakes.upstream import Behaviour, Upstream, upstream

PAYER = Payer("somebody", "user#somebody")
HELLO = Ask([{"role": "user", "content": "Hello"}], max_tokens=100)
PATIENT = Terms(max_latency_ms=10_000)


@pytest.fixture(scope="module")
def vendor_process() -> Iterator[Upstream]:
    with upstream() as vendor:
        yield vendor


@pytest.fixture
def vendor(vendor_process: Upstream) -> Iterator[Upstream]:
    vendor_process.asked.clear()
    yield vendor_process
    vendor_process.always.clear()


@pytest.fixture
def world(vendor: Upstream) -> World:
    """`good` is the better one of two vendors' models, and so the first to be asked."""
    world = World()
    world.add("good", "acme", url=vendor.openai, weight=9)
    world.add("other", "rival", url=vendor.openai, weight=3)
    return world


class Called:
    def __init__(self, world: World, ask: Ask = HELLO, terms: Terms = PATIENT) -> None:
        self.journal = FakeJournal()
        self.done: Completion | None = None
        self.failure: Failure | None = None
        call_id = "call" if not world.ledger.settled else None
        try:
            self.done = asyncio.run(world.gateway.complete(ask, terms, PAYER, self.journal, call_id=call_id))
        except Failure as failure:
            self.failure = failure
        assert world.ledger.held == {}, "money is still held"

    @property
    def answer(self) -> Completion:
        assert self.done is not None, self.failure and self.failure.message
        return self.done

    @property
    def refusal(self) -> Failure:
        assert self.failure is not None
        return self.failure

    @property
    def record(self) -> Any:
        return self.journal.calls[-1]


def asked(vendor: Upstream) -> list[str]:
    return [each.body["model"] for each in vendor.asked]


def test_an_answer_is_settled_at_what_it_cost(world: World) -> None:
    called = Called(world)
    usage = called.answer.usage
    assert called.answer.model == "good"
    assert usage.known
    assert called.answer.cost == 100 * usage.input + 400 * usage.output
    assert world.ledger.settled == {"call": called.answer.cost}
    assert called.record["status"] == "ok"
    assert called.record["bound"] >= called.answer.cost
    assert called.record["settle"] == {"cost": called.answer.cost}
    assert called.record["decision"]["chosen"] == "good"
    assert 0.4 <= called.record["reward"] <= 1
    assert called.record["overhead_ms"] < called.record["latency_ms"]


def test_a_vendor_that_has_had_enough_is_left_alone_for_as_long_as_it_says(world: World, vendor: Upstream) -> None:
    vendor.always["good"] = Behaviour("rate_limited", retry_after="7")
    called = Called(world)
    assert called.answer.model == "other"
    assert called.answer.reason == "mode=normal;failover=good:rate_limited"
    assert asked(vendor) == ["good", "other"]
    assert 6 < world.healths.health["acme"].cooling(datetime.now(UTC)) <= 7
    assert Called(world).answer.reason == "cooldown=acme"


def test_a_server_error_is_tried_twice_more_and_then_the_next_model_is(world: World, vendor: Upstream) -> None:
    vendor.always["good"] = Behaviour("server")
    called = Called(world)
    assert called.answer.model == "other"
    assert asked(vendor) == ["good", "good", "good", "other"]
    assert [each["failure"] for each in called.record["attempts"]] == ["server"] * 3


def test_a_passing_error_passes(world: World, vendor: Upstream) -> None:
    vendor.next("server")
    called = Called(world)
    assert (called.answer.model, called.answer.reason) == ("good", "mode=normal")
    assert asked(vendor) == ["good", "good"]
    assert world.healths.health["acme"].errors == 0


def test_retries_are_counted_over_the_whole_chain(world: World, vendor: Upstream) -> None:
    vendor.always["good"] = vendor.always["other"] = Behaviour("server")
    called = Called(world)
    assert asked(vendor) == ["good", "good", "good", "other"]
    assert (called.refusal.kind, called.refusal.message) == (Kind.UPSTREAM, "all providers failed")
    assert [each["model"] for each in called.refusal.details["attempts"]] == asked(vendor)
    assert "builtin/echo" in called.refusal.details["excluded"]
    assert (called.record["status"], called.record["failure"], called.record["reward"]) == ("error", "server", 0)


def test_a_vendor_that_hangs_leaves_time_for_another(world: World, vendor: Upstream) -> None:
    vendor.always["good"] = Behaviour("timeout")
    called = Called(world, terms=Terms(max_latency_ms=3000))
    assert called.answer.model == "other"  # which nobody would have asked after the three seconds
    late = [each for each in called.journal.calls if each["status"] == "error"]
    assert {each["failure"] for each in late} == {"timeout"}
    assert all(each["cost"] == each["bound"] and not each["usage_known"] for each in late)


def test_one_deadline_holds_for_the_whole_chain(world: World, vendor: Upstream) -> None:
    vendor.always["good"] = vendor.always["other"] = Behaviour("timeout")
    began = time.perf_counter()
    called = Called(world, terms=Terms(max_latency_ms=1500))
    assert called.refusal.message == "all providers failed"
    assert 1.2 < time.perf_counter() - began < 3  # in which two deadlines would end


def test_what_is_too_long_goes_to_the_smallest_larger_model(world: World, vendor: Upstream) -> None:
    world.add("good", url=vendor.openai, weight=9, context_window=8_000)
    world.add("small", url=vendor.openai, weight=9.5, context_window=4_000, latency_ms=5000)
    world.add("large", url=vendor.openai, weight=0, context_window=200_000)
    world.add("larger", url=vendor.openai, weight=0, context_window=32_000)
    vendor.always["good"] = Behaviour("context")
    called = Called(world, terms=Terms(max_latency_ms=10_000, hint="good"))
    assert called.answer.model == "larger"
    assert asked(vendor) == ["good", "larger"]
    assert called.answer.reason == "hint=good;failover=good:context_overflow"


@pytest.mark.parametrize(
    ("behaviour", "fault"),
    [
        ("refused", "refused"),
        ("unauthorized", "unauthorized"),
        ("malformed_json", "malformed"),
        ("wrong_type", "malformed"),
    ],
)
def test_anything_else_goes_to_the_next_model_at_once(
    world: World, vendor: Upstream, behaviour: str, fault: str
) -> None:
    vendor.always["good"] = Behaviour(behaviour)
    called = Called(world)
    assert called.answer.model == "other"
    assert called.answer.reason == f"mode=normal;failover=good:{fault}"
    assert asked(vendor) == ["good", "other"]


def test_half_an_answer_is_no_answer(world: World, vendor: Upstream) -> None:
    vendor.always["good"] = Behaviour("half")
    assert Called(world).answer.model == "other"


def test_unknown_usage_settles_at_the_bound(world: World, vendor: Upstream) -> None:
    vendor.next("no_usage")
    called = Called(world)
    assert not called.answer.usage.known
    assert called.answer.cost == called.record["bound"] > 0


def test_five_errors_in_a_row_take_a_provider_out_for_all(world: World, vendor: Upstream) -> None:
    vendor.always["good"] = Behaviour("server")
    assert Called(world).answer.model == "other"
    assert world.healths.health["acme"].state == "degraded"
    called = Called(world)
    assert world.healths.health["acme"].state == "down"
    assert called.record["attempts"][-1]["health"] == "down"
    vendor.asked.clear()
    assert Called(world).answer.reason == "cooldown=acme"
    assert asked(vendor) == ["other"]


def test_a_provider_that_answers_again_is_well(world: World) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    world.healths.health["acme"] = Health(errors=6, cooldown_until=past)
    assert Called(world).answer.model == "good"
    assert world.healths.health["acme"].errors == 0


def test_a_model_asked_for_by_name_falls_over_to_nobody(world: World, vendor: Upstream) -> None:
    vendor.always["other"] = Behaviour("server")
    called = Called(world, terms=Terms(model="other"))
    assert asked(vendor) == ["other"] * 3
    assert (called.refusal.kind, called.refusal.message) == (Kind.UPSTREAM, "'other' failed (server)")


@pytest.mark.parametrize(
    ("behaviour", "kind", "code"),
    [
        ("rate_limited", Kind.LIMITED, None),
        ("context", Kind.REJECTED, "context_length_exceeded"),
        ("refused", Kind.REJECTED, None),
        ("unauthorized", Kind.UPSTREAM, None),
        ("malformed_json", Kind.UPSTREAM, None),
    ],
)
def test_the_failure_of_a_named_model_is_told_as_what_it_is(
    world: World, vendor: Upstream, behaviour: str, kind: Kind, code: str | None
) -> None:
    vendor.always["good"] = Behaviour(behaviour, retry_after="7" if behaviour == "rate_limited" else None)
    called = Called(world, terms=Terms(model="good"))
    assert (called.refusal.kind, called.refusal.code) == (kind, code)
    assert called.refusal.retry_after == (7 if behaviour == "rate_limited" else None)
    assert "secret-key" not in called.refusal.message


def test_a_limit_always_says_when_to_try_again(world: World, vendor: Upstream) -> None:
    """Also where the vendor does not: it is left alone for a while all the same."""
    vendor.always.update(good=Behaviour("rate_limited"), other=Behaviour("rate_limited"))
    for name in ("good", "other"):
        assert Called(world, terms=Terms(model=name)).refusal.retry_after == 30
    for terms in (Terms(model="good"), Terms()):
        refusal = Called(world, terms=terms).refusal
        assert refusal.retry_after is not None
        assert 28 < refusal.retry_after <= 30
    assert refusal.code == "no_eligible_models"


def test_a_named_model_that_cannot_do_what_is_asked_is_refused_by_name(world: World) -> None:
    world.add("plain", capabilities=frozenset({"streaming"}))
    ask = Ask(HELLO.messages, tools=[{"type": "function", "function": {"name": "now"}}])
    called = Called(world, ask, Terms(model="plain"))
    assert (called.refusal.kind, called.refusal.message) == (Kind.REJECTED, "'plain' cannot do: tools")


def test_an_alias_names_a_model(world: World, vendor: Upstream) -> None:
    world.add("good", url=vendor.openai, aliases=("best",))
    assert Called(world, terms=Terms(model="best")).answer.model == "good"


def test_an_answer_is_shortened_to_what_can_be_paid(world: World, vendor: Upstream) -> None:
    fixed = Called(world).record["bound"] - 400 * 100
    world.ledger = type(world.ledger)(cap=fixed + 400 * 40)
    called = Called(world)
    assert vendor.asked[-1].body.get("max_tokens", vendor.asked[-1].body.get("max_completion_tokens")) == 40
    assert called.answer.model == "good"
    assert world.ledger.spent <= fixed + 400 * 40


def test_a_cheaper_model_answers_when_the_dear_one_cannot_be_paid(world: World, vendor: Upstream) -> None:
    world.add("good", url=vendor.openai, weight=9, price=world.models["good"].price.__class__(50_000, 200_000))
    world.ledger.cap = 400_000
    assert Called(world, terms=Terms(max_latency_ms=5000, max_budget=10**9)).answer.model == "other"


def test_an_empty_budget_refuses_before_anybody_is_asked(world: World, vendor: Upstream) -> None:
    world.ledger.cap = 10
    called = Called(world)
    assert called.refusal.kind is Kind.EXHAUSTED
    assert "scope" in called.refusal.message
    assert vendor.asked == []
    assert called.journal.calls == []


def test_a_caller_that_goes_away_pays_what_may_have_been_used(world: World, vendor: Upstream) -> None:
    vendor.always["good"] = Behaviour("timeout")
    journal = FakeJournal()

    async def leave() -> None:
        call = asyncio.create_task(world.gateway.complete(HELLO, PATIENT, PAYER, journal, call_id="call"))
        while not vendor.asked:  # noqa: ASYNC110 - the vendor lives in another thread
            await asyncio.sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(leave())
    assert vendor.asked[0].hung_up.wait(30)
    assert world.ledger.held == {}
    (record,) = journal.calls
    assert (record["status"], record["failure"]) == ("cut", "cancelled")
    assert record["cost"] == record["bound"]


# ---- streams


class Streamed:
    def __init__(
        self, world: World, ask: Ask = HELLO, terms: Terms = PATIENT, *, leave_after: int | None = None
    ) -> None:
        self.journal = FakeJournal()
        self.text = ""
        self.failure: Failure | None = None
        self.done: Completion | None = None
        self.entered = False
        asyncio.run(self._run(world, ask, terms, leave_after))
        assert world.ledger.held == {}, "money is still held"

    async def _run(self, world: World, ask: Ask, terms: Terms, leave_after: int | None) -> None:
        seen = 0
        try:
            async with world.gateway.stream(ask, terms, PAYER, self.journal, call_id="call") as stream:
                self.entered = True
                async for delta in stream:
                    self.text += delta.text
                    seen += 1
                    if seen == leave_after:
                        return
                self.done = stream.completion
        except Failure as failure:
            self.failure = failure

    @property
    def record(self) -> Any:
        return self.journal.calls[-1]


@pytest.mark.parametrize("kind", ["openai", "anthropic", "bedrock", "builtin"])
def test_every_kind_of_vendor_streams_and_tells_its_usage(world: World, vendor: Upstream, kind: str) -> None:
    url = {"openai": vendor.openai, "anthropic": vendor.anthropic, "bedrock": vendor.bedrock}.get(kind, "")
    world.add("streamed", kind + "-vendor", url=url, kind=kind, options={"region": "us-east-1"})
    streamed = Streamed(world, terms=Terms(model="streamed"))
    assert streamed.done is not None, streamed.failure
    assert streamed.done.content == streamed.text != ""
    assert streamed.done.usage.known
    assert streamed.done.usage.output > 0
    assert streamed.done.cost == world.ledger.settled["call"] == streamed.record["cost"]
    assert streamed.record["first_token_ms"] > 0


@pytest.mark.parametrize("behaviour", ["server", "rate_limited", "slow_first_token"])
def test_what_fails_before_the_first_token_falls_over(world: World, vendor: Upstream, behaviour: str) -> None:
    vendor.always["good"] = Behaviour(behaviour, seconds=20)
    streamed = Streamed(world, terms=Terms(max_latency_ms=2000))
    assert streamed.done is not None, streamed.failure
    assert streamed.done.model == "other"
    assert "failover=good" in streamed.done.reason


@pytest.mark.parametrize("behaviour", ["half", "error_event", "malformed_sse"])
def test_what_breaks_off_later_is_told_and_settled_at_the_bound(world: World, vendor: Upstream, behaviour: str) -> None:
    vendor.always["good"] = Behaviour(behaviour)
    streamed = Streamed(world)
    assert streamed.entered
    assert streamed.failure is not None
    assert (streamed.failure.kind, streamed.failure.message) == (Kind.UPSTREAM, "'good' broke off its answer")
    assert streamed.record["status"] == "error"
    assert streamed.record["cost"] == streamed.record["bound"]


def test_a_stream_without_usage_settles_at_the_bound(world: World, vendor: Upstream) -> None:
    vendor.next("no_usage")
    streamed = Streamed(world)
    assert streamed.record["status"] == "ok"
    assert not streamed.record["usage_known"]
    assert streamed.record["cost"] == streamed.record["bound"]


def test_a_reader_that_leaves_pays_what_it_has_seen(world: World, vendor: Upstream) -> None:
    vendor.always["good"] = Behaviour("slow_tokens", seconds=0.2)
    streamed = Streamed(world, leave_after=2)
    assert vendor.asked[0].hung_up.wait(30)
    assert (streamed.record["status"], streamed.record["failure"]) == ("cut", "cancelled")
    assert 0 < streamed.record["cost"] < streamed.record["bound"]


def test_a_stream_that_outgrows_its_reservation_is_cut(world: World, vendor: Upstream) -> None:
    vendor.next(Behaviour(told=vendor.usual.told.__class__(text="word " * 200)))
    streamed = Streamed(world, Ask(HELLO.messages, max_tokens=1))
    assert streamed.done is not None
    assert streamed.done.finish_reason == "length"
    assert (streamed.record["status"], streamed.record["failure"]) == ("cut", "reservation_exhausted")
    assert streamed.record["cost"] == streamed.record["bound"]
    assert len(streamed.text) < 1000


def test_a_catalogue_that_changes_while_money_is_reserved_is_routed_by_again(
    world: World, vendor: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserve = world.ledger.reserve

    async def removed_meanwhile(*asked: Any, **named: Any) -> Reservation:
        held = await reserve(*asked, **named)
        if world.models.pop("good", None):
            world.generation += 1
        return held

    monkeypatch.setattr(world.ledger, "reserve", removed_meanwhile)
    called = Called(world)
    assert called.answer.model == "other"
    assert world.ledger.released == ["call"]
    assert [each.body["model"] for each in vendor.asked] == ["other"]
    assert [each["model"] for each in called.journal.calls] == ["other"]


def test_a_choice_that_led_to_no_call_is_told(world: World) -> None:
    called = Called(world, terms=Terms(min_weight=9.5))
    assert called.failure is not None
    assert called.journal.calls == []
    (choice,) = called.journal.choices
    assert choice["decision"]["excluded"]["good"] == "weight 9 < 9.5"


def test_a_server_near_us_is_not_asked_unless_the_operator_lets_it_in(
    world: World, vendor: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELS_MAY_BE_PRIVATE", "false")
    settings.cache_clear()
    called = Called(world, terms=Terms(model="good"))
    assert (called.refusal.kind, called.refusal.message) == (Kind.UPSTREAM, "'good' failed (forbidden_address)")
    assert not vendor.asked
    assert "may not be called" in str(world.healths.health["acme"].last_error)
