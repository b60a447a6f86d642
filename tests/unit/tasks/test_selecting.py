"""The rules that weigh a piece of work."""

import pytest

from quintet.tasks.selecting import Request, Verdict, judge


def names(verdict: Verdict) -> set[str]:
    return {trigger.name for trigger in verdict.triggers}


def test_plain_work_stays_where_it_is_and_that_is_sure() -> None:
    verdict = judge(Request("Rename a button", ["page.ts"]))
    assert (verdict.triggers, verdict.escalate, verdict.confidence) == ((), False, 0.9)
    assert verdict.business_impact == "low"


def test_the_documents_request_escalates() -> None:
    verdict = judge(
        Request(
            "Implement OAuth2 authentication with SAML integration",
            ["auth.py", "security/oauth2.py", "security/saml.py"],
            file_count=3,
            service_count=2,
            security_sensitive=True,
            business_critical=True,
        )
    )
    assert names(verdict) == {
        "security_words",
        "sensitive_files",
        "risky_paths",
        "several_services",
        "business_critical",
    }
    assert verdict.escalate
    assert 0.8 <= verdict.confidence <= 0.9


@pytest.mark.parametrize(
    ("request_", "trigger", "confidence"),
    [
        (Request("Rotate the password"), "security_words", 0.9),
        (Request("x", ["app/payment.py"]), "sensitive_files", 0.85),
        (Request("x", ["migrations/0001.py"]), "risky_paths", 0.8),
        (Request("A distributed migration"), "architecture_words", 0.7),
        (Request("x", file_count=4), "many_files", 0.9),
        (Request("x", file_count=100), "many_files", 0.9),
        (Request("x", service_count=2), "several_services", 0.8),
        (Request("A complex form"), "complexity_words", 0.6),
        (Request("Sort by a better algorithm"), "algorithm_words", 0.7),
    ],
)
def test_each_trigger_has_its_confidence(request_: Request, trigger: str, confidence: float) -> None:
    assert {each.name: each.confidence for each in judge(request_).triggers} == {trigger: confidence}


def test_one_medium_trigger_is_not_enough_and_two_are() -> None:
    assert not judge(Request("A better algorithm")).escalate
    assert judge(Request("A better algorithm of a complex kind")).escalate


def test_one_architecture_word_is_none() -> None:
    assert judge(Request("Draw the architecture")).triggers == ()


def test_a_high_trigger_escalates_only_with_a_high_mean() -> None:
    assert judge(Request("x", service_count=2)).escalate
    assert judge(Request("x complex", service_count=2)).escalate  # the mean of .8 and .6 is .7
