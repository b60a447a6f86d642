"""What models answer, made sense of: the good, the wrapped, the broken and the hostile."""

import json

import pytest

from quintet.tasks.outcomes import Constraints, plan_of, review_of, work_of

CONSTRAINTS = Constraints(most_files=2, most_lines=10, file_types=(".py", ".md"))
CRITERIA = ["Orders are listed", "The newest comes first"]


def file(path: str, content: str = "x", kind: str = "source") -> dict[str, str]:
    return {"path": path, "kind": kind, "content": content}


def test_a_plan_that_meets_every_criterion_is_taken() -> None:
    steps = [{"title": "Model", "criteria": [1]}, {"title": "Sort  it", "criteria": [2]}]
    assert plan_of(json.dumps({"steps": steps}), CRITERIA, "List orders") == ["Model", "Sort it"]


@pytest.mark.parametrize(
    "text",
    [
        "no JSON at all",
        "[]",
        '{"steps": "many"}',
        '{"steps": []}',
        '{"steps": [{"title": "Model", "criteria": [1]}]}',
        '{"steps": [{"title": "", "criteria": [1, 2]}]}',
        '{"steps": [7, null]}',
    ],
)
def test_a_plan_that_leaves_out_a_criterion_is_none(text: str) -> None:
    assert plan_of(text, CRITERIA, "List orders") == CRITERIA
    assert plan_of("nonsense", [], "List orders") == ["List orders"]


@pytest.mark.parametrize("wrapped", ["{}", "Here you are:\n```json\n{}\n```\nDone.", "Sure! {} That is all."])
def test_json_is_found_where_models_hide_it(wrapped: str) -> None:
    text = wrapped.replace("{}", json.dumps({"summary": "did it", "files": [file("a.py")]}))
    found = work_of(text, writes=True, constraints=CONSTRAINTS, so_far=0)
    assert (found.summary, [each.path for each in found.files]) == ("did it", ["a.py"])


def test_prose_is_a_summary() -> None:
    assert work_of("I did it.", writes=True, constraints=CONSTRAINTS, so_far=0).summary == "I did it."


@pytest.mark.parametrize("path", ["/etc/passwd.py", "../up.py", "a/../../b.py", "a\\b.py", "a\nb.py", "run.sh", ".py"])
def test_a_file_outside_the_repository_or_of_another_type_is_left_out(path: str) -> None:
    found = work_of(json.dumps({"summary": "s", "files": [file(path)]}), writes=True, constraints=CONSTRAINTS, so_far=0)
    assert found.files == ()
    assert len(found.left_out) == 1


def test_more_than_a_role_may_touch_is_left_out() -> None:
    answer = json.dumps({"summary": "s", "files": [file("a.py"), file("b.py"), file("c.py")]})
    found = work_of(answer, writes=True, constraints=CONSTRAINTS, so_far=1)
    assert [each.path for each in found.files] == ["a.py"]
    assert len(found.left_out) == 2
    long = json.dumps({"summary": "s", "files": [file("a.py", "x\n" * 20)]})
    assert work_of(long, writes=True, constraints=CONSTRAINTS, so_far=0).files == ()


def test_who_writes_no_files_has_none() -> None:
    answer = json.dumps({"summary": "s", "files": [file("a.py")]})
    assert work_of(answer, writes=False, constraints=CONSTRAINTS, so_far=0).files == ()


def test_a_review_says_only_what_the_critic_said() -> None:
    good = review_of('{"approved": true, "score": 95, "comments": "fine"}')
    assert (good.approved, good.score, good.comments) == (True, 95, "fine")
    for text in ('{"approved": "yes", "score": 101}', "I do not know", '{"score": true}'):
        review = review_of(text)
        assert (review.approved, review.score) == (False, None)
