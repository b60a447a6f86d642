"""LocalStack in the emulator's place: the one at LOCALSTACK_ENDPOINT, or else a container of pytest-localstack's."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from infra.local.emulator import Endpoint

REGION = "us-east-1"
START_SECONDS = 120
_SERVICES = (
    "apigateway",
    "cloudformation",
    "cloudwatch",
    "dynamodb",
    "dynamodbstreams",
    "events",
    "iam",
    "kms",
    "lambda",
    "logs",
    "s3",
    "scheduler",
    "secretsmanager",
    "sqs",
    "ssm",
    "stepfunctions",
    "sts",
)
_SOCKET = "/var/run/docker.sock"


def wanted() -> bool:
    """`make test-localstack` says so."""
    return os.environ.get("STACK") == "localstack"


@contextmanager
def endpoint() -> Iterator[Endpoint]:
    session = _session()
    session.start(timeout=START_SECONDS)
    try:
        yield Endpoint(url=session.endpoint_url("s3"), region=REGION, access_key="test", secret_key="test")
    finally:
        session.stop()


def _session() -> Any:
    from pytest_localstack import constants, service_checks
    from pytest_localstack.session import LocalstackSession, RunningSession

    for service in ("kms", "scheduler"):  # the library does not know these
        constants.SERVICE_PORTS.setdefault(service, 4566)
        service_checks.SERVICE_CHECKS.setdefault(service, service_checks.port_check(service))
    named = os.environ.get("LOCALSTACK_ENDPOINT")
    if named:
        parts = urlsplit(named)
        ports = dict.fromkeys(_SERVICES, parts.port or 4566)
        return RunningSession(parts.hostname, services=ports, region_name=REGION, use_ssl=parts.scheme == "https")
    import docker

    return LocalstackSession(_Docker(docker.from_env()), services=list(_SERVICES), region_name=REGION)


class _Docker:
    """A Docker client whose containers may start containers: LocalStack runs every function in one."""

    def __init__(self, client: Any) -> None:
        self.images = client.images
        self.containers = self
        self._client = client

    def run(self, image: str, **options: Any) -> Any:
        return self._client.containers.run(image, volumes={_SOCKET: {"bind": _SOCKET, "mode": "rw"}}, **options)
