"""Where policies lie: a folder that ships with the function, or a bucket."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from quintet.http.work import offload
from quintet.net import client
from quintet.net.sigv4 import sign
from quintet.settings import Settings
from quintet.store.credentials import credentials

_URL = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?P<prefix>(/[A-Za-z0-9_.-]+)*)/?")
_LARGEST = 256 << 20
_NOTHING = sha256(b"").hexdigest()


class Shelf(Protocol):
    async def read(self, name: str, /) -> bytes | None:
        """None when there is nothing of this name, such as `cartpole/card.json`."""
        ...


class Folder:
    def __init__(self, place: str) -> None:
        self._place = Path(place)

    async def read(self, name: str) -> bytes | None:
        try:
            return await offload((self._place / name).read_bytes)
        except (FileNotFoundError, NotADirectoryError):
            return None


class Bucket:
    """`url` is `s3://bucket/prefix`. Raises ValueError for another."""

    def __init__(self, url: str, region: str, endpoint: str = "") -> None:
        found = _URL.fullmatch(url)
        if found is None:
            raise ValueError("setting POLICIES_URL must be like s3://bucket/prefix, in letters, digits and _.-")
        partition = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        self._host = endpoint.rstrip("/") or f"https://s3.{region}.{partition}"
        self._path = f"/{found['bucket']}{found['prefix']}"
        self._region = region

    async def read(self, name: str) -> bytes | None:
        path = f"{self._path}/{name}"
        headers = sign(
            await credentials(),
            "s3",
            self._region,
            host=client.host_of(self._host),
            body=b"",
            headers={"x-amz-content-sha256": _NOTHING},
            now=datetime.now(UTC),
            method="GET",
            path=path,
        )
        answer = await client.send("GET", self._host + path, headers=headers, timeout=20, max_bytes=_LARGEST)
        if answer.status == 200:
            return answer.body
        if answer.status in {403, 404}:  # who may not list a bucket is told 403 for what is not there
            return None
        raise client.NetError(f"the bucket of policies answered {answer.status}", sent=True)


def shelves(given: Settings) -> Iterable[Shelf]:
    """In the order in which they are looked through."""
    found: list[Shelf] = [Folder(given.policies)] if given.policies else []
    if given.policies_url:
        found.append(Bucket(given.policies_url, given.aws_region, given.aws_endpoint_url))
    return found
