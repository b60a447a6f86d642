"""Who we are to AWS: from the environment as every Lambda has it, else from botocore's chain of providers."""

import asyncio
from typing import Any

from quintet.copies import forget_in_copies
from quintet.net.sigv4 import Credentials
from quintet.settings import aws_keys


async def credentials() -> Credentials:
    """Raises RuntimeError when nobody has given us any."""
    keys = aws_keys()
    if keys is not None:
        return Credentials(*keys)
    return _chain.read() if _chain.ready else await asyncio.to_thread(_chain.read)


def credentials_at_once() -> Credentials:
    """Blocking, where nobody has asked before. Raises RuntimeError likewise."""
    keys = aws_keys()
    return Credentials(*keys) if keys is not None else _chain.read()


class _Chain:
    """Profiles, containers (a SnapStart function is one here), instance roles. botocore renews what expires."""

    def __init__(self) -> None:
        self._found: Any = None

    @property
    def ready(self) -> bool:
        """Whether reading asks nobody."""
        renewal = getattr(self._found, "refresh_needed", None)
        return self._found is not None and not (renewal and renewal())

    def forget(self) -> None:
        self._found = None

    def read(self) -> Credentials:
        if self._found is None:
            import botocore.session

            self._found = botocore.session.get_session().get_credentials()
            if self._found is None:
                raise RuntimeError("no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile")
        frozen = self._found.get_frozen_credentials()
        return Credentials(frozen.access_key, frozen.secret_key, frozen.token or "")


_chain = _Chain()
forget_in_copies(_chain.forget)
