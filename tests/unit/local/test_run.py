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
    (code / "app.pyc").write_text("1")
    declared.write_text("1")
    sources = Sources([code, declared])
    assert sources.edited() == set()
    os.utime(code / "app.py", ns=(1, 1))
    os.utime(code / "app.pyc", ns=(1, 1))
    os.utime(declared, ns=(1, 1))
    (code / "gone.py").unlink()
    (code / "new.py").touch()
    assert sources.edited() == {code / "app.py", code / "gone.py", code / "new.py", declared}
    assert sources.edited() == set()
