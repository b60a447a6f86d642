"""A process that SnapStart woke is a copy, one of many: what each must have for itself, and what none may have kept.

Lambda starts a function once, keeps its memory, and continues from there as often as it needs an instance. So nothing
that tells two processes apart, and nothing that ages, may come along: connections, clients with their credentials,
secrets, leases of a budget, what is known of limits and breakers, the state of random numbers. Whoever keeps such a
thing says so here, and a test looks for those who did not.
"""

import quintet.cold

import functools
import importlib
import os
import random
import ssl
from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar
from weakref import WeakMethod, ref

T = TypeVar("T")


class _Forgets(Protocol):
    """A reference: None when whoever would forget is gone."""

    def __call__(self) -> Callable[[], object] | None: ...


_memories: list[_Forgets] = []


def own(make: Callable[..., T]) -> "functools._lru_cache_wrapper[T]":
    """`functools.cache` of what a process makes for itself: a copy makes its own."""
    kept = functools.cache(make)
    known = ref(kept)
    _memories.append(lambda: found.cache_clear if (found := known()) else None)
    return kept


def forget_in_copies(forget: Callable[[], object]) -> None:
    """`forget` is called in every copy before it works. A method does not keep its object alive."""
    if hasattr(forget, "__func__"):
        _memories.append(WeakMethod(forget, _memories.remove))
    else:
        _memories.append(lambda: forget)


def prepare(later: Iterable[str] = ()) -> None:
    """Before the snapshot: `later` are modules that would be imported while a caller waits; then all is forgotten."""
    for module in later:
        importlib.import_module(module)
    _forget()
    quintet.cold.imported()


def awake() -> None:
    """In a copy, before its first event. The kernel's random numbers, which `secrets` takes, are each machine's own."""
    quintet.cold.start_seconds()  # a copy's start is charged for otherwise
    fresh = os.urandom(32)
    random.seed(fresh)
    ssl.RAND_add(fresh, len(fresh))
    _forget()


def _forget() -> None:
    """In the order in which it was asked for: what others stand upon comes first."""
    for memory in _memories:
        if (forget := memory()) is not None:
            forget()
