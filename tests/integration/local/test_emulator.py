"""The emulator opens to this run's key and to the roles it issued, and to nobody else."""

import dataclasses
import socket
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from infra.local.emulator import GATEWAY_HEADER, GATEWAY_PATH, Emulator, Endpoint


def list_tables(endpoint: Endpoint, **extra: str) -> requests.Response:
    """A signed request, with headers that the signature does not cover."""
    request = AWSRequest(
        method="POST",
        url=endpoint.url + "/",
        data=b"{}",
        headers={"X-Amz-Target": "DynamoDB_20120810.ListTables", "Content-Type": "application/x-amz-json-1.0"},
    )
    credentials = Credentials(endpoint.access_key, endpoint.secret_key)
    SigV4Auth(credentials, "dynamodb", endpoint.region).add_auth(request)
    return requests.post(endpoint.url, data=b"{}", headers={**request.headers, **extra}, timeout=60)


def test_answers_a_request_signed_with_this_runs_key(emulator: Emulator) -> None:
    assert "TableNames" in list_tables(emulator.endpoint).json()


@pytest.mark.parametrize("access_key", ["test", "000000000000", "AKIAIOSFODNN7EXAMPLE", ""])
def test_refuses_every_other_access_key_even_with_the_right_secret(emulator: Emulator, access_key: str) -> None:
    stranger = dataclasses.replace(emulator.endpoint, access_key=access_key)
    assert list_tables(stranger).status_code == 403


def test_refuses_a_wrong_secret(emulator: Emulator) -> None:
    with pytest.raises(ClientError, match="signature"):
        dataclasses.replace(emulator.endpoint, secret_key="test").client("dynamodb").list_tables()


def test_refuses_a_signed_request_that_a_web_page_sends(emulator: Emulator) -> None:
    assert list_tables(emulator.endpoint, Origin="http://127.0.0.1:8000").status_code == 403


def test_refuses_a_name_that_somebody_pointed_at_loopback(emulator: Emulator) -> None:
    answer = requests.get(emulator.endpoint.url, headers={"Host": "rebound.example"}, timeout=60)
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "path",
    ["/", "/?Action=GetCallerIdentity", "/bucket/key", "/2015-03-31/functions", "/_ministack/health", "/_localstack/x"],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_refuses_what_is_not_signed(emulator: Emulator, method: str, path: str) -> None:
    answer = requests.request(method, emulator.endpoint.url + path, timeout=60)
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("key", [None, "wrong"])
def test_its_gateway_needs_this_runs_key(emulator: Emulator, key: str | None) -> None:
    headers = {GATEWAY_HEADER: key} if key else {}
    assert requests.get(emulator.endpoint.url + GATEWAY_PATH + "a/b", headers=headers, timeout=60).status_code == 403
    right = {GATEWAY_HEADER: emulator.endpoint.gateway_key}
    assert requests.get(emulator.endpoint.url + GATEWAY_PATH + "a/b", headers=right, timeout=60).status_code == 404


def test_refuses_a_websocket(emulator: Emulator) -> None:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    assert requests.get(emulator.endpoint.url, headers=upgrade, timeout=60).status_code == 403


def test_listens_on_loopback_alone(emulator: Emulator) -> None:
    port = urlsplit(emulator.endpoint.url).port
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing: it only tells this machine's own address
        address = probe.getsockname()[0]
    with pytest.raises(OSError, match=r"refused|unreachable"):
        socket.create_connection((address, port), timeout=2).close()


def test_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with Emulator(log=subprocess.DEVNULL) as emulator:
        assert list(tmp_path.iterdir())
    assert not emulator.running
    assert not list(tmp_path.iterdir())
