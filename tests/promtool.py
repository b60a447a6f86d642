"""promtool, Prometheus' own judge of expositions and expressions: the one on PATH, or out of Debian's package."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

PLACE = Path(__file__).resolve().parents[1] / ".build" / "prometheus"
_SAMPLE = re.compile(r"(?P<series>[a-z_]+(?:\{.*\})?) (?P<value>[0-9.e+-]+)")


@pytest.fixture(scope="session")
def promtool() -> "Promtool":
    return Promtool(_found())


class Promtool:
    def __init__(self, program: str) -> None:
        self._program = program

    def check(self, exposition: str) -> str:
        """What it finds wrong with an exposition; nothing when it is valid and named by the rules."""
        done = subprocess.run([self._program, "check", "metrics"], input=exposition, capture_output=True, text=True)
        return (done.stdout + done.stderr).strip() or ("" if done.returncode == 0 else "it failed without a word")

    def without_data(self, expressions: Iterable[str], exposition: str, folder: Path) -> str:
        """Evaluates expressions over series that grow from this exposition: what it says of those that find none."""
        series = [
            {"series": found["series"], "values": f"{found['value']}+{found['value']}x30"}
            for line in exposition.splitlines()
            if not line.startswith("#") and (found := _SAMPLE.fullmatch(line))
        ]
        tests = [
            {
                "expr": f"count({expression}) > bool 0",
                "eval_time": "25m",
                "exp_samples": [{"labels": "{}", "value": 1}],
            }
            for expression in expressions
        ]
        suite = {
            "evaluation_interval": "1m",
            "tests": [{"interval": "1m", "input_series": series, "promql_expr_test": tests}],
        }
        path = folder / "suite.yaml"
        path.write_text(json.dumps(suite))  # JSON is YAML
        done = subprocess.run([self._program, "test", "rules", path], capture_output=True, text=True)
        return "" if done.returncode == 0 else done.stdout + done.stderr


def _found() -> str:
    own = PLACE / "usr/bin/promtool"
    program = shutil.which("promtool") or (str(own) if own.is_file() else None)
    if program:
        return program
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        pytest.skip("promtool is not on PATH, and there is no apt to fetch Debian's package `prometheus` with")
    PLACE.mkdir(parents=True, exist_ok=True)
    fetched = subprocess.run(["apt-get", "download", "prometheus"], cwd=PLACE, capture_output=True, text=True)
    packages = sorted(PLACE.glob("prometheus_*.deb"))
    if fetched.returncode or not packages:
        pytest.skip(f"promtool is not on PATH, and apt did not fetch it: {fetched.stderr.strip()[-200:]}")
    subprocess.run(["dpkg", "-x", packages[-1], PLACE], check=True)
    packages[-1].unlink()
    return str(own)
