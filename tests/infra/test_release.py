"""What follows a deployment: the stack is read as CloudFormation tells it, and gets one administrator, once."""

from pathlib import Path

import pytest

from infra import release
from quintet.identity.model import login_of
from quintet.identity.store import users
from quintet.settings import settings
from tests.conftest import Stack


def test_the_environments_are_those_of_samconfig(repository: Path) -> None:
    config = repository / "samconfig.toml"
    assert release.stack_name(config, "dev") == "quintet-dev"
    assert release.stack_name(config, "prod") == "quintet-prod"
    with pytest.raises(SystemExit, match="no environment 'stage'"):
        release.stack_name(config, "stage")


@pytest.mark.parametrize(
    "told", ["\"Stage=dev JwtPublicKey='BEGIN KEY\\\\nabc'\"", '["Stage=dev", "JwtPublicKey=BEGIN KEY\\\\nabc"]']
)
def test_parameters_are_read_from_samconfig_in_either_form(told: str, tmp_path: Path) -> None:
    config = tmp_path / "samconfig.toml"
    config.write_text(f"[default.deploy.parameters]\nparameter_overrides = {told}\n[prod.deploy.parameters]\n")
    assert release.parameters(config, "dev") == {"Stage": "dev", "JwtPublicKey": "BEGIN KEY\\nabc"}
    assert release.parameters(config, "prod") == {}


def test_a_deploy_says_what_is_new_and_names_its_release(
    monkeypatch: pytest.MonkeyPatch, stack: Stack, tmp_path: Path
) -> None:
    ran: list[list[str]] = []
    cloudformation = stack.endpoint.client("cloudformation")
    monkeypatch.setattr(release, "_run", ran.append)
    monkeypatch.setattr(release, "_cloudformation", lambda: cloudformation)
    monkeypatch.setattr(release, "BUILT", tmp_path)
    (tmp_path / "template.yaml").write_text("Resources: {}")
    name = stack.system.deployment.stack
    known = release._present(name)
    assert known["Stage"] == "local"
    assert release._present("nowhere") == {}
    found = release._deployed(["sam", "--config-env", "dev"], name, {"Stage": "dev", "JwtPublicKey": "BEGIN K"}, known)
    assert found.name == name
    told = release.release_of(tmp_path, {**known, "Stage": "dev", "JwtPublicKey": "BEGIN K"})
    assert ran == [
        [
            *("sam", "deploy", "--config-env", "dev", "--parameter-overrides"),
            *("Stage=dev", 'JwtPublicKey="BEGIN K"', f"Release={told}"),
        ]
    ]


def test_a_stack_tells_what_our_code_needs_to_work_on_it(stack: Stack) -> None:
    system = stack.system
    found = release.Stack.described(stack.endpoint.client("cloudformation"), system.deployment.stack)
    told = system.environment()
    environment = found.environment()
    assert environment == {name: told[name] for name in environment}


def test_a_stack_gets_its_administrator_once(quiet_tables: None, capsys: pytest.CaptureFixture[str]) -> None:
    password = release.settle_in()
    assert password is not None
    admin = users.by_name(login_of("admin"))
    assert admin is not None
    assert admin.roles == ("admin",)
    assert release.settle_in() is None
    assert settings().table_prefix == "quiet-"
    outputs = {"Url": "https://api.example.test/dev", "SocketsUrl": "wss://sockets.example.test/dev"}
    release.show(release.Stack("quintet-dev", "eu-west-1", outputs, {}), password)
    assert password in capsys.readouterr().out
