"""Ways to the deployed functions."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra.local.emulator import Emulator
from infra.local.system import System
from tests import gateway
from tests.roles import POLICIES, ROLES


class FunctionFailed(Exception):  # noqa: N818 - an outcome
    """`type` is the name of the exception that the function raised."""

    def __init__(self, told: Any) -> None:
        super().__init__(str(told))
        self.type = told.get("errorType", "") if isinstance(told, dict) else ""


def invoked(client: Any, name: str, event: Any) -> Any:
    """Raises FunctionFailed."""
    answer = client.invoke(FunctionName=name, Payload=json.dumps(event).encode())
    told = json.loads(answer["Payload"].read() or b"null")
    if "FunctionError" in answer:
        raise FunctionFailed(told)
    return told


class NotingEmulator(Emulator):
    module = "tests.roles.ministack"

    def __init__(self, folder: Path, **options: Any) -> None:
        self.told = {ROLES: str(folder)}
        super().__init__(**options)


class DeployedSystem(System):
    front_module = "tests.roles.front"


@contextmanager
def carried(client: Any, system: System, folder: Path) -> Iterator[None]:
    """While the block runs, what tests ask of handlers; afterwards it is noted who had which permissions."""
    gateway.carry = Carrier(client, system)
    try:
        yield
    finally:
        gateway.carry = gateway.in_process
        (folder / POLICIES).write_text(json.dumps(policies(system)))


def policies(system: System) -> list[dict[str, Any]]:
    """Every statement as it was deployed: its role, its Sid, its actions, its resources as ARNs."""
    iam = system.endpoint.client("iam")
    found = []
    for role in (each["RoleName"] for each in iam.list_roles()["Roles"]):
        documents = [
            iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
            for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
        ]
        for attached in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
            arn = attached["PolicyArn"]
            if ":aws:policy/" in arn:
                continue
            version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
            documents.append(
                iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
                | {"Holder": attached["PolicyName"]}
            )
        found += [
            {"role": role, "policy": document.get("Holder", ""), **statement}
            for document in documents
            for statement in document["Statement"]
        ]
    return found


class Carrier:
    """Takes what a handler is asked to the deployed function whose code it is."""

    def __init__(self, client: Any, system: System) -> None:
        self._client = client
        self._names = system.deployed.names
        self._functions = system.deployment.template().functions

    def __call__(self, handler: Any, event: dict[str, Any], context: Any) -> Any:
        for name, function in self._functions.items():
            module = sys.modules.get(function.module)
            if module is not None and getattr(module, function.attribute, None) is handler:
                return invoked(self._client, self._names[name], event)
        return handler(event, context)  # an app that a test has made
