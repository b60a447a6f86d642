"""What goes into the zips: layers installed from their locks, trimmed, compiled ahead. `sam build` runs it.

Standard library only: it may be any Python from 3.11 on that runs it.
"""

import argparse
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PYTHON = "3.13"
PLATFORM = "aarch64-manylinux_2_28"  # Lambda's python3.13 runs on Amazon Linux 2023

# The only services that botocore can speak to in what ships. A test compares them with what the code asks for.
SERVICES = (
    "apigatewaymanagementapi",
    "bedrock-runtime",
    "cloudwatch",
    "dynamodb",
    "events",
    "kms",
    "s3",
    "scheduler",
    "sqs",
    "ssm",
    "sso",
    "sso-oidc",
    "stepfunctions",
    "sts",
    "xray",
)
_ENDPOINT_PREFIXES = {
    "apigatewaymanagementapi": "execute-api",
    "cloudwatch": "monitoring",
    "sso": "portal.sso",
    "sso-oidc": "oidc",
    "stepfunctions": "states",
}

_MEBI = 1 << 20
LIMITS = {"vendor": (60 * _MEBI, 18 * _MEBI), "inference": (150 * _MEBI, 50 * _MEBI)}  # unzipped, zipped
_SMALL = (5 * _MEBI, 2 * _MEBI)

# Needed to build or to type-check others, never to run.
_UNUSED = ("bin", "cffi", "pycparser", "wrapt-stubs", "boto3/data", "boto3/examples", "pydantic/v1")
_UNUSED_SUFFIXES = {".c", ".h", ".pxd", ".pyi", ".pyx", ".typed"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["core", "functions", "inference", "vendor"])
    parser.add_argument("target", type=Path)
    host = os.environ.get("BUILD_FOR") == "host"  # the way through `sam build`, which hands on no options
    parser.add_argument(
        "--host", action="store_true", default=host, help="for this machine and this Python, instead of Lambda's"
    )
    options = parser.parse_args()
    build(options.part, options.target.resolve(), host=options.host)


def build(part: str, target: Path, *, host: bool = False) -> None:
    target.mkdir(parents=True, exist_ok=True)
    if part == "functions":
        copy_sources(ROOT / "functions", target)
        compile_ahead(target, "/var/task", host=host)
    elif part == "core":
        copy_sources(ROOT / "layers/core/quintet", target / "python/quintet")
        shutil.copy(ROOT / "layers/core/stream", target)
        (target / "stream").chmod(0o755)
        compile_ahead(target, "/opt", host=host)
    else:
        install(ROOT / "layers" / part / "requirements.txt", target / "python", host=host)
        trim(target / "python")
        if part == "inference":
            copy_policies(ROOT / "policies", target / "policies")
        compile_ahead(target, "/opt", host=host)
    weigh(part, target)


def copy_sources(source: Path, target: Path) -> None:
    shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "Makefile"))


def copy_policies(source: Path, target: Path) -> None:
    """Cards and graphs; what trained them stays behind."""
    for path in [*source.glob("*/card.json"), *source.glob("*/*.onnx")]:
        kept = target / path.relative_to(source)
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, kept)


def install(requirements: Path, target: Path, *, host: bool) -> None:
    where = ["--python", sys.executable]
    if not host:
        where += ["--python-platform", PLATFORM, "--python-version", PYTHON]
    # Copies: uv would link to its cache, and what is trimmed here would be trimmed in every environment of the machine.
    command = [find_uv(), "pip", "install", "--quiet", "--link-mode", "copy", "--no-deps", "--require-hashes"]
    command += ["--only-binary", ":all:", "--target", str(target), "--requirements", str(requirements)]
    subprocess.run([*command, *where], check=True)


