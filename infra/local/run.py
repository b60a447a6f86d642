"""`make run`: the whole system on one port of this machine, until Ctrl-C."""

import argparse
import fcntl
import os
import re
import shlex
import signal
import socket
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from subprocess import CalledProcessError
from typing import IO

from infra.local.children import ROOT, ChildFailed
from infra.local.deploy import DeployFailed
from infra.local.emulator import Emulator, Endpoint
from infra.local.system import System, listen
from quintet.settings import Settings

LOCAL = ROOT / ".local"
LOCK_SECONDS = 5.0
LOOK_SECONDS = 0.3
_HIGHEST_PORT = 65_535
# The deployment itself says these; a variable of the shell by the same name is about something else.
_DEPLOYED = frozenset(
    {
        "AWS_ENDPOINT_URL",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_REGION",
        "CURFEWS_QUEUE_URL",
        "DELIVERIES_QUEUE_ARN",
        "DELIVERIES_QUEUE_URL",
        "DELIVERIES_SCHEDULE_GROUP",
        "DELIVERIES_SCHEDULE_ROLE",
        "INTEGRATIONS_SECRET_ID",
        "SIGNING_SECRET_ID",
        "SOCKETS_URL",
        "STAGE",
        "TABLE_PREFIX",
    }
)
_AWS = frozenset({"AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"})
_WATCHED = ("functions", "layers/core", "infra", "template.yaml")
_CODE = frozenset({".py", ".html"})
_DECLARED = frozenset({".yaml", ".json"})


class Problem(Exception):  # noqa: N818 - one line for whoever started us
    pass


class Interrupted(BaseException):
    """Ctrl-C, SIGTERM, or the terminal is gone: not an error, so nothing on the way may swallow it."""


@dataclass(frozen=True, slots=True)
class Options:
    """`given` is what the command line or the shell says about our settings; `elsewhere` takes the emulator's place."""

    port: int
    keep: bool = False
    given: Mapping[str, str] = field(default_factory=dict)
    region: str = "us-east-1"
    elsewhere: Endpoint | None = None

    @classmethod
    def read(cls, arguments: list[str], environ: Mapping[str, str]) -> "Options":
        parser = argparse.ArgumentParser(prog="make run", description=__doc__)
        parser.add_argument("--port", default="8000", help="0 takes a free one")
        names = Settings.names() - _DEPLOYED
        for name in environ.get("GIVEN_TO_MAKE", "").split():
            _known(name, names)
        given = {name: environ[name] for name in names if environ.get(name)}
        try:
            Settings.read(given)
        except ValueError as error:
            raise Problem(str(error)) from None
        return cls(
            port=_port(parser.parse_args(arguments).port),
            keep=environ.get("KEEP", "").lower() in {"1", "true", "yes"},
            given=given,
            region=environ.get("AWS_REGION") or "us-east-1",
            elsewhere=Endpoint.named(environ),
        )


def _known(name: str, settings: Collection[str]) -> None:
    """Raises Problem for what was said on make's command line and would be heard by nobody."""
    # What the Makefile itself uses is no slip: a `make run` inside of another make's target gets that one's too.
    makes = {"KEEP", *re.findall(r"\$\(([A-Z_]+)\)", (ROOT / "Makefile").read_text())}
    if name in settings or name in makes or name in _AWS:
        return
    if name in _DEPLOYED:
        raise Problem(f"{name} cannot be given: the deployment says it")
    near = get_close_matches(name.upper(), [*settings, *makes, *_AWS], n=3)
    hint = f": did you mean {' or '.join(near)}?" if near else "; layers/core/quintet/settings.py has them all"
    raise Problem(f"there is no setting {name}{hint}")


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > _HIGHEST_PORT:
        raise Problem(f"PORT is a number from 0 (any that is free) to {_HIGHEST_PORT}, not {text!r}")
    return int(text)


def main() -> int:
    try:
        with _interruptible():
            Run(Options.read(sys.argv[1:], os.environ)).serve()
    except Problem as problem:
        print(f"make run: {problem}", file=sys.stderr)
        return 1
    except Interrupted:
        pass
    return 0


@contextmanager
def _interruptible() -> Iterator[None]:
    """The first signal stops us; those after it are not heard, so that stopping is done in order."""
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def interrupt(_number: int, _frame: object) -> None:
        for each in signals:
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted

    for each in signals:
        signal.signal(each, interrupt)
    yield


