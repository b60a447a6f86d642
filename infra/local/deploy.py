"""Deploys template.yaml into the emulator: functions load the working tree, the rest is what AWS would get."""

import copy
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from infra.local.children import ROOT
from infra.local.cloudformation import CloudFormationStack, DeployFailed
from infra.local.emulator import Endpoint
from infra.local.packages import Packages
from infra.local.template import FUNCTION, NESTING, Function, Template
from infra.local.translate import NOT_EMULATED, Document, expanded, without

STACK = "quintet"
_BUCKET = "deploy"
_LAYER = "AWS::Serverless::LayerVersion"
_STATE_MACHINE = "AWS::Serverless::StateMachine"
_TABLE = "AWS::DynamoDB::Table"

Say = Callable[[str], None]


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
    """`lacking` are the beginnings of resource types that this endpoint does not have."""

    def __init__(
        self,
        endpoint: Endpoint,
        packages: Packages,
        *,
        root: Path = ROOT,
        lacking: tuple[str, ...] = NOT_EMULATED,
        stack: str = STACK,
        say: Say = print,
    ) -> None:
        self.code = root / "functions"
        self.source = root / "template.yaml"
        self._url = endpoint.url
        self._region = endpoint.region
        self._packages = packages
        self._lacking = lacking
        self._say = say
        self._stack = CloudFormationStack(endpoint.client("cloudformation"), stack)
        self._lambda = endpoint.client("lambda")
        self._dynamodb = endpoint.client("dynamodb")
        self._s3 = endpoint.client("s3")

    def template(self) -> Template:
        """As it is now: it may have been edited."""
        return Template(self.source)

    def functions(self) -> list[Function]:
        """Those whose code is written."""
        return [function for function in self.template().functions.values() if function.written(self.code)]

    def deploy(self, settings: Mapping[str, str], parameters: Mapping[str, str]) -> Deployed:
        """Creates the stack or brings it up to date; every function is told `settings`. Raises DeployFailed."""
        template = self.template()
        if _BUCKET not in {bucket["Name"] for bucket in self._s3.list_buckets()["Buckets"]}:
            self._s3.create_bucket(Bucket=_BUCKET)
        self._stack.apply(self._url_of(self._translated(template, settings)), parameters)
        self._expire_items(template, self._stack)
        names = self._names(template.functions)
        return Deployed(
            outputs=self._stack.outputs(),
            names=names,
            environments={
                name: self._lambda.get_function_configuration(FunctionName=physical)["Environment"]["Variables"]
                for name, physical in names.items()
            },
        )

    def renew_code(self) -> None:
        """Functions take the working tree's code from their next call on."""
        functions = {function.id: function for function in self.functions()}
        for name, physical in self._names(functions).items():
            package = self._packages.content(functions[name])
            self._lambda.update_function_code(FunctionName=physical, ZipFile=package)

    def _names(self, functions: Iterable[str]) -> dict[str, str]:
        found = self._stack.resources("AWS::Lambda::Function")
        return {name: found[name] for name in functions if name in found}

    def _translated(self, template: Template, settings: Mapping[str, str]) -> Document:
        document = copy.deepcopy(template.document)
        dropped: list[str] = []
        for name, resource in document["Resources"].items():
            kind, properties = resource["Type"], resource.setdefault("Properties", {})
            if kind == FUNCTION:
                function = template.functions[name]
                if function.written(self.code):
                    self._give_code(function, properties, settings)
                else:
                    self._say(f"skipping {name}: {function.module} is not written yet")
                    dropped.append(name)
            elif kind == _LAYER or kind.startswith(self._lacking):
                dropped.append(name)  # the packages hold what layers would bring
            elif kind == _STATE_MACHINE and isinstance(properties.get("DefinitionUri"), str):
                source = template.source.parent / properties.pop("DefinitionUri")
                properties["Definition"] = yaml.safe_load(source.read_text())  # JSON is YAML
            elif name in template.nested:
                properties[NESTING[kind]] = self._url_of(self._translated(template.nested[name], settings))
        document.get("Globals", {}).get("Function", {}).pop("Layers", None)
        document = without(document, dropped)
        return expanded(document, self._region) if template.serverless else document

    def _give_code(self, function: Function, properties: dict[str, Any], settings: Mapping[str, str]) -> None:
        properties["CodeUri"] = {"Bucket": _BUCKET, "Key": self._stored(self._packages.content(function), "zip")}
        properties["Handler"] = self._packages.handler(function)
        properties.update(self._packages.properties)
        properties.pop("Layers", None)
        properties.setdefault("Environment", {}).setdefault("Variables", {}).update(settings)

    def _url_of(self, document: Document) -> str:
        return f"{self._url}/{_BUCKET}/{self._stored(json.dumps(document, default=str).encode(), 'json')}"

    def _stored(self, content: bytes, suffix: str) -> str:
        key = f"{hashlib.sha256(content).hexdigest()}.{suffix}"
        self._s3.put_object(Bucket=_BUCKET, Key=key, Body=content)
        return key

    def _expire_items(self, template: Template, stack: CloudFormationStack) -> None:
        """CloudFormation sets a table's time to live on AWS; the emulator's does not."""
        tables = stack.resources(_TABLE)
        for name, properties in template.of_type(_TABLE):
            wanted = properties.get("TimeToLiveSpecification")
            if wanted and not self._expires(tables[name]):
                self._dynamodb.update_time_to_live(TableName=tables[name], TimeToLiveSpecification=wanted)
        nested = stack.nested()
        for name, inner in template.nested.items():
            self._expire_items(inner, nested[name])

    def _expires(self, table: str) -> bool:
        known = self._dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
        return known["TimeToLiveStatus"] in {"ENABLED", "ENABLING"}
