"""Deploys template.yaml into the emulator: functions load the working tree, the rest is what AWS would get."""

import copy
import hashlib
import json
import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml
from botocore.exceptions import ClientError

from infra.local.children import ROOT
from infra.local.emulator import Endpoint
from infra.local.packages import Packages
from infra.local.template import FUNCTION, NESTING, Function, Template

STACK = "quintet"
DEPLOY_SECONDS = 120.0
_BUCKET = "deploy"
_LAYER = "AWS::Serverless::LayerVersion"
_STATE_MACHINE = "AWS::Serverless::StateMachine"
_ANY_METHOD = "x-amazon-apigateway-any-method"
_VERBS = ("get", "post", "put", "patch", "delete", "head", "options")
# The emulator refuses a whole stack that holds one of these; nothing of ours depends on them locally.
NOT_EMULATED = (
    "AWS::ApiGatewayV2::Deployment",
    "AWS::ApiGatewayV2::RouteResponse",
    "AWS::Logs::QueryDefinition",
    "AWS::S3::BucketPolicy",  # ours refuses what is not encrypted on its way, and loopback is not
)
# Functions run the working tree: a version of them would stand still.
_VERSIONED = (
    "AutoPublishAlias",
    "AutoPublishAliasAllProperties",
    "AutoPublishCodeSha256",
    "SnapStart",
    "VersionDeletionPolicy",
)
# A stack whose first creation failed holds nothing worth keeping and cannot be updated.
_STILLBORN = frozenset({"CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED"})

Say = Callable[[str], None]


class DeployFailed(Exception):  # noqa: N818 - an outcome
    """What CloudFormation gave as its reasons."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """`names` and `environments` are by a function's name in the template: what the functions really got."""

    outputs: Mapping[str, str]
    names: Mapping[str, str]
    environments: Mapping[str, Mapping[str, str]]

    def environment(self, functions: Iterable[Function]) -> dict[str, str]:
        """One for all of these, for whoever serves them in one process. Raises DeployFailed where they differ."""
        merged: dict[str, str] = {}
        for function in functions:
            for name, value in self.environments[function.id].items():
                if merged.setdefault(name, value) != value:
                    raise DeployFailed(f"{name} differs between functions: one process cannot serve them")
        return merged


