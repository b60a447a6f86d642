"""What a function's package holds: a way into the working tree, or everything."""

import hashlib
import io
import os
import platform
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from infra.build import find_uv
from infra.local.children import ROOT
from infra.local.template import Function

_SHIM = "shim"


class Packages(Protocol):
    @property
    def properties(self) -> Mapping[str, Any]:
        """What the template says otherwise about a function's runtime."""
        ...

    def handler(self, function: Function) -> str: ...

    def content(self, function: Function) -> bytes:
        """A zip file."""
        ...


class WorkingTree:
    """For the emulator, whose functions run on this machine with our own packages: edits need no new package."""

    properties: Mapping[str, Any] = {}

    def __init__(self, root: Path = ROOT) -> None:
        self._code = root / "functions"

    def handler(self, _function: Function) -> str:
        return f"{_SHIM}.handler"

    def content(self, function: Function) -> bytes:
        """Never twice the same: a warm process keeps the code that it has loaded until its package changes."""
        lines = [
            "import sys",
            f"sys.path.insert(0, {str(self._code)!r})",
            f"from {function.module} import {function.attribute} as handler  # {time.time_ns()}",
        ]
        return _zipped({f"{_SHIM}.py": "\n".join(lines).encode()})


class Bundle:
    """For emulators that run functions in containers: our code and all that it needs, for this machine's processor.

    The container's Python is the one that runs us. Layers are not used: not every emulator has them.
    """

    def __init__(self, root: Path = ROOT) -> None:
        self._root = root

    @property
    def properties(self) -> Mapping[str, Any]:
        arm = platform.machine() in {"arm64", "aarch64"}
        return {"Runtime": f"python3.{sys.version_info.minor}", "Architectures": ["arm64" if arm else "x86_64"]}

    def handler(self, function: Function) -> str:
        return f"{function.module}.{function.attribute}"

    def content(self, _function: Function) -> bytes:
        return self._content

    @cached_property
    def _content(self) -> bytes:
        files: dict[str, bytes] = {}
        for place in (self._vendored(), self._root / "layers" / "core", self._root / "functions"):
            for path in _files(place):
                files[str(path.relative_to(place))] = path.read_bytes()
        return _zipped(files)

    def _vendored(self) -> Path:
        locked = self._root / "layers" / "vendor" / "requirements.txt"
        machine = {"arm64": "aarch64"}.get(platform.machine(), platform.machine())
        name = f"{hashlib.sha256(locked.read_bytes()).hexdigest()[:16]}-{machine}-{sys.version_info.minor}"
        target = self._root / ".local" / "vendor" / name
        if not target.exists():
            draft = target.with_name(f"{name}.{os.getpid()}")
            options = ["--quiet", "--no-config", "--require-hashes", "--only-binary", ":all:", "-r", str(locked)]
            wanted = [
                "--python-version",
                f"3.{sys.version_info.minor}",
                "--python-platform",
                f"{machine}-manylinux_2_28",
            ]
            subprocess.run([find_uv(), "pip", "install", "--target", str(draft), *wanted, *options], check=True)
            draft.rename(target)
        return target


def _files(place: Path) -> Iterator[Path]:
    for path in sorted(place.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            yield path


def _zipped(files: Mapping[str, bytes]) -> bytes:
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)  # dated 1980: the same files make the same package
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return package.getvalue()
