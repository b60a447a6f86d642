"""MiniStack in a process of its own: mended, behind a guarded door, and never outliving whoever started it.

`emulator.py` starts this as `python -m infra.local.ministack`, sends one line of JSON on standard input, and reads one
line with the port from standard output. The end of standard input is the order to stop.
"""

import asyncio
import json
import logging
import os
import shutil
import signal
import socket
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

from infra.local.children import at_end_of_input, private_stdout

if TYPE_CHECKING:
    from infra.local.guard import Guard

SAVE_SECONDS = 1.0
SAVE_TIMEOUT = 30.0
_STREAM_POSITIONS = "dynamodb_stream_positions"


def main() -> None:
    replies = private_stdout()
    line = sys.stdin.readline()
    if not line:
        return  # whoever started us was stopped while it did
    given = json.loads(line)
    door = socket.socket()
    door.bind(("127.0.0.1", 0))
    port = door.getsockname()[1]
    os.environ.update(_environment(given, port))
    if given["data"]:
        _forget_stream_positions(Path(given["data"]) / "state")
    try:
        asyncio.run(_serve(given, door, replies))
    finally:
        shutil.rmtree(os.environ["TMPDIR"], ignore_errors=True)  # whoever started us may be gone


def _environment(given: dict[str, Any], port: int) -> dict[str, str]:
    """MiniStack reads its options when it is imported. What stands here is inherited by the functions' processes."""
    environment = {
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_REGION": given["region"],
        "AUTH": "true",
        # The account's root user; a function's process gets its own role's credentials instead.
        "AWS_ACCESS_KEY_ID": given["access_key"],
        "AWS_SECRET_ACCESS_KEY": given["secret_key"],
        "LAMBDA_EXECUTOR": "local",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        # It would remove containers that other emulators on this machine are using.
        "DOCKER_HOST": "unix:///nonexistent",
        "LOG_LEVEL": given["log_level"],
    }
    if given["data"]:
        data = Path(given["data"])
        environment |= {
            "PERSIST_STATE": "1",
            "STATE_DIR": str(data / "state"),
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(data / "s3"),
        }
    return environment


def _forget_stream_positions(state: Path) -> None:
    """The streams' records are not kept, so a kept position would point behind them and skip what comes next."""
    kept = state / "lambda.json"
    if kept.exists():
        content = json.loads(kept.read_text())
        content.get("payload", content).pop(_STREAM_POSITIONS, None)
        draft = kept.with_suffix(".draft")
        draft.write_text(json.dumps(content))
        draft.replace(kept)


async def _serve(given: dict[str, Any], door: socket.socket, replies: TextIO) -> None:
    from infra.local import guard, patches

    patches.apply()

    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack import app as ministack
    from ministack.core import lambda_runtime

    logging.getLogger("persistence").setLevel(logging.WARNING)  # it tells of every file, every second
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    at_end_of_input(lambda: loop.call_soon_threadsafe(stop.set))
    app = guard.Guard(ministack.app, guard.Keys(given["access_key"], given["gateway_key"]))
    config = Config()
    config.bind = [f"fd://{door.fileno()}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 0.5
    config.loglevel = given["log_level"]
    door.listen(1024)
    replies.write(json.dumps({"port": door.getsockname()[1]}) + "\n")
    replies.flush()
    saver = asyncio.create_task(_save_often(app, ministack)) if given["data"] else None

    async def told_to_stop() -> None:
        await stop.wait()
        if saver is not None:  # the last save, on the way out, is not disturbed by one that is under way
            saver.cancel()
            await asyncio.gather(saver, return_exceptions=True)

    try:
        await serve(cast("Any", app), config, shutdown_trigger=told_to_stop)
    finally:
        lambda_runtime.reset()


async def _save_often(guarded: "Guard", ministack: Any) -> None:
    """Whoever kills us loses at most what was written since the last save began."""
    saved = 0
    while True:
        await asyncio.sleep(SAVE_SECONDS)
        if guarded.served != saved:
            saved = guarded.served
            await _save(ministack)


async def _save(ministack: Any) -> None:
    """A fork has everything as it is at this moment, between two requests, and takes its time to write it down."""
    with warnings.catch_warnings():
        # A lock that another thread holds stays locked in the fork: then it hangs, is killed, and the next one saves.
        warnings.simplefilter("ignore", DeprecationWarning)
        fork = os.fork()
    if fork == 0:
        try:
            from ministack.core import persistence

            persistence.save_all(ministack._build_persistence_save_dict())  # noqa: SLF001
        finally:
            os._exit(0)
    ended = asyncio.create_task(asyncio.to_thread(os.waitpid, fork, 0))
    try:
        await asyncio.wait_for(asyncio.shield(ended), SAVE_TIMEOUT)
    except (TimeoutError, asyncio.CancelledError) as over:
        os.kill(fork, signal.SIGKILL)
        await ended
        if isinstance(over, asyncio.CancelledError):
            raise


if __name__ == "__main__":
    main()
