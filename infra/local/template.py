"""Reads template.yaml and the templates nested in it: functions, routes, environments, tables."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

TRANSFORM = "AWS::Serverless-2016-10-31"
FUNCTION = "AWS::Serverless::Function"
ANY = "ANY"
NESTING = {"AWS::CloudFormation::Stack": "TemplateURL", "AWS::Serverless::Application": "Location"}


@dataclass(frozen=True, slots=True)
class Route:
    """`path` is API Gateway's: `/v1/tasks/{id}`, `/admin/v1/{proxy+}`. `method` is a verb, or ANY."""

    method: str
    path: str


@dataclass(frozen=True, slots=True)
class Function:
    """`id` is its name in the template; `module` and `attribute` are where its handler is."""

    id: str
    module: str
    attribute: str
    timeout: int
    routes: tuple[Route, ...]

    def written(self, code: Path) -> bool:
        """Whether the module exists: a template may name a function before its code is there."""
        return code.joinpath(*self.module.split(".")).with_suffix(".py").exists()


class Template:
    def __init__(self, source: Path) -> None:
        self.source = source
        self.document: dict[str, Any] = yaml.load(source.read_text(), _Loader)  # noqa: S506 - a SafeLoader

    @property
    def resources(self) -> dict[str, Any]:
        resources: dict[str, Any] = self.document["Resources"]
        return resources

    @property
    def globals(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.document.get("Globals", {}).get("Function", {})
        return found

    @property
    def serverless(self) -> bool:
        return TRANSFORM in str(self.document.get("Transform", ""))

    def of_type(self, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """The name and the properties of every such resource, in the template's order."""
        for name, resource in self.resources.items():
            if resource["Type"] == kind:
                yield name, resource.get("Properties", {})

    @cached_property
    def nested(self) -> dict[str, "Template"]:
        """By the name of the resource that nests it; the local ones alone."""
        return {
            name: Template(self.source.parent / properties[key])
            for kind, key in NESTING.items()
            for name, properties in self.of_type(kind)
            if isinstance(properties.get(key), str) and "://" not in properties[key]
        }

    @cached_property
    def functions(self) -> dict[str, Function]:
        return {name: self._function(name, properties) for name, properties in self.of_type(FUNCTION)}

    @property
    def sockets(self) -> Function | None:
        """The function behind the WebSocket API."""
        for _, properties in self.of_type("AWS::ApiGatewayV2::Integration"):
            for name in names_in(properties["IntegrationUri"]):
                if name in self.functions:
                    return self.functions[name]
        return None

    def _function(self, name: str, properties: Mapping[str, Any]) -> Function:
        module, _, attribute = str(properties.get("Handler", self.globals.get("Handler"))).rpartition(".")
        events = (event["Properties"] for event in properties.get("Events", {}).values() if event["Type"] == "Api")
        return Function(
            id=name,
            module=module.replace("/", "."),
            attribute=attribute,
            timeout=int(properties.get("Timeout", self.globals.get("Timeout", 3))),
            routes=tuple(Route(event["Method"].upper(), event["Path"]) for event in events),
        )


def names_in(value: Any) -> Iterator[str]:
    """The resources that an expression refers to."""
    if isinstance(value, Mapping):
        for function, argument in value.items():
            if function == "Ref":
                yield argument
            elif function == "Fn::GetAtt":
                yield argument[0]
            else:
                yield from names_in(argument)
    elif isinstance(value, list):
        for each in value:
            yield from names_in(each)
    elif isinstance(value, str):
        yield from re.findall(r"\$\{(\w+)", value)


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms: `!Ref x` is `{"Ref": "x"}`."""


def _intrinsic(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}"
    if isinstance(node, yaml.MappingNode):
        return {name: loader.construct_mapping(node, deep=True)}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    assert isinstance(node, yaml.ScalarNode)
    text = loader.construct_scalar(node)
    return {name: text.split(".", 1) if suffix == "GetAtt" else text}


_Loader.add_multi_constructor("!", _intrinsic)
