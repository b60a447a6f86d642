"""What template.yaml says, against what the code expects of it."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from infra.local.template import Template
from quintet.settings import Settings

FOREIGN = ("POWERTOOLS_", "PYDANTIC_", "AWS_LAMBDA_")  # others read these


@pytest.fixture
def template(repository: Path) -> Template:
    return Template(repository / "template.yaml")


def test_no_two_functions_share_a_route(template: Template) -> None:
    routes = Counter(route for function in template.functions.values() for route in function.routes)
    assert [route for route, owners in routes.items() if owners > 1] == []


def test_every_variable_that_functions_are_given_is_a_setting(template: Template) -> None:
    given = {*_variables(template.globals)}
    for _, properties in template.of_type("AWS::Serverless::Function"):
        given |= _variables(properties)
    assert {name for name in given if not name.startswith(FOREIGN)} - Settings.names() == set()


def test_every_function_behind_the_api_may_do_what_its_door_does(template: Template) -> None:
    behind = {name for name, function in template.functions.items() if function.routes}
    with_door = {
        name
        for name, properties in template.of_type("AWS::Serverless::Function")
        if "DoorPolicy" in str(properties.get("Policies", []))
    }
    assert with_door >= behind


def _variables(properties: Any) -> set[str]:
    return set(properties.get("Environment", {}).get("Variables", {}))
