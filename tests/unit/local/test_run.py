"""What `make run` makes of its command line and the shell's environment, and how it notices edits."""

import os
from pathlib import Path

import pytest

from infra.local.run import Options, Problem, Sources


def test_settings_named_in_the_environment_are_passed_on_and_the_rest_is_ignored() -> None:
    options = Options.read(["--port", "8123"], {"JWT_ENABLED": "false", "NONSENSE": "1", "PATH": "/bin"})
    assert (options.port, options.given) == (8123, {"JWT_ENABLED": "false"})


def test_what_the_deployment_itself_says_is_not_taken_from_the_shell() -> None:
    assert Options.read([], {"TABLE_PREFIX": "x-", "STAGE": "prod", "AWS_LAMBDA_FUNCTION_NAME": "f"}).given == {}


def test_a_setting_that_cannot_be_read_is_named() -> None:
    with pytest.raises(Problem, match="JWT_EXPIRY_MINUTES"):
        Options.read([], {"JWT_EXPIRY_MINUTES": "soon"})


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("NO_SUCH", r"there is no setting NO_SUCH; layers/core/quintet/settings\.py has them all"),
        ("RATE_LIMT_ASK", r"there is no setting RATE_LIMT_ASK: did you mean RATE_LIMIT_ASK"),
        ("open_access", r"there is no setting open_access: did you mean OPEN_ACCESS"),
        ("KEPT", r"there is no setting KEPT: did you mean KEEP"),
        ("TABLE_PREFIX", r"TABLE_PREFIX cannot be given: the deployment says it"),
    ],
)
def test_a_name_on_makes_command_line_that_nobody_would_hear_is_refused(name: str, told: str) -> None:
    with pytest.raises(Problem, match=told):
        Options.read([], {"GIVEN_TO_MAKE": f"PORT {name}", name: "1"})


def test_what_the_makefile_itself_takes_is_no_slip() -> None:
    own = ("PORT", "KEEP", "T", "BENCH", "WORKERS", "VENV", "PYTHON", "AWS_ENDPOINT_URL", "OPENAI_API_KEY")
    Options.read([], {"GIVEN_TO_MAKE": " ".join(own)})


@pytest.mark.parametrize("port", ["abc", "-1", "65536", "", "8000 9000", "٣"])
def test_a_port_that_is_none_is_one_clear_line(port: str) -> None:
    with pytest.raises(Problem, match=r"PORT is a number from 0 \(any that is free\) to 65535, not "):
        Options.read([f"--port={port}"], {})


@pytest.mark.parametrize(("said", "kept"), [("1", True), ("true", True), ("0", False), ("", False)])
def test_keep_is_a_yes_or_a_no(said: str, kept: bool) -> None:
    assert Options.read([], {"KEEP": said}).keep is kept


def test_another_endpoint_takes_the_emulators_place() -> None:
    elsewhere = Options.read([], {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566/"}).elsewhere
    assert elsewhere is not None
    assert (elsewhere.url, elsewhere.access_key) == ("http://127.0.0.1:4566", "test")


def test_secrets_do_not_show_in_an_endpoints_repr() -> None:
    elsewhere = Options.read([], {"AWS_ENDPOINT_URL": "http://x", "AWS_SECRET_ACCESS_KEY": "hidden"}).elsewhere
    assert "hidden" not in repr(elsewhere)


def test_notices_edits_additions_and_removals_once(tmp_path: Path) -> None:
    code, declared = tmp_path / "code", tmp_path / "template.yaml"
    code.mkdir()
    (code / "app.py").write_text("1")
    (code / "gone.py").write_text("1")
    (code / "page.html").write_text("1")
    (code / "app.pyc").write_text("1")
    declared.write_text("1")
    sources = Sources([code, declared])
    assert sources.edited() == set()
    os.utime(code / "app.py", ns=(1, 1))
    os.utime(code / "app.pyc", ns=(1, 1))
    os.utime(code / "page.html", ns=(1, 1))
    os.utime(declared, ns=(1, 1))
    (code / "gone.py").unlink()
    (code / "new.py").touch()
    assert sources.edited() == {code / "app.py", code / "gone.py", code / "new.py", code / "page.html", declared}
    assert sources.edited() == set()
