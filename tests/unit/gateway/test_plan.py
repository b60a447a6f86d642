import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from quintet.errors import Failure, Kind
from quintet.gateway.model import Ask, Choice, Completion, Payer, Terms
from quintet.gateway.plan import Orchestration, Plan, make_plan
from tests.fakes.gateway import FakeGateway, FakeJournal, Reply

ASK = Ask([{"role": "user", "content": "Move the shop to a new server"}], temperature=0.3)
PAYER = Payer("user-1", "account-1")


def role(ask: Ask) -> str:
    """Which part the call plays, by its instructions."""
    told = str(ask.messages[0]["content"])
    return next(word for word in ("planner", "reviewer", "judge") if word in told)


class Models(FakeGateway):
    """Routes as far as avoiding goes: `best`, or `other` where `best` is to be avoided."""

    async def complete(self, ask: Ask, terms: Terms, *rest: Any, **named: Any) -> Completion:
        self.model = next((each for each in ("best", "other") if each not in terms.avoid), "best")
        self.model = terms.hint or self.model
        return await super().complete(ask, terms, *rest, **named)


def script(**replies: Reply | list[Reply]) -> Callable[[Ask, Terms], Reply]:
    def reply(ask: Ask, _terms: Terms) -> Reply:
        told = replies[role(ask)]
        return told.pop(0) if isinstance(told, list) else told

    return reply


def make(gateway: FakeGateway, terms: Terms | None = None, seconds: float = 30, **how: Any) -> Plan:
    journal = FakeJournal()
    return asyncio.run(make_plan(gateway, ASK, terms or Terms(), Orchestration(**how), PAYER, journal, seconds))


def names(plan: Plan) -> list[str]:
    return [phase.name for phase in plan.phases]


def test_the_plan_is_fought_over_as_often_as_was_asked() -> None:
    gateway = Models(script(planner=["first", "second", "third"], reviewer=["bad", "better"]))
    plan = make(gateway, iterations=2)
    assert plan.response() == {
        "initial_plan": "first",
        "critique": "better",
        "critiques": ["bad", "better"],
        "refined_plan": "third",
    }
    assert names(plan) == ["plan", "critique_1", "refine_1", "critique_2", "refine_2"]
    assert plan.estimated == 5 * 1000
    assert plan.primary.model == "best"


def test_no_iteration_is_one() -> None:
    plan = make(Models(script(planner=["first", "second"], reviewer="bad")), iterations=0)
    assert names(plan) == ["plan", "critique_1", "refine_1"]


def test_the_critic_is_another_model_and_the_planner_refines() -> None:
    gateway = Models(script(planner="plan", reviewer="bad"))
    plan = make(gateway, iterations=1)
    assert [each.model for each in plan.done] == ["best", "other", "best"]
    assert gateway.asked[1].terms.avoid == {"best"}
    assert gateway.asked[2].terms.hint == "best"


def test_a_model_that_was_named_plans_but_does_not_review() -> None:
    gateway = FakeGateway(script(planner="plan", reviewer="bad"))
    make(gateway, Terms(model="mine"), iterations=1)
    assert [each.terms.model for each in gateway.asked] == ["mine", None, "mine"]


def test_who_plans_and_who_reviews_have_weights_of_their_own() -> None:
    gateway = FakeGateway(script(planner="plan", reviewer="bad"))
    make(gateway, primary_min_weight=6, review_min_weight=9, iterations=1)
    assert [each.terms.min_weight for each in gateway.asked] == [6, 9, 6]
    assert {each.terms.mode for each in gateway.asked} == {"adversarial"}


def test_the_policys_own_words_hold_where_the_orchestration_says_nothing() -> None:
    gateway = FakeGateway(script(planner="plan", reviewer="bad"))
    make(gateway, Terms(mode="cheap", min_weight=3), iterations=1)
    assert {(each.terms.mode, each.terms.min_weight) for each in gateway.asked} == {("cheap", 3)}


def test_the_conversation_goes_into_every_phase_and_the_plan_into_the_later_ones() -> None:
    gateway = FakeGateway(script(planner=["first", "second"], reviewer="too slow"))
    make(gateway, iterations=1)
    plan, critique, refine = (each.ask for each in gateway.asked)
    for ask in (plan, critique, refine):
        assert ask.messages[1] == ASK.messages[0]
        assert ask.temperature == 0.3
    assert critique.messages[2] == {"role": "assistant", "content": "first"}
    assert "too slow" in refine.messages[-1]["content"]


def test_a_phase_makes_one_text_whatever_else_was_asked_for() -> None:
    gateway = FakeGateway(script(planner="the plan"))
    ask = Ask(ASK.messages, tools=[{"type": "function"}], tool_choice="required", extra={"n": 3, "user": "me"})
    how = Orchestration(mode="planning")
    asyncio.run(make_plan(gateway, ask, Terms(), how, PAYER, FakeJournal(), 30))
    asked = gateway.asked[0].ask
    assert (asked.tools, asked.tool_choice, asked.extra) == ((), None, {"user": "me"})


def test_planning_is_one_call() -> None:
    gateway = FakeGateway(script(planner="the plan"))
    plan = make(gateway, mode="planning")
    assert names(plan) == ["plan"]
    assert (plan.initial, plan.refined, plan.critiques) == ("the plan", "the plan", [])
    assert gateway.asked[0].terms.mode == "planning"


