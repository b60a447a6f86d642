"""Secrets by name: from the environment where one is given, else from Secrets Manager, kept for five minutes."""

import json
import time
from typing import Any

from quintet.copies import forget_in_copies, own
from quintet.settings import settings
from quintet.store.meter import charged

_KEEP_SECONDS = 300.0
_SIGNING = frozenset({"jwt_secret"})  # what the stack made for itself; all else the owner fills in
_kept: dict[str, tuple[float, dict[str, str]]] = {}
forget_in_copies(_kept.clear)


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
    text = _client().get_secret_value(SecretId=store)["SecretString"]
    values = {key: str(value) for key, value in json.loads(text).items()}
    _kept[store] = (time.monotonic() + _KEEP_SECONDS, values)
    return values


@own
def _client() -> Any:
    import botocore.session

    client = botocore.session.get_session().create_client("secretsmanager", region_name=settings().aws_region)
    return charged(client, "secret_request")
