"""What ships: it holds all that the code needs, nothing that it does not, and starts from its own bytecode."""

import ast
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra import build
from infra.local.template import Template
from quintet.settings import Settings

ROOT = build.ROOT
# Runs in the artefact alone: neither the repository nor this environment's packages are on its path.
IN_ARTEFACT = "import sys; sys.path[:0] = {path!r}; {code}"
ENVIRONMENT = {
    "AWS_LAMBDA_FUNCTION_NAME": "f",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "id",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "LAMBDA_TASK_ROOT": "/var/task",
}


def run(artefact: Path, code: str) -> str:
    path = [str(artefact / part) for part in ("functions", "vendor/python", "core/python", "inference/python")]
    command = [sys.executable, "-I", "-S", "-c", IN_ARTEFACT.format(path=path, code=code)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def services_in_use() -> Iterator[str]:
    """The first argument of every `create_client` and `boto3.client` in what ships."""
    for file in [*(ROOT / "functions").rglob("*.py"), *(ROOT / "layers/core").rglob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                argument = node.args[0]
                if node.func.attr in {"create_client", "client", "resource"} and isinstance(argument, ast.Constant):
                    yield str(argument.value)


def test_botocore_knows_every_service_that_the_code_speaks_to(artefact: Path) -> None:
    assert "sqs" in services_in_use()
    assert set(services_in_use()) <= set(build.SERVICES)
    run(
        artefact,
        "import botocore.session; session = botocore.session.get_session();"
        f"[session.create_client(name, endpoint_url='https://example.test') for name in {build.SERVICES!r}]",
    )


@pytest.mark.parametrize(
    ("region", "suffix"),
    [("eu-central-1", "amazonaws.com"), ("us-gov-west-1", "amazonaws.com"), ("cn-north-1", "amazonaws.com.cn")],
)
def test_botocore_finds_its_way_in_every_partition(artefact: Path, region: str, suffix: str) -> None:
    code = f"import botocore.session as s; print(s.get_session().create_client('kms', {region!r}).meta.endpoint_url)"
    assert run(artefact, code).strip() == f"https://kms.{region}.{suffix}"


def test_botocores_trimmed_models_still_call_and_page(artefact: Path) -> None:
    run(
        artefact,
        "import botocore.session; from botocore.stub import Stubber;"
        "client = botocore.session.get_session().create_client('dynamodb');"
        "stub = Stubber(client); stub.activate();"
        "stub.add_response('query', {'Items': [{'pk': {'S': 'a'}}], 'LastEvaluatedKey': {'pk': {'S': 'a'}}});"
        "stub.add_response('query', {'Items': [{'pk': {'S': 'b'}}]});"
        "pages = list(client.get_paginator('query').paginate(TableName='t'));"
        "assert [page['Items'][0]['pk']['S'] for page in pages] == ['a', 'b']",
    )


def test_every_library_runs_without_what_was_cut(artefact: Path) -> None:
    run(
        artefact,
        "import argon2, boto3, jwt, nacl.bindings, nacl.secret, pynamodb.models, pynamodb.transactions;"
        "from cryptography.hazmat.primitives.asymmetric import rsa;"
        "from cryptography.hazmat.primitives.ciphers.aead import AESGCM;"
        "from aws_lambda_powertools import Logger, Metrics, Tracer; from aws_xray_sdk.core import patch;"
        "hasher = argon2.PasswordHasher(time_cost=1); assert hasher.verify(hasher.hash('a'), 'a');"
        "key = rsa.generate_private_key(65537, 2048);"
        "assert jwt.decode(jwt.encode({'a': 1}, key, 'RS256'), key.public_key(), ['RS256']) == {'a': 1};"
        "AESGCM(AESGCM.generate_key(256)); nacl.secret.Aead(bytes(32)).encrypt(b'a'); patch(('botocore',));"
        "boto3.client('sqs')",
    )


def handlers() -> list[str]:
    functions = Template(ROOT / "template.yaml").functions.values()
    return [f"{each.module}.{each.attribute}" for each in functions if each.written(ROOT / "functions")]


@pytest.mark.parametrize("handler", handlers())
def test_every_function_starts_lean_from_what_ships(artefact: Path, handler: str) -> None:
    """Collecting is off before anything heavy comes, and no vendor's client comes at all."""
    module, _, attribute = handler.rpartition(".")
    code = (
        f"import {module}, gc, json;"
        f"assert callable({module}.{attribute}); assert gc.isenabled() and gc.get_freeze_count();"
        "print(json.dumps(list(sys.modules)))"
    )
    modules: list[str] = json.loads(run(artefact, code))
    assert not {"anthropic", "boto3", "httpx", "litellm", "openai", "requests"} & set(modules)
    first = modules.index("quintet.cold")
    heavy = {"asyncio", "botocore", "fastapi", "pydantic", "pynamodb", "starlette"}
    assert [name for name in modules[:first] if name in heavy] == []


def test_everything_is_compiled_and_nobody_checks_the_source(artefact: Path) -> None:
    sources = [path for path in artefact.rglob("*.py") if "lib2to3" not in path.parts]
    assert len(sources) > 1000
    for source in sources:
        compiled = source.parent / "__pycache__" / f"{source.stem}.{sys.implementation.cache_tag}.pyc"
        assert compiled.read_bytes()[4:8] == b"\x01\x00\x00\x00", source  # by hash, and unchecked (PEP 552)


def test_nothing_is_carried_that_no_function_runs(artefact: Path) -> None:
    packages = artefact / "vendor/python"
    assert not [*packages.glob("*.dist-info")]
    assert {path.name for path in (packages / "botocore/data").iterdir() if path.is_dir()} == set(build.SERVICES)
    assert not [path for path in packages.rglob("*") if path.suffix in {".pyi", ".c"} or path.name == "tests"]


def test_what_is_trimmed_is_nobody_elses(artefact: Path) -> None:
    """uv links files from its cache: an edit in place would reach every environment on the machine."""
    assert {path.stat().st_nlink for path in artefact.rglob("*") if path.is_file()} == {1}


def test_the_wrapper_script_can_be_executed(artefact: Path) -> None:
    assert (artefact / "core/stream").stat().st_mode & 0o111 == 0o111


def test_what_has_grown_too_heavy_does_not_ship(tmp_path: Path) -> None:
    (tmp_path / "large.bin").write_bytes(bytes(6 << 20))
    with pytest.raises(SystemExit, match="larger than 5 MB"):
        build.weigh("core", tmp_path)


def test_the_shipped_policies_lie_where_the_function_looks_and_nothing_that_trained_them(tmp_path: Path) -> None:
    build.copy_policies(ROOT / "policies", tmp_path / "policies")
    there = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert there >= {"policies/cartpole/card.json", "policies/cartpole/1.onnx", "policies/pendulum/1.onnx"}
    assert {Path(name).suffix for name in there} == {".json", ".onnx"}
    assert Settings().policies == "/opt/policies"


def test_the_whole_of_a_function_is_light(artefact: Path, tmp_path: Path) -> None:
    """Lambda fetches both layers and the function before anything starts."""
    packed = tmp_path / "all.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for part in ("vendor", "core", "functions"):
            for path in (artefact / part).rglob("*"):
                file.write(path, path.relative_to(artefact))
    assert packed.stat().st_size <= 20 << 20
