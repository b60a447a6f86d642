"""Starts and stops the emulator, and says how to reach it."""

import secrets
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from infra.local.children import Child, bare_environment

READY_SECONDS = 60.0
GATEWAY_PATH = "/_aws/execute-api/"
GATEWAY_HEADER = "x-emulator-key"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where AWS is, for us. The emulator wants `gateway_key` in GATEWAY_HEADER on its API Gateway paths."""

    url: str
    region: str
    access_key: str
    secret_key: str = field(repr=False)
    gateway_key: str = field(default="", repr=False)

    @classmethod
    def named(cls, environ: Mapping[str, str]) -> "Endpoint | None":
        """What AWS_ENDPOINT_URL says, with the environment's own credentials; LocalStack takes any."""
        url = environ.get("AWS_ENDPOINT_URL", "").rstrip("/")
        if not url:
            return None
        return cls(
            url=url,
            region=environ.get("AWS_REGION") or "us-east-1",
            access_key=environ.get("AWS_ACCESS_KEY_ID") or "test",
            secret_key=environ.get("AWS_SECRET_ACCESS_KEY") or "test",
        )

    def client(self, service: str) -> Any:
        import botocore.session
        from botocore.config import Config

        return botocore.session.get_session().create_client(
            service,
            endpoint_url=self.url,
            region_name=self.region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(retries={"max_attempts": 2}, s3={"addressing_style": "path"}),
        )

    def gateway(self, api: str, stage: str) -> str:
        """The base URL of a deployed API."""
        return f"{self.url}{GATEWAY_PATH}{api}/{stage}"

    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
        }


class Emulator:
    """A MiniStack of our own: on loopback, on a port and with keys that nobody else knows.

    With `data`, what it has is kept there; `held` are the descriptors of the locks that guard the directory.
    """

    module = "infra.local.ministack"
    told: dict[str, str] = {}  # noqa: RUF012 - in its environment; nobody writes to it

    def __init__(
        self,
        *,
        region: str = "us-east-1",
        data: Path | None = None,
        log: int | IO[Any] | None = None,
        level: str = "INFO",
        held: Sequence[int] = (),
    ) -> None:
        keys = {
            "access_key": f"AKIA{secrets.token_hex(8).upper()}",
            "secret_key": secrets.token_hex(20),
            "gateway_key": secrets.token_hex(20),
        }
        given = {**keys, "region": region, "data": str(data) if data else None, "log_level": level}
        self._scratch = tempfile.mkdtemp(prefix="quintet-")
        environment = bare_environment() | {"TMPDIR": self._scratch} | self.told
        try:
            self._child = Child(self.module, given, environment=environment, log=log, pass_fds=held)
            try:
                port = self._child.reply(READY_SECONDS)["port"]
            except BaseException:
                self._child.stop()
                raise
        except BaseException:
            shutil.rmtree(self._scratch, ignore_errors=True)
            raise
        self.endpoint = Endpoint(url=f"http://127.0.0.1:{port}", region=region, **keys)

    @property
    def running(self) -> bool:
        return self._child.running

    @property
    def pid(self) -> int:
        return self._child.pid

    def stop(self) -> None:
        self._child.stop()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _value: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self.stop()
