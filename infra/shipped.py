"""Looks at what `sam build` has made before anybody deploys it: Lambda can load it, starts fast from it, and takes it.

`make build` ends with it. Needs nothing but PyYAML, so that it runs where SAM does.
"""

import argparse
import hashlib
import re
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.build import PYTHON, ROOT, interpreter
from infra.local.template import FUNCTION, Template

BUILT = ROOT / ".aws-sam/build"
MOST = 250 << 20  # what Lambda takes of a function and its layers, unzipped
ARM = 183  # ELF's number of aarch64
GLIBC = (2, 34)  # Amazon Linux 2023's, which Lambda's python3.13 runs on
_LAYER = "AWS::Serverless::LayerVersion"
_TAG = f"cpython-{PYTHON.replace('.', '')}"
_MAGIC = {"3.13": 3571}  # of its bytecode
_EXTENSION = re.compile(r"\.(cpython-[\w-]+|abi3)\.so$")
_NEEDED = re.compile(rb"GLIBC_(\d+)\.(\d+)\b")
_UNCHECKED = 1  # the flag of bytecode that is taken as it is (PEP 552)


@dataclass(frozen=True, slots=True)
class Shipped:
    """A function as Lambda would unpack it: its own folder at /var/task, its layers over each other at /opt."""

    name: str
    handler: str
    code: Path
    layers: tuple[Path, ...]
    variables: dict[str, Any]
    snapshots: bool = False  # where the stack wants any

    @property
    def trees(self) -> tuple[Path, ...]:
        return (self.code, *self.layers)


def shipped(built: Path) -> list[Shipped]:
    """Raises FileNotFoundError where nothing was built."""
    template = Template(built / "template.yaml")
    layers = {name: built / properties["ContentUri"] for name, properties in template.of_type(_LAYER)}
    common = template.globals
    return [
        Shipped(
            name,
            properties["Handler"],
            built / properties["CodeUri"],
            tuple(layers[each["Ref"]] for each in [*common.get("Layers", ()), *properties.get("Layers", ())]),
            common.get("Environment", {}).get("Variables", {}) | properties.get("Environment", {}).get("Variables", {}),
            "SnapStart" in properties,
        )
        for name, properties in template.of_type(FUNCTION)
    ]


def faults(functions: list[Shipped], *, compiled: bool) -> list[str]:
    """What Lambda would stumble over, in words. `compiled`: there was an interpreter to compile with."""
    trees = sorted({tree for function in functions for tree in function.trees})
    found = [f"{tree.name}/{fault}" for tree in trees for fault in _of_tree(tree, compiled=compiled)]
    for function in functions:
        module = Path(*function.handler.split(".")[:-1]).with_suffix(".py")
        if not (function.code / module).is_file():
            found.append(f"{function.name}: there is no {module}")
        wrapper = function.variables.get("AWS_LAMBDA_EXEC_WRAPPER")
        if wrapper and not any(_runs(layer / Path(wrapper).relative_to("/opt")) for layer in function.layers):
            found.append(f"{function.name}: no layer brings {wrapper} as something that can be executed")
        if (weight := sum(size(tree) for tree in function.trees)) > MOST:
            found.append(f"{function.name}: {weight >> 20} MB unzipped, and Lambda takes {MOST >> 20}")
    return found


def digest(tree: Path) -> str:
    """The same for the same content: names, permissions and bytes."""
    told = hashlib.sha256()
    for path in _files(tree):
        told.update(f"{path.relative_to(tree)}\0{path.stat().st_mode & 0o777:o}\0".encode())
        told.update(hashlib.sha256(path.read_bytes()).digest())
    return told.hexdigest()


def size(tree: Path) -> int:
    return sum(path.stat().st_size for path in _files(tree))


def _of_tree(tree: Path, *, compiled: bool) -> Iterator[str]:
    for path in _files(tree):
        name = path.relative_to(tree)
        if path.suffix == ".so" or ".so." in path.name:
            yield from (f"{name}: {fault}" for fault in _of_library(path))
        elif path.suffix == ".py" and compiled:
            yield from (f"{name}: {fault}" for fault in _of_source(path))
        elif path.suffix == ".pyc" and not path.name.endswith(f".{_TAG}.pyc"):
            yield f"{name}: bytecode of another Python than {PYTHON}"


def _of_library(path: Path) -> Iterator[str]:
    content = path.read_bytes()
    if content[:5] != b"\x7fELF\x02":
        yield "no 64-bit ELF library"
        return
    (machine,) = struct.unpack_from("<H", content, 18)
    if machine != ARM:
        yield f"made for machine {machine}, not for arm64 ({ARM})"
    extension = _EXTENSION.search(path.name)
    if extension and extension[1] not in {"abi3", f"{_TAG}-aarch64-linux-gnu"}:
        yield f"Python {PYTHON} on arm64 does not look for {extension[1]}"
    needed = max(((int(major), int(minor)) for major, minor in _NEEDED.findall(content)), default=(0, 0))
    if needed > GLIBC:
        yield f"needs glibc {needed[0]}.{needed[1]}, and Lambda has {GLIBC[0]}.{GLIBC[1]}"


def _of_source(path: Path) -> Iterator[str]:
    bytecode = path.parent / "__pycache__" / f"{path.stem}.{_TAG}.pyc"
    if not bytecode.is_file():
        yield "not compiled"
        return
    magic, flags = struct.unpack_from("<Hxxl", bytecode.read_bytes())
    if magic != _MAGIC[PYTHON]:
        yield f"compiled by another Python than {PYTHON}"
    if flags != _UNCHECKED:
        yield "its bytecode is compared with the source at every start"


def _runs(path: Path) -> bool:
    return path.is_file() and path.stat().st_mode & 0o111 == 0o111


def _files(tree: Path) -> Iterator[Path]:
    return (path for path in sorted(tree.rglob("*")) if path.is_file())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.shipped", description=__doc__)
    parser.add_argument("built", nargs="?", type=Path, default=BUILT)
    functions = shipped(parser.parse_args().built)
    for tree in sorted({tree for function in functions for tree in function.trees}):
        print(f"{tree.name:<19} {size(tree) / (1 << 20):6.1f} MB  sha256 {digest(tree)[:16]}")
    heaviest = max(functions, key=lambda function: sum(map(size, function.trees)))
    weight = sum(map(size, heaviest.trees)) / (1 << 20)
    print(f"the heaviest with its layers: {heaviest.name}, {weight:.0f} of {MOST >> 20} MB unzipped")
    found = faults(functions, compiled=interpreter() is not None)
    for fault in found:
        print(f"WRONG: {fault}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
