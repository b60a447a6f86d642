"""Builds what ships for the interpreter that is measured, with AWS's runtime beside it."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from infra.build import ROOT, find_uv
from infra.local.template import FUNCTION, Template

_RUNTIME = ("awslambdaric", "simplejson", "snapshot-restore-py")


@dataclass(frozen=True, slots=True)
class Subject:
    """A function as the template describes it."""

    name: str
    handler: str
    runtime: Literal["aws", "ours"]
    environment: dict[str, str]
    inference: bool = False  # carries the heavy layer

    @property
    def heavy(self) -> bool:
        """Imports that layer while it starts: `make bench-policy` has its goals."""
        return self.name == "policy"


def build(target: Path, python: str) -> list[Path]:
    """The folders that go onto the path, in Lambda's order."""
    shutil.rmtree(target, ignore_errors=True)
    for part in _parts():
        _run(python, ROOT / "infra/build.py", part, target / part, "--host")
    runtime = awss_runtime(target / "runtime", python)
    shutil.copy(ROOT / "tests/bench/hello.py", runtime)
    _compile(runtime, python)
    return folders(target)


def folders(target: Path) -> list[Path]:
    return [target / part / ("" if part == "functions" else "python") for part in _parts()] + [target / "runtime"]


def _parts() -> list[str]:
    return ["functions", "core", "vendor", *(["inference"] if any(one.inference for one in subjects()) else [])]


def awss_runtime(target: Path, python: str) -> Path:
    """What Lambda's image has beside an interpreter."""
    install = [find_uv(), "pip", "install", "--quiet", "--link-mode", "copy", "--no-deps", "--require-hashes"]
    target.parent.mkdir(parents=True, exist_ok=True)
    _run(*install, "--python", python, "--target", target, "--requirements", _lock(target.parent))
    _compile(target, python)
    return target


def _compile(tree: Path, python: str) -> None:
    _run(python, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", tree)


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _lock(target: Path) -> Path:
    """The runtime's own part of the development lock."""
    kept: list[str] = []
    keeping = False
    for line in (ROOT / "requirements/dev.txt").read_text().splitlines():
        if not line.startswith((" ", "#")):
            keeping = line.startswith(_RUNTIME)
        if keeping:
            kept.append(line)
    lock = target / "runtime.txt"
    lock.write_text("\n".join(kept))
    return lock


def subjects() -> list[Subject]:
    """Every function whose code is there, with the environment that a deployed stack gives it."""
    template = Template(ROOT / "template.yaml")
    parameters = template.document.get("Parameters", {})
    common = _variables(template.globals, parameters)
    found = []
    for name, properties in template.of_type(FUNCTION):
        function = template.functions[name]
        if function.written(ROOT / "functions"):
            environment = common | _variables(properties, parameters)
            ours = environment.pop("AWS_LAMBDA_EXEC_WRAPPER", None)
            handler = f"{function.module}.{function.attribute}"
            inference = "InferenceLayer" in str(properties.get("Layers", ""))
            folder = function.module.partition(".")[0]
            found.append(Subject(folder, handler, "ours" if ours else "aws", environment, inference))
    return found


def _variables(properties: Any, parameters: dict[str, Any]) -> dict[str, str]:
    """Parameters have their defaults; what refers to resources becomes a name that nobody asks for at a start."""

    def value(given: Any) -> str:
        parameter = parameters.get(given.get("Ref", "")) if isinstance(given, dict) else None
        return str(parameter["Default"]) if parameter else given if isinstance(given, str) else "none"

    variables = properties.get("Environment", {}).get("Variables", {})
    return {name: value(given) for name, given in variables.items()}
