"""Which parameters a model turned out not to take: they are left out from then on, instead of failing every call."""

from collections.abc import Mapping
from typing import Any

from quintet.gateway.providers.model import Fault, Target
from quintet.gateway.providers.refusals import VendorFault

_MOST = 500  # models remembered


class Untaken:
    """`droppable` may be left out without changing what was asked. `words` are the codes that say that a parameter as
    such is not taken, where the vendor has such codes; `names` leads from its words for parameters to ours."""

    def __init__(
        self,
        droppable: frozenset[str],
        words: frozenset[str] = frozenset(),
        names: Mapping[str, str] | None = None,
    ) -> None:
        self._droppable = droppable
        self._words = words
        self._names = names or {}
        self._found: dict[tuple[str, str], frozenset[str]] = {}

    def learns(self, fault: VendorFault, sent: Mapping[str, Any], target: Target) -> bool:
        """Whether the call failed for one parameter alone that can be left out: then once more without it."""
        field = self._names.get(fault.field or "", fault.field)
        if fault.fault != Fault.REFUSED or field not in self._droppable or field not in sent:
            return False
        if self._words and self._words.isdisjoint(fault.words):
            return False
        if len(self._found) >= _MOST:
            self._found.clear()
        place = target.base_url, target.name
        self._found[place] = self._found.get(place, frozenset()) | {field}
        return True

    def of(self, target: Target) -> frozenset[str]:
        return self._found.get((target.base_url, target.name), frozenset())

    def without(self, body: dict[str, Any], target: Target) -> dict[str, Any]:
        untaken = self.of(target)
        return {name: value for name, value in body.items() if name not in untaken} if untaken else body
