"""A function streams as a whole or not at all: our runtime answers in another form than AWS's."""

from pathlib import Path
from typing import Any

import pytest

from infra.local.template import FUNCTION, Template

WRAPPER = "/opt/stream"


def inconsistent(template: Template) -> list[str]:
    """Events whose transfer mode does not fit the runtime of their function."""
    found = []
    for name, properties in template.of_type(FUNCTION):
        variables = properties.get("Environment", {}).get("Variables", {})
        ours = variables.get("AWS_LAMBDA_EXEC_WRAPPER")
        assert ours in (None, WRAPPER), f"{name} starts with another wrapper than the core layer's"
        for event, told in properties.get("Events", {}).items():
            streams = told["Properties"].get("ResponseTransferMode") == "RESPONSE_STREAM"
            if told["Type"] == "Api" and streams is not (ours == WRAPPER):
                found.append(f"{name}.{event}")
    return found


def test_every_route_fits_the_runtime_of_its_function(repository: Path) -> None:
    assert inconsistent(Template(repository / "template.yaml")) == []


@pytest.mark.parametrize(
    ("variables", "event", "expected"),
    [
        ({"AWS_LAMBDA_EXEC_WRAPPER": WRAPPER}, {"ResponseTransferMode": "RESPONSE_STREAM"}, []),
        ({"AWS_LAMBDA_EXEC_WRAPPER": WRAPPER}, {}, ["Ask.Stream"]),
        ({}, {"ResponseTransferMode": "RESPONSE_STREAM"}, ["Ask.Stream"]),
        ({}, {}, []),
    ],
)
def test_the_check_above_sees_a_misfit(
    variables: dict[str, str], event: dict[str, Any], expected: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "template.yaml"
    path.write_text(
        f"Resources: {{Ask: {{Type: '{FUNCTION}', Properties: {{Environment: {{Variables: {variables}}},"
        f" Events: {{Stream: {{Type: Api, Properties: {event}}}}}}}}}}}"
    )
    assert inconsistent(Template(path)) == expected
