"""The calculator counts what the templates hold, with the prices that requests are metered with."""

import json
from pathlib import Path
from typing import Any

import pytest

from infra import cost
from infra.local.template import Template
from quintet.telemetry.platform import nano_usd, prices, written


@pytest.fixture(scope="module")
def template() -> Template:
    return Template(cost.ROOT / "template.yaml")


@pytest.fixture
def kinds(repository: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((repository / "infra/units.json").read_text())["kinds"]
    return found


def test_an_idle_month_is_what_is_there_times_its_price(template: Template) -> None:
    number = cost.there(template)
    alarms = len(list(template.nested["Observability"].of_type("AWS::CloudWatch::Alarm")))
    assert number == {"kms_key": 4, "secret": 2, "alarm": alarms, "dashboard": 2}
    month = cost.fixed(number, free=False)
    assert month["alarm"] == pytest.approx(alarms * prices()["month"]["alarm"])
    assert sum(month.values()) < 15
    assert sum(each for name, each in month.items() if name not in cost.WATCHING) < 5
    spared = cost.fixed(number, free=True)
    assert spared["dashboard"] == 0
    assert spared["alarm"] == pytest.approx(month["alarm"] - 1)


def test_what_is_optional_in_an_idle_month_can_be_left_out(template: Template) -> None:
    assert {name for name, each in cost.optional(template).items() if each} == {"Watched", "Sealing"}


def test_snapshots_cost_by_memory_and_only_those_who_ask_for_them(template: Template) -> None:
    month, woken = cost.snapshots(template)
    asked = [each for _, each in template.of_type("AWS::Serverless::Function") if "SnapStart" in each]
    gigabytes = sum(each.get("MemorySize", template.globals["MemorySize"]) for each in asked) / 1024
    assert month == pytest.approx(gigabytes * 2_628_000 * 1.5046e-6)
    assert woken == pytest.approx(gigabytes / len(asked) * 139.7998)


def test_every_schedule_and_every_queue_that_is_looked_into_costs_something(
    template: Template, kinds: dict[str, Any]
) -> None:
    running = cost.running(template, kinds)
    assert running.keys() == {"workflow", "rollup", "fanout", "deliver", "life", cost.POLLING}
    assert all(each > 0 for each in running.values())
    assert running[cost.POLLING] == pytest.approx(3 * 15 * cost.MINUTES * prices()["request"]["sqs_request"])
    assert sum(running.values()) < 3


def test_a_million_of_each_kind_is_its_parts_added_up(template: Template, kinds: dict[str, Any]) -> None:
    step = kinds["policy_step"]
    parts = sum(nano_usd(units) for units in step["used"].values())
    assert cost.usd(step, template, model_seconds=9) == pytest.approx(parts / 1e9, rel=1e-3)
    call = kinds["model_call"]
    longer = cost.usd(call, template, model_seconds=2) - cost.usd(call, template, model_seconds=0)
    assert longer == pytest.approx(2 * 512 / 1024 * prices()["request"]["lambda_gb_second_arm"], rel=1e-3)


def test_every_group_of_the_api_and_all_work_behind_it_is_measured(template: Template, kinds: dict[str, Any]) -> None:
    functions = {
        properties["Handler"].partition(".")[0] for _, properties in template.of_type("AWS::Serverless::Function")
    }
    measured = {function for kind in kinds.values() for function in kind["used"]}
    # Who manages asks little; the inbox answers Slack and telephones, as a turn of a persona does.
    assert functions - measured == {"admin", "inbox", "operations", "webhooks"}
    assert {unit for kind in kinds.values() for units in kind["used"].values() for unit in units} <= prices()[
        "request"
    ].keys()


def test_a_task_pays_for_the_states_that_its_execution_goes_through(kinds: dict[str, Any]) -> None:
    assert kinds["task"]["used"]["workflow"]["state_transition"] >= 10


def test_a_record_pays_for_itself_and_for_its_index() -> None:
    assert written("x" * 1024) == 2
    assert written("x" * 1025) == 3


def test_the_calculator_shows_each_kind_and_three_idle_months(
    kinds: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["cost"])
    cost.main()
    told = capsys.readouterr().out
    assert "Watched=false" in told
    for name, kind in kinds.items():
        assert (kind["what"] in told) != name.startswith("tick_")