def trim(packages: Path) -> None:
    for unused in _UNUSED:
        _remove(packages / unused)
    for metadata in packages.glob("*.dist-info"):
        _remove(metadata)  # whoever asks for versions or plug-ins reads all of them, at every start
    for path in sorted(packages.rglob("*")):
        if path.is_dir() and path.name in {"__pycache__", "tests"}:
            _remove(path)
        elif path.is_file() and (path.suffix in _UNUSED_SUFFIXES or path.name == ".lock"):
            path.unlink()
    data = packages / "botocore/data"
    if data.is_dir():
        trim_botocore(data)


def trim_botocore(data: Path) -> None:
    """Without it, every client lists 440 folders and parses a megabyte of endpoints."""
    for service in data.iterdir():
        if service.is_dir():
            if service.name in SERVICES:
                _trim_service(service)
            else:
                _remove(service)
    path = data / "endpoints.json"
    endpoints = json.loads(path.read_bytes())
    kept = {_ENDPOINT_PREFIXES.get(service, service) for service in SERVICES}
    for partition in endpoints["partitions"]:
        partition["services"] = {name: told for name, told in partition["services"].items() if name in kept}
    path.write_text(_compact(endpoints))


def _trim_service(service: Path) -> None:
    """The newest version, without prose, and as plain JSON: what is small need not be unpacked at every start."""
    newest = max(version for version in service.iterdir() if version.is_dir())
    for version in service.iterdir():
        if version != newest:
            _remove(version)
    for packed in newest.iterdir():
        kind = packed.name.partition("-")[0]
        if kind in {"service", "endpoint", "paginators", "waiters"}:
            content = gzip.decompress(packed.read_bytes()) if packed.suffix == ".gz" else packed.read_bytes()
            plain = packed.with_suffix("") if packed.suffix == ".gz" else packed
            packed.unlink()
            plain.write_text(_compact(_without_prose(json.loads(content))))
        else:
            packed.unlink()


def _without_prose(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: _without_prose(each)
            for name, each in value.items()
            if name not in {"documentation", "documentationUrl"} or not isinstance(each, str)
        }
    return [_without_prose(each) for each in value] if isinstance(value, list) else value


def compile_ahead(tree: Path, place: str, *, host: bool) -> None:
    """Unchecked hashes: a zip's dates say nothing, and nobody edits what is deployed."""
    python = sys.executable if host else interpreter()
    if python is None:
        print(f"WARNING: no Python {PYTHON} here to compile with. What ships works, but starts at half the speed.")
        return
    command = [python, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "-s", str(tree), "-p", place]
    subprocess.run([*command, tree], check=True)


def interpreter() -> str | None:
    """One of the very minor version: bytecode of another is ignored."""
    folders = os.environ.get("PATH", "").split(os.pathsep)
    candidates = [Path(folder) / f"python{PYTHON}" for folder in folders if folder]
    candidates += sorted(Path.home().glob(f".pyenv/versions/{PYTHON}*/bin/python"))
    for candidate in candidates:
        if candidate.is_file():
            told = subprocess.run([candidate, "--version"], capture_output=True, text=True, check=False)
            if re.match(rf"Python {re.escape(PYTHON)}\.", told.stdout):
                return str(candidate)
    return None


def weigh(part: str, tree: Path) -> None:
    """Raises SystemExit when it has grown too heavy: the unzipped size bounds the layers, the zipped one the start."""
    unzipped = sum(path.stat().st_size for path in _files(tree))
    with TemporaryFile() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
            for path in _files(tree):
                packed.write(path, path.relative_to(tree))
        zipped = file.tell()
    print(f"{part}: {unzipped / _MEBI:.1f} MB, zipped {zipped / _MEBI:.1f} MB")
    most_unzipped, most_zipped = LIMITS.get(part, _SMALL)
    if unzipped > most_unzipped or zipped > most_zipped:
        sys.exit(f"{part} is larger than {most_unzipped // _MEBI} MB, or than {most_zipped // _MEBI} MB zipped")


def _files(tree: Path) -> Iterator[Path]:
    return (path for path in sorted(tree.rglob("*")) if path.is_file())


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def find_uv() -> str:
    return shutil.which("uv") or str(ROOT / ".tools/bin/uv")


if __name__ == "__main__":
    main()
