"""How MiniStack is mended at run time: a mend names what it replaces, and refuses to run when that has changed."""

import inspect
from types import ModuleType

VERSION = "1.5.33"


class Changed(Exception):  # noqa: N818 - an instruction to the developer who upgrades MiniStack
    def __init__(self, what: str) -> None:
        super().__init__(f"MiniStack is not the version that infra/local/patches.py mends ({VERSION}): {what}")


_rewritten: dict[tuple[str, str], str] = {}  # their files say what these functions were


def rewrite(module: ModuleType, name: str, old: str, new: str) -> None:
    known = _rewritten.get((module.__name__, name)) or inspect.getsource(getattr(module, name))
    source = edited(name, known, old, new)
    exec(compile(source, module.__file__ or name, "exec"), vars(module))  # noqa: S102 - its own source, edited
    _rewritten[module.__name__, name] = source


def edited(name: str, source: str, old: str, new: str) -> str:
    if source.count(old) != 1:
        raise Changed(name)
    return source.replace(old, new)


def replace(module: ModuleType, name: str, value: object) -> None:
    if not hasattr(module, name):
        raise Changed(f"{module.__name__}.{name}")
    setattr(module, name, value)