class Deployment:
    """`without` are the beginnings of resource types that this endpoint does not have; `template` is the root's own."""

    def __init__(
        self,
        endpoint: Endpoint,
        packages: Packages,
        *,
        root: Path = ROOT,
        template: Path | None = None,
        without: tuple[str, ...] = NOT_EMULATED,
        stack: str = STACK,
        say: Say = print,
    ) -> None:
        self.endpoint = endpoint
        self.code = root / "functions"
        self.stack = stack
        self._source = template or root / "template.yaml"
        self._packages = packages
        self._without = without
        self._say = say
        self._cloudformation = endpoint.client("cloudformation")
        self._lambda = endpoint.client("lambda")
        self._dynamodb = endpoint.client("dynamodb")
        self._s3 = endpoint.client("s3")

    def template(self) -> Template:
        return Template(self._source)

    def functions(self) -> list[Function]:
        """Those whose code is written."""
        return [function for function in self.template().functions.values() if function.written(self.code)]

    def deploy(self, settings: Mapping[str, str], parameters: Mapping[str, str]) -> Deployed:
        """Creates the stack or brings it up to date; every function is told `settings`. Raises DeployFailed."""
        template = self.template()
        self._bucket()
        body = self._translated(template, settings)
        self._apply(self._upload(json.dumps(body, default=str).encode(), "json"), parameters)
        self._expire_items(template, self.stack)
        return self._read_back(template)

    def renew_code(self) -> None:
        """Functions take the working tree's code from their next call on."""
        names = self._names(self.template())
        for function in self.functions():
            if function.id in names:
                self._lambda.update_function_code(
                    FunctionName=names[function.id], ZipFile=self._packages.content(function)
                )

    # What goes in

    def _translated(self, template: Template, settings: Mapping[str, str]) -> dict[str, Any]:
        document = copy.deepcopy(template.document)
        resources: dict[str, Any] = document["Resources"]
        dropped: list[str] = []
        for name, resource in resources.items():
            kind, properties = resource["Type"], resource.setdefault("Properties", {})
            if kind == FUNCTION:
                function = template.functions[name]
                if function.written(self.code):
                    self._give_code(function, properties, settings)
                else:
                    self._say(f"skipping {name}: {function.module} is not written yet")
                    dropped.append(name)
            elif kind == _LAYER or kind.startswith(self._without):
                dropped.append(name)  # the packages hold what layers would bring
            elif kind == _STATE_MACHINE and isinstance(properties.get("DefinitionUri"), str):
                source = template.source.parent / properties.pop("DefinitionUri")
                properties["Definition"] = yaml.safe_load(source.read_text())  # JSON is YAML
            elif name in template.nested:
                body = self._translated(template.nested[name], settings)
                properties[NESTING[kind]] = self._upload(json.dumps(body, default=str).encode(), "json")
        document.get("Globals", {}).get("Function", {}).pop("Layers", None)
        document = _without_aliases(_dropped(document, dropped))
        return _expanded(document, self.endpoint.region) if template.serverless else document

    def _give_code(self, function: Function, properties: dict[str, Any], settings: Mapping[str, str]) -> None:
        properties["CodeUri"] = {"Bucket": _BUCKET, "Key": self._store(self._packages.content(function), "zip")}
        properties["Handler"] = self._packages.handler(function)
        properties.update(self._packages.properties)
        for name in ("Layers", *_VERSIONED):
            properties.pop(name, None)
        for event in properties.get("Events", {}).values():
            event["Properties"].pop("ResponseTransferMode", None)  # its API Gateway does not stream: our front does
        properties.setdefault("Environment", {}).setdefault("Variables", {}).update(settings)

    def _bucket(self) -> None:
        if _BUCKET not in {bucket["Name"] for bucket in self._s3.list_buckets()["Buckets"]}:
            self._s3.create_bucket(Bucket=_BUCKET)

    def _store(self, content: bytes, suffix: str) -> str:
        key = f"{hashlib.sha256(content).hexdigest()}.{suffix}"
        self._s3.put_object(Bucket=_BUCKET, Key=key, Body=content)
        return key

    def _upload(self, content: bytes, suffix: str) -> str:
        return f"{self.endpoint.url}/{_BUCKET}/{self._store(content, suffix)}"

    # CloudFormation

    def _apply(self, url: str, parameters: Mapping[str, str]) -> None:
        status = self._status()
        if status in _STILLBORN:
            self._cloudformation.delete_stack(StackName=self.stack)
            self._wait()
            status = None
        change = self._cloudformation.update_stack if status else self._cloudformation.create_stack
        try:
            change(
                StackName=self.stack,
                TemplateURL=url,
                Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
                Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            )
        except ClientError as error:
            # CloudFormation tells apart by its text alone that there is nothing to do and that it will not do it.
            if "No updates are to be performed" in str(error):
                return
            raise DeployFailed(str(error)) from None
        status = self._wait()
        if status not in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
            raise DeployFailed(f"the stack is {status}: {'; '.join(self._reasons()) or 'no reason given'}")

    def _status(self) -> str | None:
        try:
            status: str = self._described()["StackStatus"]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return None if status == "DELETE_COMPLETE" else status

    def _described(self) -> dict[str, Any]:
        described: dict[str, Any] = self._cloudformation.describe_stacks(StackName=self.stack)["Stacks"][0]
        return described

    def _wait(self) -> str | None:
        until = time.monotonic() + DEPLOY_SECONDS
        while (status := self._status()) and status.endswith("IN_PROGRESS"):
            if time.monotonic() > until:
                raise DeployFailed(f"the stack is still {status} after {DEPLOY_SECONDS:.0f} s")
            time.sleep(0.05)
        return status

    def _reasons(self) -> list[str]:
        events = self._cloudformation.describe_stack_events(StackName=self.stack)["StackEvents"]
        return [
            f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}"
            for event in events
            if event["ResourceStatus"].endswith("FAILED")
        ]

    def _resources(self, stack: str, kind: str) -> dict[str, str]:
        """Physical names by the names in the template."""
        pages = self._cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
        return {
            resource["LogicalResourceId"]: resource["PhysicalResourceId"]
            for page in pages
            for resource in page["StackResourceSummaries"]
            if resource["ResourceType"] == kind
        }

    # What the emulator leaves out

    def _expire_items(self, template: Template, stack: str) -> None:
        """CloudFormation sets a table's time to live on AWS; the emulator's does not."""
        kind = "AWS::DynamoDB::Table"
        wanted = {
            name: properties["TimeToLiveSpecification"]
            for name, properties in template.of_type(kind)
            if "TimeToLiveSpecification" in properties
        }
        tables = self._resources(stack, kind) if wanted else {}
        for name, specification in wanted.items():
            known = self._dynamodb.describe_time_to_live(TableName=tables[name])["TimeToLiveDescription"]
            if known["TimeToLiveStatus"] not in {"ENABLED", "ENABLING"}:
                self._dynamodb.update_time_to_live(TableName=tables[name], TimeToLiveSpecification=specification)
        if template.nested:
            stacks = self._resources(stack, "AWS::CloudFormation::Stack")
            for name, nested in template.nested.items():
                if name in stacks:  # one that depends on a condition may not be there
                    self._expire_items(nested, stacks[name])

    # What came out

    def _names(self, template: Template) -> dict[str, str]:
        found = self._resources(self.stack, "AWS::Lambda::Function")
        return {name: found[name] for name in template.functions if name in found}

    def _read_back(self, template: Template) -> Deployed:
        names = self._names(template)
        return Deployed(
            outputs={each["OutputKey"]: each["OutputValue"] for each in self._described().get("Outputs", [])},
            names=names,
            environments={
                name: self._lambda.get_function_configuration(FunctionName=physical)["Environment"]["Variables"]
                for name, physical in names.items()
            },
        )