def test_refining_needs_no_critic() -> None:
    plan = make(FakeGateway(script(planner=["a", "b", "c"])), mode="refine", iterations=2)
    assert names(plan) == ["plan", "refine_1", "refine_2"]
    assert (plan.initial, plan.refined) == ("a", "c")


def test_a_judge_picks_among_the_answers_of_a_vote() -> None:
    gateway = Models(script(planner=["a", "b", "c"], judge='```json\n{"choice": 2, "reason": "shorter"}\n```'))
    plan = make(gateway, mode="vote")
    assert names(plan) == ["answer_1", "answer_2", "answer_3", "judge"]
    told = plan.response()
    assert (told["chosen"], told["verdict"], told["refined_plan"]) == (2, "shorter", "b")
    assert [each["content"] for each in told["answers"]] == ["a", "b", "c"]
    assert plan.done[-1].model == "other"
    assert [each.ask.seed for each in gateway.asked[:3]] == [1, 2, 3]


@pytest.mark.parametrize(
    ("said", "chosen"),
    [("Answer 3 is best", 3), ("none", 1), ('{"choice": "2"}', 2), ("9", 1), ('{"choice": true}', 1)],
)
def test_a_judge_that_is_hard_to_read_is_read_leniently(said: str, chosen: int) -> None:
    plan = make(FakeGateway(script(planner="same", judge=said)), mode="vote")
    assert plan.response()["chosen"] == chosen


def test_a_voter_may_fail_while_another_answers() -> None:
    failure = Failure(Kind.UPSTREAM, "all providers failed")
    plan = make(FakeGateway(script(planner=[failure, "b"])), mode="vote", votes=2)
    assert plan.response()["refined_plan"] == "b"
    assert [phase.told()["status"] for phase in plan.phases] == ["error", "ok"]


def test_a_vote_without_answers_fails() -> None:
    with pytest.raises(Failure, match="phase answer_1 failed: all providers failed"):
        make(FakeGateway(script(planner=Failure(Kind.UPSTREAM, "all providers failed"))), mode="vote")


def test_a_failing_phase_is_named_and_what_was_produced_is_kept() -> None:
    gateway = FakeGateway(script(planner=["first", Failure(Kind.REJECTED, "too long")], reviewer="bad"))
    with pytest.raises(Failure) as raised:
        make(gateway)
    failure = raised.value
    assert (failure.kind, failure.message) == (Kind.UPSTREAM, "phase refine_1 failed: too long")
    assert failure.details["phase"] == "refine_1"
    assert failure.details["response"]["initial_plan"] == "first"
    assert failure.details["response"]["critiques"] == ["bad"]
    assert [each["status"] for each in failure.details["decision"]["phases"]] == ["ok", "ok", "error"]


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (Kind.EXHAUSTED, Kind.EXHAUSTED),
        (Kind.REJECTED, Kind.REJECTED),
        (Kind.TIMEOUT, Kind.UPSTREAM),
        (Kind.UNAVAILABLE, Kind.UPSTREAM),
    ],
)
def test_what_is_the_callers_own_affair_keeps_its_kind(kind: Kind, told: Kind) -> None:
    with pytest.raises(Failure) as raised:
        make(FakeGateway(script(planner=Failure(kind, "no"))))
    assert raised.value.kind == told


def test_a_model_that_says_nothing_has_failed() -> None:
    with pytest.raises(Failure, match="phase plan failed: builtin/echo answered nothing"):
        make(FakeGateway(script(planner=Choice(None))))


def test_all_phases_share_one_deadline() -> None:
    ticks = iter([0.0, 1.0, 6.0, 11.0])
    gateway = FakeGateway(script(planner="plan", reviewer="bad"))
    work = make_plan(gateway, ASK, Terms(), Orchestration(), PAYER, FakeJournal(), 10, lambda: next(ticks))
    with pytest.raises(Failure, match="phase refine_1 failed: no time was left"):
        asyncio.run(work)
    assert [each.terms.max_latency_ms for each in gateway.asked] == [9000, 4000]


def test_a_gateway_that_forgets_the_time_is_stopped() -> None:
    class Slow(FakeGateway):
        async def complete(self, *_: Any, **__: Any) -> Completion:
            await asyncio.Event().wait()
            raise AssertionError

    stands_still = make_plan(Slow(), ASK, Terms(), Orchestration(), PAYER, FakeJournal(), 0.01, lambda: 0.0)
    with pytest.raises(Failure, match="phase plan failed: it took too long"):
        asyncio.run(stands_still)


def test_all_phases_share_one_budget() -> None:
    gateway = FakeGateway(script(planner="plan", reviewer="bad"))
    make(gateway, Terms(max_budget=2500), iterations=1)
    assert [each.terms.max_budget for each in gateway.asked] == [2500, 1500, 500]


def test_the_estimate_grows_with_the_conversation() -> None:
    gateway = FakeGateway(script(planner="x" * 4000, reviewer="bad"))
    make(gateway, Terms(estimated_input_tokens=100), iterations=1)
    first, second, third = (each.terms.estimated_input_tokens or 0 for each in gateway.asked)
    assert 100 < first < 300
    assert second > first + 800
    assert third > 1000