class Run:
    def __init__(self, options: Options) -> None:
        self._options = options
        self._began = time.monotonic()

    def serve(self) -> None:
        """Returns never: Interrupted ends it. Raises Problem when it cannot go on."""
        with ExitStack() as parts:
            listening = self._listen()
            for each in listening:
                parts.enter_context(each)
            port = listening[0].getsockname()[1]
            LOCAL.mkdir(mode=0o700, exist_ok=True)
            try:
                emulator = None if self._options.elsewhere else self._emulator(parts, LOCAL / f"emulator-{port}.log")
                system = self._system(emulator, listening)
                with _step("deploying template.yaml"):
                    system.deploy()
                with _step("seeding"):
                    seeded = system.seed()
                with _step("starting the front"):
                    front = Front(system)
                    parts.callback(front.stop)
            except (DeployFailed, ChildFailed, CalledProcessError) as failed:
                raise Problem(str(failed)) from None
            facts = {"BASE_URL": system.url, **seeded, **system.endpoint.environment()}
            parts.enter_context(_announced(port, facts))
            self._welcome(facts)
            _watch(emulator, system, front)

    def _listen(self) -> list[socket.socket]:
        try:
            return listen(self._options.port)
        except OSError as error:
            raise Problem(
                f"port {self._options.port} cannot be used: {os.strerror(error.errno or 0)}; try PORT=..."
            ) from None

    def _emulator(self, parts: ExitStack, log: Path) -> Emulator:
        lock = parts.enter_context(_held(LOCAL / "data")) if self._options.keep else None
        with _step(f"starting the emulator, which logs to {log.relative_to(ROOT)}"), log.open("w") as file:
            emulator = Emulator(
                region=self._options.region,
                data=LOCAL / "data" if lock else None,
                log=file,
                held=[lock.fileno()] if lock else [],
            )
        return parts.enter_context(emulator)

    def _system(self, emulator: Emulator | None, listening: list[socket.socket]) -> System:
        given = self._options.given
        if emulator is not None:
            return System(emulator.endpoint, listening, given=given, say=_note)
        assert self._options.elsewhere is not None
        return System(self._options.elsewhere, listening, given=given, elsewhere=True, say=_note)

    def _welcome(self, facts: Mapping[str, str]) -> None:
        url = facts["BASE_URL"]
        print(f"\nQuintet is ready on {url} after {time.monotonic() - self._began:.1f} s\n")
        for name in ("RYUZEN_KEY", "API_KEY", "STATIC_TOKEN", "ADMIN_USER", "ADMIN_PASSWORD"):
            if name in facts:
                print(f"  {name:15} {facts[name]}")
        print(
            f"\n  curl {url}/health"
            f"\n  curl {url}/auth/token -H 'Content-Type: application/json' -d '{{\"subject\":\"me\"}}'"
            f"\n  curl {url}/v1/auth/me -H 'Authorization: Bearer {facts.get('API_KEY', 'YOUR_KEY')}'\n"
        )
        if self._options.elsewhere:
            print(f"  data and queued work are at {self._options.elsewhere.url}")
        elif self._options.keep:
            print(f"  data is kept in {LOCAL / 'data'}; a kill -9 loses at most the last two seconds' writes")
        else:
            print("  data is gone when this stops: KEEP=1 keeps it")
        print("  edits in functions/, layers/core and the templates are served at once; Ctrl-C stops", flush=True)


class Front:
    """The process that serves, replaced by a new one when there is new code that can be imported."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._child = system.front()

    @property
    def running(self) -> bool:
        return self._child.running

    def renew(self) -> None:
        """Raises ChildFailed, and leaves the old one be, when the new one does not load."""
        self._child = self._system.front(self._child)

    def stop(self) -> None:
        self._child.stop()


def _watch(emulator: Emulator | None, system: System, front: Front) -> None:
    """Raises Problem when the emulator is gone; an edit that fails is shown, and mended by a later one."""
    sources = Sources([ROOT / each for each in _WATCHED])
    while True:
        time.sleep(LOOK_SECONDS)
        if emulator is not None and not emulator.running:
            raise Problem("the emulator ended unexpectedly")
        edited = sources.edited()
        if not edited and front.running:
            continue
        _note("edited: taking it over" if edited else "the front ended unexpectedly: starting it again")
        try:
            if any(path.suffix in _DECLARED for path in edited):
                system.deploy()
            front.renew()
            if emulator is not None:
                system.deployment.renew_code()
        except Exception as failed:  # whatever an edit breaks, the next one can mend
            _note(f"{type(failed).__name__}: {failed}; what ran before runs on, the next edit tries again")
        else:
            _note("serving the new code")


class Sources:
    """Notices edits: which files under these places have another time than at the last look."""

    def __init__(self, places: list[Path]) -> None:
        self._places = places
        self._seen = self._times()

    def edited(self) -> set[Path]:
        """Those that came, went or changed since it was last asked."""
        now = self._times()
        before, self._seen = self._seen, now
        return {path for path, _ in before.items() ^ now.items()}

    def _times(self) -> dict[Path, int]:
        times: dict[Path, int] = {}
        for place in self._places:
            for path in [place] if place.is_file() else place.rglob("*"):
                if path.suffix in _CODE or path.suffix in _DECLARED:
                    with suppress(FileNotFoundError):  # an editor was replacing it
                        times[path] = path.stat().st_mtime_ns
        return times


@contextmanager
def _held(data: Path) -> Iterator[IO[str]]:
    """The lock of the data's directory. The emulator holds it too: it outlives us while it saves."""
    data.mkdir(mode=0o700, exist_ok=True)
    with (data / "lock").open("w") as lock:
        until = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise Problem(f"another run keeps its data in {data}: stop it, or run without KEEP") from None
                time.sleep(0.1)
        yield lock


@contextmanager
def _announced(port: int, facts: Mapping[str, str]) -> Iterator[None]:
    """`.local/dev-<port>.env` for this run, `.local/dev.env` for the run that started last."""
    content = "".join(f"{name}={shlex.quote(value)}\n" for name, value in facts.items())
    own, latest = LOCAL / f"dev-{port}.env", LOCAL / "dev.env"
    for path in (own, latest):
        _write(path, content)
    try:
        yield
    finally:
        own.unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            if latest.read_text() == content:
                latest.unlink()


def _write(path: Path, content: str) -> None:
    """At once or not at all, and for nobody else to read."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with open(draft, "w", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(content)
    draft.replace(path)


@contextmanager
def _step(what: str) -> Iterator[None]:
    began = time.monotonic()
    print(what, flush=True)
    yield
    _note(f"{time.monotonic() - began:.1f} s")


def _note(text: str) -> None:
    print(f"  {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