def _without_aliases(value: Any) -> Any:
    """`!Ref F.Alias` and `${F.Alias}` become the function itself."""
    if isinstance(value, dict):
        match value:
            case {"Ref": str(name)} if name.endswith(".Alias"):
                return {"Fn::GetAtt": [name.removesuffix(".Alias"), "Arn"]}
        return {key: _without_aliases(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_without_aliases(each) for each in value]
    return re.sub(r"\$\{(\w+)\.Alias\}", r"${\1.Arn}", value) if isinstance(value, str) else value


def _dropped(document: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """Without these resources; whatever referred to one gets its name as plain text instead."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            match value:
                case {"Ref": str(name)} if name in names:
                    return name
                case {"Fn::GetAtt": [str(name), *_]} if name in names:
                    return name
            return {key: plain(each) for key, each in value.items()}
        if isinstance(value, list):
            return [plain(each) for each in value]
        if isinstance(value, str):
            return re.sub(r"\$\{(\w+)(\.\w+)?\}", lambda found: found[1] if found[1] in names else found[0], value)
        return value

    for name in names:
        del document["Resources"][name]
    kept: dict[str, Any] = plain(document)
    return kept


def _expanded(document: dict[str, Any], region: str) -> dict[str, Any]:
    """What SAM makes of it, with every `ANY` method spelled out: the emulator drops those."""
    from samtranslator.parser.parser import Parser
    from samtranslator.translator.translator import Translator

    logging.getLogger("samtranslator").setLevel(logging.ERROR)
    translator = Translator({}, Parser(), boto_session=SimpleNamespace(region_name=region))
    expanded: dict[str, Any] = translator.translate(document, {})
    expanded.pop("Transform", None)
    for resource in expanded["Resources"].values():
        if resource["Type"] == "AWS::ApiGateway::RestApi":
            properties = resource["Properties"]
            for operations in properties.get("Body", {}).get("paths", {}).values():
                for verb in _VERBS if _ANY_METHOD in operations else ():
                    operations.setdefault(verb, copy.deepcopy(operations[_ANY_METHOD]))
                operations.pop(_ANY_METHOD, None)
            types = properties.get("BinaryMediaTypes", [])
            properties["BinaryMediaTypes"] = [each.replace("~1", "/") for each in types]
    return expanded
