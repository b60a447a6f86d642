"""One stack of CloudFormation: brought up to date, waited for, asked what is in it."""

import time
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

DEPLOY_SECONDS = 120.0
_CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
_DONE = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE"})
# A stack whose first creation failed holds nothing worth keeping and cannot be updated.
_STILLBORN = frozenset({"CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED"})


class DeployFailed(Exception):  # noqa: N818 - an outcome
    """What CloudFormation gave as its reasons."""


class CloudFormationStack:
    def __init__(self, client: Any, name: str) -> None:
        self.name = name
        self._client = client

    def apply(self, url: str, parameters: Mapping[str, str]) -> None:
        """Creates the stack from the template at `url`, or updates it. Raises DeployFailed."""
        status = self._status()
        if status in _STILLBORN:
            self._client.delete_stack(StackName=self.name)
            status = self._settled()
        change = self._client.update_stack if status else self._client.create_stack
        given = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
        try:
            change(StackName=self.name, TemplateURL=url, Capabilities=_CAPABILITIES, Parameters=given)
        except ClientError as error:
            # CloudFormation tells apart by its text alone that there is nothing to do and that it will not do it.
            if "No updates are to be performed" in str(error):
                return
            raise DeployFailed(str(error)) from None
        status = self._settled()
        if status not in _DONE:
            raise DeployFailed(f"the stack is {status}: {'; '.join(self._reasons()) or 'no reason given'}")

    def outputs(self) -> dict[str, str]:
        return {each["OutputKey"]: each["OutputValue"] for each in self._described().get("Outputs", [])}

    def resources(self, kind: str) -> dict[str, str]:
        """Physical names by the names in the template."""
        pages = self._client.get_paginator("list_stack_resources").paginate(StackName=self.name)
        return {
            resource["LogicalResourceId"]: resource["PhysicalResourceId"]
            for page in pages
            for resource in page["StackResourceSummaries"]
            if resource["ResourceType"] == kind
        }

    def nested(self) -> dict[str, "CloudFormationStack"]:
        stacks = self.resources("AWS::CloudFormation::Stack")
        return {name: CloudFormationStack(self._client, physical) for name, physical in stacks.items()}

    def _described(self) -> dict[str, Any]:
        described: dict[str, Any] = self._client.describe_stacks(StackName=self.name)["Stacks"][0]
        return described

    def _status(self) -> str | None:
        """None when there is no such stack."""
        try:
            status: str = self._described()["StackStatus"]
        except ClientError as error:
            if "does not exist" in str(error):  # its code says no more than that the request was not valid
                return None
            raise
        return None if status == "DELETE_COMPLETE" else status

    def _settled(self) -> str | None:
        until = time.monotonic() + DEPLOY_SECONDS
        while (status := self._status()) and status.endswith("IN_PROGRESS"):
            if time.monotonic() > until:
                raise DeployFailed(f"the stack is still {status} after {DEPLOY_SECONDS:.0f} s")
            time.sleep(0.05)
        return status

    def _reasons(self) -> list[str]:
        events = self._client.describe_stack_events(StackName=self.name)["StackEvents"]
        return [
            f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}"
            for event in events
            if event["ResourceStatus"].endswith("FAILED")
        ]
