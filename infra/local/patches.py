"""What MiniStack 1.5.33 does otherwise than AWS, mended at run time."""

import hashlib
import hmac
import importlib.metadata
import secrets
from types import ModuleType
from typing import Any

from infra.local import partitions, quick, units
from infra.local.mending import VERSION, Changed, edited, replace, rewrite

_CONVERSATIONS = {
    "bedrock:Converse": "bedrock:InvokeModel",
    "bedrock:ConverseStream": "bedrock:InvokeModelWithResponseStream",
}
# A worker whose emulator was killed would serve on for nobody.
_WATCH_PARENT = """
import os, threading, time
def _watch_parent(parent=os.getppid()):
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
threading.Thread(target=_watch_parent, daemon=True).start()
"""


def apply() -> None:
    found = importlib.metadata.version("ministack")
    if found != VERSION:
        raise Changed(f"found {found}")
    from ministack import app
    from ministack.core import iam_actions, lambda_runtime
    from ministack.services import dynamodb, lambda_svc
    from ministack.services.cloudformation import provisioners

    _name_exceptions(lambda_runtime, lambda_svc)
    _end_with_parent(lambda_runtime)
    _answer_at_once(lambda_runtime)
    quick.apply(dynamodb)
    partitions.apply(dynamodb)
    units.apply(dynamodb)
    _keep_credentials_secret(lambda_runtime, lambda_svc)
    _keep_attributes(provisioners)
    _name_actions(iam_actions)
    # It runs whatever scripts lie in LocalStack's well-known directories of the machine.
    replace(app, "_collect_scripts", lambda *_directories: [])


def _name_exceptions(lambda_runtime: ModuleType, lambda_svc: ModuleType) -> None:
    """A state machine catches exceptions by name; without this every one is a Runtime.HandlerError."""
    script = "_PYTHON_WORKER_SCRIPT"
    replace(
        lambda_runtime,
        script,
        edited(
            script,
            getattr(lambda_runtime, script),
            '"error": str(e), "trace"',
            '"error": str(e), "error_type": type(e).__name__, "trace"',
        ),
    )
    rewrite(
        lambda_svc,
        "_execute_function_warm",
        'error_type = "Runtime.HandlerError"',
        'error_type = result.get("error_type", "Runtime.HandlerError")',
    )


def _end_with_parent(lambda_runtime: ModuleType) -> None:
    script = "_PYTHON_WORKER_SCRIPT"
    replace(lambda_runtime, script, _WATCH_PARENT + getattr(lambda_runtime, script))


def _answer_at_once(lambda_runtime: ModuleType) -> None:
    """It waits 50 ms for log lines of a handler that writes none."""
    drain = lambda_runtime.Worker._drain_stderr_bounded  # noqa: SLF001
    if drain.__defaults__ != (0.050, 0.005, 0.250):
        raise Changed("Worker._drain_stderr_bounded")
    drain.__defaults__ = (0.002, 0.001, 0.250)


def _keep_credentials_secret(lambda_runtime: ModuleType, lambda_svc: ModuleType) -> None:
    """It derives a function's credentials from its name, and so could anybody; ours take a key of this run."""
    derive = lambda_runtime.execution_credentials
    key = secrets.token_bytes(32)

    def credentials(config: dict[str, Any]) -> dict[str, str]:
        from ministack.services import sts

        given: dict[str, str] = derive(config)
        session = sts._sessions.pop(given["AWS_ACCESS_KEY_ID"])  # noqa: SLF001
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        made = {name: hmac.new(key, given[name].encode(), hashlib.sha256).hexdigest() for name in names}
        made["AWS_ACCESS_KEY_ID"] = f"ASIA{made['AWS_ACCESS_KEY_ID'][:16].upper()}"
        sts.register_session(
            made["AWS_ACCESS_KEY_ID"],
            session | {"SecretAccessKey": made["AWS_SECRET_ACCESS_KEY"], "SessionToken": made["AWS_SESSION_TOKEN"]},
        )
        return made

    for module in (lambda_runtime, lambda_svc):
        replace(module, "execution_credentials", credentials)


def _keep_attributes(provisioners: ModuleType) -> None:
    """An update of a nested stack forgets the attributes of the resources in it that do not change."""
    arguments = "old_tagged, new_tagged, child_name, child_logical_id"
    rewrite(provisioners, "_cfn_nested_stack_deploy", f"{arguments},\n", f'{arguments}, prev.get("Attributes"),\n')


def _name_actions(iam_actions: ModuleType) -> None:
    """AWS has no permissions for batches of messages, nor for Bedrock's conversations."""
    named = iam_actions.extract_iam_action

    def extract_iam_action(service: str, *request: Any) -> str | None:
        action: str | None = named(service, *request)
        if service == "sqs" and action:
            return action.removesuffix("Batch")
        return _CONVERSATIONS.get(action, action) if action else action

    replace(iam_actions, "extract_iam_action", extract_iam_action)
