"""What one instance remembers for a short while: bounded in number and in time, never the truth itself."""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from quintet.copies import forget_in_copies

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """The least recently used entry makes room for a new one."""

    def __init__(self, most: int, seconds: float, timer: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._seconds = seconds
        self._timer = timer
        self._entries: OrderedDict[K, tuple[float, V]] = OrderedDict()
        forget_in_copies(self.clear)

    def get(self, key: K) -> V | None:
        until, value = self._entries.get(key, (0.0, None))
        if value is None:
            return None
        if self._timer() >= until:
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return value

    def put(self, key: K, value: V) -> None:
        self._entries[key] = (self._timer() + self._seconds, value)
        self._entries.move_to_end(key)
        if len(self._entries) > self._most:
            self._entries.popitem(last=False)

    def forget(self, key: K) -> None:
        self._entries.pop(key, None)

    def clear(self) -> None:
        self._entries.clear()
