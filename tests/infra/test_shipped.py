"""What `make build` looks for in its own work: the faults that Lambda would only show to callers."""

import struct
from pathlib import Path

import pytest

from infra.shipped import ARM, Shipped, digest, faults

X86 = 62


@pytest.fixture
def function(tmp_path: Path) -> Shipped:
    """A function without a fault."""
    code, layer = tmp_path / "F", tmp_path / "L"
    for source in (code / "ask/app.py", layer / "python/lib.py"):
        source.parent.mkdir(parents=True)
        source.touch()
        bytecode(source)
    library(layer / "python/fast.cpython-313-aarch64-linux-gnu.so")
    (layer / "stream").touch(0o755)
    return Shipped("F", "ask.app.handler", code, (layer,), {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/stream"})


def bytecode(source: Path, *, magic: int = 3571, flags: int = 1) -> Path:
    path = source.parent / "__pycache__" / f"{source.stem}.cpython-313.pyc"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(struct.pack("<H2sl", magic, b"\r\n", flags))
    return path


def library(path: Path, *, machine: int = ARM, needs: bytes = b"GLIBC_2.28\0GLIBC_2.17") -> None:
    path.write_bytes(b"\x7fELF\x02" + bytes(13) + struct.pack("<H", machine) + needs)


def test_a_good_build_has_no_faults(function: Shipped) -> None:
    assert faults([function], compiled=True) == []


@pytest.mark.parametrize(
    ("name", "machine", "needs", "fault"),
    [
        ("a.cpython-313-aarch64-linux-gnu.so", X86, b"", "made for machine 62"),
        ("a.cpython-312-aarch64-linux-gnu.so", ARM, b"", "does not look for cpython-312"),
        ("a.cpython-313-aarch64-linux-musl.so", ARM, b"", "does not look for cpython-313-aarch64-linux-musl"),
        ("a.abi3.so", ARM, b"GLIBC_2.38", "needs glibc 2.38"),
        ("liba.so.1", X86, b"", "made for machine 62"),
    ],
)
def test_a_library_that_lambda_cannot_load_is_told_of(
    name: str, machine: int, needs: bytes, fault: str, function: Shipped
) -> None:
    library(function.layers[0] / name, machine=machine, needs=needs)
    (told,) = faults([function], compiled=True)
    assert told.startswith(f"L/{name}: ")
    assert fault in told


@pytest.mark.parametrize(
    ("magic", "flags", "fault"), [(3571, 0, "compared with the source"), (3495, 1, "by another Python than 3.13")]
)
def test_bytecode_that_would_not_be_used_as_it_is_is_told_of(
    magic: int, flags: int, fault: str, function: Shipped
) -> None:
    bytecode(function.code / "ask/app.py", magic=magic, flags=flags)
    (told,) = faults([function], compiled=True)
    assert fault in told


def test_what_is_not_compiled_is_told_of_where_it_could_have_been(function: Shipped) -> None:
    (function.code / "ask/late.py").touch()
    assert faults([function], compiled=True) == ["F/ask/late.py: not compiled"]
    assert faults([function], compiled=False) == []


def test_a_wrapper_that_cannot_be_executed_and_a_handler_that_is_not_there_are_told_of(function: Shipped) -> None:
    (function.layers[0] / "stream").chmod(0o644)
    (function.code / "ask/app.py").unlink()
    assert faults([function], compiled=False) == [
        "F: there is no ask/app.py",
        "F: no layer brings /opt/stream as something that can be executed",
    ]


def test_what_lambda_would_not_take_is_told_of(function: Shipped) -> None:
    with (function.layers[0] / "large").open("wb") as file:
        file.truncate(251 << 20)
    assert faults([function], compiled=True) == ["F: 251 MB unzipped, and Lambda takes 250"]


def test_a_digest_is_of_names_permissions_and_bytes(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for tree in (one, other):
        tree.mkdir()
        (tree / "a").write_bytes(b"a")
    assert digest(one) == digest(other)
    (other / "a").chmod(0o755)
    assert digest(one) != digest(other)
