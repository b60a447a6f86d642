"""Policies by name and version: each loaded once, and only if it is what its card says.

A policy is a folder with a `card.json`, which names the latest version and every version's SHA-256, and a
`<version>.onnx` for each.
"""

import asyncio
import hashlib
import json
import logging
import re
from collections.abc import Iterable
from hmac import compare_digest
from typing import Any
from weakref import WeakValueDictionary

from quintet.errors import Failure, Kind
from quintet.http.work import offload
from quintet.identity.recent import Recent
from quintet.policy.model import Ref, Wanted
from quintet.policy.runtime import Policy, Unfit
from quintet.policy.shelves import Shelf

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,31}")
_LOADED = 8  # each holds its weights
_FOREVER = float("inf")
_CARD_SECONDS = 60.0

log = logging.getLogger("quintet.policy")


class Catalogue:
    def __init__(self, shelves: Iterable[Shelf], default: str) -> None:
        self._shelves = list(shelves)
        self._default = default
        self._loaded: Recent[Ref, Policy] = Recent(_LOADED, _FOREVER)
        self._cards: Recent[str, tuple[Shelf, dict[str, Any]]] = Recent(64, _CARD_SECONDS)
        self._loading: WeakValueDictionary[Ref, asyncio.Lock] = WeakValueDictionary()

    async def find(self, wanted: Wanted) -> Policy:
        """The one that is asked for: its latest version, or the stack's own policy, where that is left open.

        Raises Failure when there is none such, or when it cannot be served.
        """
        name = wanted.name or self._default
        if not _NAME.fullmatch(name):
            raise _missing(f"policy '{name[:64]}'")
        version = wanted.version or str((await self._card(name))[1].get("latest"))
        return await self.load(Ref(name, version))

    async def load(self, ref: Ref) -> Policy:
        policy = self._loaded.get(ref)
        if policy is not None:
            return policy
        async with self._loading.setdefault(ref, asyncio.Lock()):
            policy = self._loaded.get(ref)
            if policy is None:
                policy = await self._read(ref)
                self._loaded.put(ref, policy)
        return policy

    async def _read(self, ref: Ref) -> Policy:
        shelf, card = await self._card(ref.name)
        told = card["versions"].get(ref.version)
        graph = await shelf.read(f"{ref.name}/{ref.version}.onnx") if told and _VERSION.fullmatch(ref.version) else None
        if graph is None:
            raise _missing(f"policy '{ref.name}' of version '{ref.version[:32]}'")
        digest = hashlib.sha256(graph).hexdigest()
        if not compare_digest(digest, str(told.get("sha256"))):
            raise _unservable(ref, "its digest is not the one on its card")
        try:
            return await offload(Policy, ref, digest, graph)
        except Unfit as unfit:
            raise _unservable(ref, str(unfit)) from None

    async def _card(self, name: str) -> tuple[Shelf, dict[str, Any]]:
        known = self._cards.get(name)
        if known is not None:
            return known
        for shelf in self._shelves:
            content = await shelf.read(f"{name}/card.json")
            if content is not None:
                found = shelf, json.loads(content)
                self._cards.put(name, found)
                return found
        raise _missing(f"policy '{name}'")


def _missing(what: str) -> Failure:
    return Failure(Kind.REJECTED, f"There is no {what}", details={"field": "policy"})


def _unservable(ref: Ref, why: str) -> Failure:
    log.error("a policy cannot be served", extra={"policy": str(ref), "why": why})
    return Failure(Kind.INTERNAL, f"The policy {ref} cannot be served: {why}")
