"""The calculator counts what the templates hold, with the prices that requests are metered with."""

import json
from pathlib import Path

import pytest

from infra.cost import idle_month, of_a_million
from infra.local.template import Template
from quintet.telemetry.platform import Units, prices, written


def test_an_idle_month_is_what_is_there_times_its_price(repository: Path) -> None:
    template = Template(repository / "template.yaml")
    month = idle_month(template)
    alarms = len(list(template.nested["Observability"].of_type("AWS::CloudWatch::Alarm")))
    assert month["alarm"] == pytest.approx(alarms * prices()["month"]["alarm"])
    assert month["secret"] == pytest.approx(2 * prices()["month"]["secret"])
    assert sum(month.values()) < 30


def test_a_million_of_each_kind_is_its_parts_added_up(repository: Path) -> None:
    kinds = json.loads((repository / "infra/units.json").read_text())
    step = of_a_million(kinds["policy_step"], 20)
    price = prices()["request"]
    seconds = 1769 / 1024 * 0.02
    parts = price["api_gateway_request"] + price["lambda_request"] + seconds * price["lambda_gb_second_arm"]
    parts += kinds["policy_step"]["writes"] * price["dynamodb_write_unit"]
    assert step == pytest.approx(parts * 1e6, rel=1e-3)


def test_work_without_a_caller_pays_no_front_door() -> None:
    assert Units(0, 0, 0).nano_usd - Units(0, 0, 0, api=False).nano_usd == 3500


def test_a_record_pays_for_itself_and_for_its_index() -> None:
    assert written("x" * 1024) == 2
    assert written("x" * 1025) == 3


def test_the_memory_of_each_kind_is_its_functions(repository: Path) -> None:
    kinds = json.loads((repository / "infra/units.json").read_text())
    template = Template(repository / "template.yaml")
    functions = dict(template.of_type("AWS::Serverless::Function"))
    default = template.globals["MemorySize"]
    assert kinds["policy_step"]["memory_mb"] == functions["PolicyFunction"]["MemorySize"]
    assert kinds["model_call"]["memory_mb"] == functions["BrokerFunction"].get("MemorySize", default)
