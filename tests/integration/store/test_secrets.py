"""Secrets Manager over our own call: what the emulator keeps, refusals told without a secret, and another try."""

import json
import secrets as chance
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from quintet.settings import settings
from quintet.store import secrets
from tests.conftest import Stack


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    secrets._kept.clear()
    yield
    secrets._kept.clear()


def test_a_secret_is_read_and_kept(stack: Stack, function_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    manager = stack.endpoint.client("secretsmanager")
    name, word = f"made-{chance.token_hex(4)}", f"wörd-{chance.token_hex(4)}"
    manager.create_secret(Name=name, SecretString=json.dumps({"slack_bot_token": word, "number": 7}))
    monkeypatch.setenv("INTEGRATIONS_SECRET_ID", name)
    settings.cache_clear()
    assert secrets.secret("slack_bot_token") == word
    assert secrets.secret("number") == "7"
    assert secrets.secret("nowhere_to_be_found") == ""
    manager.put_secret_value(SecretId=name, SecretString=json.dumps({"slack_bot_token": "another"}))
    assert secrets.secret("slack_bot_token") == word


def test_a_refusal_names_what_secrets_manager_says(function_environment: None) -> None:
    with pytest.raises(secrets.SecretsUnavailable, match="refused: ResourceNotFoundException"):
        secrets.get_secret_value("no-such-secret")


@pytest.mark.parametrize("code", ["InternalServiceError", "ThrottlingException"])
def test_what_may_go_well_the_next_time_is_tried_again(
    code: str, function_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = 500 if code == "InternalServiceError" else 400
    answers: list[tuple[int, Any]] = [(status, {"__type": f"com.amazonaws#{code}"}), (200, {"SecretString": "{}"})]

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            assert "SignedHeaders=" in self.headers["Authorization"]
            told, said = answers.pop(0)
            body = json.dumps(said).encode()
            self.send_response(told)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        settings.cache_clear()
        assert secrets.get_secret_value("any") == "{}"
        assert answers == []
    finally:
        server.shutdown()
        server.server_close()


def test_nobody_there_is_told_as_such(function_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    settings.cache_clear()
    with pytest.raises(secrets.SecretsUnavailable, match="cannot be reached: ConnectionRefusedError"):
        secrets.get_secret_value("any")
