"""MiniStack in a process of its own: mended, behind a guarded door, and never outliving whoever started it.

`emulator.py` starts this as `python -m infra.local.ministack`, sends one line of JSON on standard input, and reads one
line with the port from standard output. The end of standard input is the order to stop.
"""

import asyncio
import json
import os
import shutil
import socket
import sys
from pathlib import Path
from typing import Any, TextIO, cast

from infra.local.children import at_end_of_input, private_stdout

SAVE_SECONDS = 1.0
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
        kept.write_text(json.dumps(content))


async def _serve(given: dict[str, Any], door: socket.socket, replies: TextIO) -> None:
    from infra.local import guard, patches

    patches.apply()

    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack import app as ministack
    from ministack.core import lambda_runtime

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
    try:
        await serve(cast("Any", app), config, shutdown_trigger=stop.wait)  # the state is saved on the way out
    finally:
        if saver is not None:
            saver.cancel()
        lambda_runtime.reset()


async def _save_often(guarded: Any, ministack: Any) -> None:
    """Whoever kills us loses at most what was written since the last save.

    The copy is taken on the loop, where requests are handled, so that no save holds half of one; the writing is not.
    """
    from ministack.core import persistence

    saved = 0
    while True:
        await asyncio.sleep(SAVE_SECONDS)
        if guarded.served == saved:
            continue
        saved = guarded.served
        copies = {name: copy() for name, copy in ministack._build_persistence_save_dict().items()}  # noqa: SLF001
        await asyncio.to_thread(_write, persistence, copies)


def _write(persistence: Any, copies: dict[str, Any]) -> None:
    for name, state in copies.items():
        if state is not None:
            persistence.save_state(name, state)


if __name__ == "__main__":
    main()
