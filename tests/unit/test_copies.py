"""What a process keeps for itself is forgotten in its copies; and whoever keeps something says so."""

import ast
import random
import re
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from quintet import copies
from quintet.identity.recent import Recent

# The same in every process, whoever asks and whenever: a copy may go on with it.
SAME_EVERYWHERE = {
    "cold._seconds",  # told away by `awake`
    "ask.envelope.kms.published",  # the settings, read once more
    "identity.store.registry._within",
    "net.client._parse",
    "net.client.tls",  # trusted roots; a client's context holds no key
    "operations.console._page",
    "personas.cast.cast",
    "settings.settings",
    "tasks.store.facts.facts_of",
    "telemetry.emf._defined",
    "telemetry.lambdas._logger",
    "telemetry.platform.prices",
}
# Empty on Lambda, where nothing runs between two events.
NEVER_THERE = {"sockets.services._running", "sockets.voices._running"}
MUTABLE = {
    *("dict", "set", "list", "deque", "OrderedDict", "defaultdict", "Counter", "WeakKeyDictionary", "WeakSet", "local"),
}


def modules(repository: Path) -> Iterator[tuple[str, ast.Module, str]]:
    for root in (repository / "layers/core/quintet", repository / "functions"):
        for path in root.rglob("*.py"):
            text = path.read_text()
            yield ".".join(path.relative_to(root).with_suffix("").parts), ast.parse(text), text


def name_of(node: ast.expr) -> str:
    if isinstance(node, ast.Call):
        return name_of(node.func)
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def kept_by(tree: ast.Module) -> Iterator[str]:
    """The functions whose answers are kept, and the module's variables that change."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if {name_of(each) for each in node.decorator_list} & {"cache", "lru_cache"}:
                yield node.name
        elif isinstance(node, ast.Global):
            yield from node.names
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            empty = isinstance(node.value, ast.Dict | ast.List | ast.Set) and not ast.unparse(node.value)[1:-1]
            made = isinstance(node.value, ast.Call) and name_of(node.value) in MUTABLE
            if (empty or made) and not ast.unparse(target).isupper():
                yield ast.unparse(target)


def test_whatever_a_process_keeps_is_forgotten_or_the_same_everywhere(repository: Path) -> None:
    found: set[str] = set()
    for module, tree, text in modules(repository):
        if module == "copies":
            continue
        told = [line for line in text.splitlines() if line.startswith("forget_in_copies(")]
        for name in kept_by(tree):
            # Set back by a function of the module's own.
            variable = told and (re.search(rf"global .*\b{name}\b", text) or f"    {name}.clear()" in text)
            if not variable and not any(f"({name}." in line or f" {name}." in line for line in told):
                found.add(f"{module}.{name}")
    found -= {"net.client._pools"}  # hung up by `close_all`
    assert found == SAME_EVERYWHERE | NEVER_THERE


def test_what_is_ones_own_is_made_once_and_again_in_a_copy() -> None:
    made: list[int] = []

    @copies.own
    def thing() -> int:
        made.append(1)
        return len(made)

    assert (thing(), thing()) == (1, 1)
    copies.awake()
    assert (thing(), thing()) == (2, 2)


def test_nothing_that_was_remembered_goes_into_a_snapshot() -> None:
    known = {"secret": "s3cret"}
    copies.forget_in_copies(known.clear)
    recent: Recent[str, str] = Recent(2, 1000.0)
    recent.put("key", "s3cret")
    copies.prepare(["quintet.store.ids"])
    assert known == {}
    assert recent.get("key") is None


def test_a_module_that_is_not_there_ends_the_start_and_not_a_request() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"quintet\.nowhere"):
        copies.prepare(["quintet.nowhere"])


def test_who_is_gone_is_not_kept_for_the_sake_of_forgetting() -> None:
    before = len(copies._memories)
    recent: Recent[str, str] = Recent(2, 1000.0)
    assert len(copies._memories) == before + 1
    del recent
    assert len(copies._memories) == before


def test_random_numbers_begin_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    stirred: list[bytes] = []
    monkeypatch.setattr(ssl, "RAND_add", lambda fresh, _entropy: stirred.append(fresh))
    random.seed(7)
    same = random.random()
    random.seed(7)
    copies.awake()
    assert random.random() != same
    assert len(stirred[0]) == 32
