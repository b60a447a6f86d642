"""Step Functions: executions of the two state machines, by names that make beginning twice one beginning."""

import json
from typing import Any

from quintet.copies import own
from quintet.settings import settings

_OVER = frozenset({"ExecutionAlreadyExists"})
_GONE = frozenset({"ExecutionDoesNotExist", "ValidationException"})
_NOBODY_WAITS = frozenset({"TaskDoesNotExist", "TaskTimedOut", "InvalidToken"})


class StepFunctions:
    """Every method blocks."""

    def start(self, task_id: str, run: int) -> None:
        self._start(settings().task_machine_arn, f"{task_id}-{run}", {"task_id": task_id, "run": run})

    def stop(self, task_id: str, run: int, why: str) -> None:
        arn = _execution(settings().task_machine_arn, f"{task_id}-{run}")
        _but_for(_GONE, "stop_execution", executionArn=arn, error="TaskEnded", cause=why[:256])

    def running(self, task_id: str, run: int) -> bool:
        return self._running(settings().task_machine_arn, f"{task_id}-{run}")

    def escalate(self, escalation_id: str, run: int) -> None:
        told = {"escalation_id": escalation_id, "run": run}
        self._start(settings().escalation_machine_arn, f"{escalation_id}-{run}", told)

    def escalating(self, escalation_id: str, run: int) -> bool:
        return self._running(settings().escalation_machine_arn, f"{escalation_id}-{run}")

    def answer(self, token: str, decision: str) -> bool:
        """Whether anybody was waiting for it."""
        return _but_for(_NOBODY_WAITS, "send_task_success", taskToken=token, output=json.dumps({"decision": decision}))

    def _start(self, machine: str, name: str, told: dict[str, Any]) -> None:
        _but_for(_OVER, "start_execution", stateMachineArn=machine, name=name, input=json.dumps(told))

    def _running(self, machine: str, name: str) -> bool:
        from botocore.exceptions import ClientError

        try:
            answer = _client().describe_execution(executionArn=_execution(machine, name))
        except ClientError as error:
            if error.response["Error"]["Code"] in _GONE:
                return False
            raise
        return bool(answer["status"] == "RUNNING")


def _but_for(codes: frozenset[str], operation: str, **arguments: Any) -> bool:
    """Whether it was done; False for a refusal that is one of `codes`."""
    from botocore.exceptions import ClientError

    try:
        getattr(_client(), operation)(**arguments)
    except ClientError as error:
        if error.response["Error"]["Code"] not in codes:
            raise
        return False
    return True


def _execution(machine: str, name: str) -> str:
    return machine.replace(":stateMachine:", ":execution:") + f":{name}"


@own
def _client() -> Any:
    import botocore.session
    from botocore.config import Config

    config = Config(connect_timeout=2, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 4})
    return botocore.session.get_session().create_client(
        "stepfunctions", region_name=settings().aws_region, config=config
    )
