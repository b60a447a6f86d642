"""Secrets by name: from the environment where one is given, else from Secrets Manager, kept for five minutes."""

import json
import random
import time
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from quintet.copies import forget_in_copies
from quintet.net import client
from quintet.net.sigv4 import sign
from quintet.settings import settings
from quintet.store.credentials import credentials_at_once
from quintet.store.meter import used

_KEEP_SECONDS = 300.0
_SIGNING = frozenset({"jwt_secret"})  # what the stack made for itself; all else the owner fills in
_ATTEMPTS = 3
_SECONDS = 5.0  # for each
_kept: dict[str, tuple[float, dict[str, str]]] = {}
forget_in_copies(_kept.clear)


class SecretsUnavailable(OSError):  # noqa: N818 - an outcome
    """Secrets Manager was not to be reached, or said no. The message holds no secret."""


def secret(name: str) -> str:
    """`name` is a field of the settings, or one that only the stores know.

    Empty when nobody has given one: the caller decides what that means.
    """
    given: str = getattr(settings(), name, "")
    if given:
        return given
    store = settings().signing_secret_id if name in _SIGNING else settings().integrations_secret_id
    return _read(store).get(name, "") if store else ""


def _read(store: str) -> dict[str, str]:
    until, values = _kept.get(store, (0.0, {}))
    if time.monotonic() < until:
        return values
    text = get_secret_value(store)
    values = {key: str(value) for key, value in json.loads(text).items()}
    _kept[store] = (time.monotonic() + _KEEP_SECONDS, values)
    return values


def get_secret_value(store: str) -> str:
    """Blocking. Raises SecretsUnavailable. botocore would take 100 ms of a first request, on a share of a processor."""
    region = settings().aws_region
    partition = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    url = settings().aws_endpoint_url or f"https://secretsmanager.{region}.{partition}/"
    body = json.dumps({"SecretId": store}).encode()
    for attempt in range(1, _ATTEMPTS + 1):
        headers = sign(
            credentials_at_once(),
            "secretsmanager",
            region,
            host=client.host_of(url),
            body=body,
            headers={"content-type": "application/x-amz-json-1.1", "x-amz-target": "secretsmanager.GetSecretValue"},
            now=datetime.now(UTC),
        )
        try:
            status, answer = _post(url, headers, body)
        except (OSError, HTTPException) as error:
            if attempt == _ATTEMPTS:
                raise SecretsUnavailable(f"Secrets Manager cannot be reached: {type(error).__name__}") from error
        else:
            told = json.loads(answer or b"{}")
            if status == 200:
                text: str = told["SecretString"]
                return text
            code = str(told.get("__type", status)).rpartition("#")[2]
            if attempt == _ATTEMPTS or (status < 500 and code != "ThrottlingException"):
                raise SecretsUnavailable(f"Secrets Manager refused: {code}")
        time.sleep(random.uniform(0, 0.1 * 2**attempt))  # noqa: S311 - jitter, not a secret
    raise AssertionError("the last attempt answers or raises")


def _post(url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    connection = (
        HTTPSConnection(host, parts.port, timeout=_SECONDS, context=client.tls())
        if parts.scheme == "https"
        else HTTPConnection(host, parts.port, timeout=_SECONDS)
    )
    used("secret_request")
    with closing(connection):
        connection.request("POST", "/", body, dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.read()
