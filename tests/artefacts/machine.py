"""Lambda's machine around a function that was built: its zips unpacked at /var/task and /opt, and nothing else of ours.

A mount namespace of the process's own puts them there, so that paths are those of AWS and the checkout is on no path.
"""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra import build
from infra.shipped import Shipped, shipped
from tests.bench.artefact import awss_runtime
from tests.sandbox import Sandbox

PLACE = build.ROOT / ".build/artefacts"
# Folders arrive as $0, $1 and $2; /var is a file system of the process's own, for the places may not be there.
_ENTER = """
mount -t tmpfs none /var && mkdir /var/task /var/runtime &&
mount --bind "$0" /var/task && mount --bind "$1" /opt && mount --bind "$2" /var/runtime &&
shift 2 && cd /var/task && exec "$@"
"""


@dataclass(frozen=True, slots=True)
class Machine:
    """One for all functions: an interpreter without packages, and what Lambda's image has beside it."""

    python: str
    runtime: Path
    functions: Sequence[Shipped]

    def start(
        self, function: Shipped, folder: Path, environment: Mapping[str, str], *, snap_start: bool = False
    ) -> Sandbox:
        """`folder` is empty: the zips are unpacked there, the layers over each other in their order."""
        task, opt = folder / "task", folder / "opt"
        arrived(function.code, task)
        for layer in function.layers:
            arrived(layer, opt)
        wrapper = environment.get("AWS_LAMBDA_EXEC_WRAPPER")
        started = (
            [wrapper, self.python, "/var/runtime/bootstrap.py"]
            if wrapper
            else [self.python, "-m", "awslambdaric", function.handler]
        )
        return Sandbox(
            function.handler,
            runtime="ours" if wrapper else "aws",
            environment={
                **environment,
                "LAMBDA_TASK_ROOT": "/var/task",
                "LAMBDA_RUNTIME_DIR": "/var/runtime",
                "PYTHONPATH": "/var/runtime" if wrapper else "/var/task:/opt/python:/var/runtime",
                "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start" if snap_start else "on-demand",
            },
            command=[
                *("unshare", "--map-root-user", "--mount", "sh", "-c", _ENTER),
                *map(str, (task, opt, self.runtime)),
                *started,
            ],
        )


def machine() -> Machine:
    """Through `sam build`, as what ships: for this processor, and for Lambda's Python where there is one here."""
    python = build.interpreter() or sys.executable
    built = PLACE / "built"
    shutil.rmtree(PLACE, ignore_errors=True)
    environment = os.environ | {"BUILD_FOR": "host", "PYTHON": python, "SAM_CLI_TELEMETRY": "0"}
    command = ["sam", "build", "--build-dir", str(built)]
    done = subprocess.run(command, cwd=build.ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    subprocess.run([python, "-m", "venv", "--without-pip", PLACE / "python"], check=True)
    return Machine(str(PLACE / "python/bin/python"), awss_runtime(PLACE / "runtime", python), shipped(built))


def arrived(tree: Path, place: Path) -> None:
    """By way of a zip, as to Lambda: permissions and all."""
    packed = place.with_suffix(".zip")
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as file:
        for path in sorted(tree.rglob("*")):
            file.write(path, path.relative_to(tree))
    with zipfile.ZipFile(packed) as file:
        for member in file.infolist():
            whole = Path(file.extract(member, place))
            whole.chmod(member.external_attr >> 16 & 0o777)
    packed.unlink()
