"""Every permission that the templates give, one by one, and the templates without it."""

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.local.template import FUNCTION, NESTING, Template

_MANAGED = "AWS::IAM::ManagedPolicy"
_ROLE = "AWS::IAM::Role"


@dataclass(frozen=True, slots=True)
class Permission:
    """`holder` is the function, policy or role that has it; `nest` the nested template that this is in."""

    nest: str
    holder: str
    sid: str
    action: str
    place: int  # of the resource among the statement's
    resource: str

    def __str__(self) -> str:
        where = f"{self.nest}." if self.nest else ""
        return f"{where}{self.holder}/{self.sid}: {self.action} on {self.resource}"


Documents = dict[str, dict[str, Any]]


def documents(template: Template) -> Documents:
    """The template's own, unnamed, and those that it nests."""
    return {"": template.document, **{name: nested.document for name, nested in template.nested.items()}}


def permissions(parts: Documents) -> list[Permission]:
    return [
        Permission(nest, holder, statement["Sid"], action, place, _named(resource))
        for nest, document in parts.items()
        for holder, statement in _statements(document)
        for action in listed(statement["Action"])
        for place, resource in enumerate(listed(statement["Resource"]))
    ]


def without(parts: Documents, permission: Permission) -> Documents:
    whole = parts[permission.nest]
    resources = whole["Resources"]
    part = {**whole, "Resources": {**resources, permission.holder: copy.deepcopy(resources[permission.holder])}}
    for holder, statement in _statements(part):
        if (holder, statement["Sid"]) == (permission.holder, permission.sid):
            _take(part["Resources"][permission.holder], statement, permission)
            break
    return {**parts, permission.nest: part}


def written(parts: Documents, template: Template, folder: Path) -> Path:
    """To the folder, to be deployed from there."""
    document = copy.deepcopy(parts[""])
    for name in template.nested:
        place = folder / f"{name}.yaml"
        place.write_text(json.dumps(parts[name]))  # JSON is YAML
        document["Resources"][name]["Properties"][NESTING[document["Resources"][name]["Type"]]] = str(place)
    for resource in document["Resources"].values():
        definition = resource.get("Properties", {}).get("DefinitionUri")
        if isinstance(definition, str):
            resource["Properties"]["DefinitionUri"] = str((template.source.parent / definition).resolve())
    target = folder / "template.yaml"
    target.write_text(json.dumps(document))
    return target


def _take(part: Mapping[str, Any], statement: dict[str, Any], permission: Permission) -> None:
    """The other actions stay on all resources, this one on the other resources."""
    actions, resources = listed(statement["Action"]), listed(statement["Resource"])
    others = [each for each in actions if each != permission.action]
    elsewhere = [each for place, each in enumerate(resources) if place != permission.place]
    left = [{**statement, "Action": others}] if others else []
    if elsewhere:
        left.append({**statement, "Sid": f"{statement['Sid']}Elsewhere", "Action": permission.action})
        left[-1]["Resource"] = elsewhere
    _replace(part, statement, left)


def _replace(where: Any, statement: Mapping[str, Any], left: list[dict[str, Any]]) -> None:
    if isinstance(where, list):
        for place, each in enumerate(where):
            if each is statement or (isinstance(each, dict) and each.get("Fn::If", [None] * 3)[1] is statement):
                where[place : place + 1] = left or [{"Sid": "Nothing", "Effect": "Deny", "Action": "sts:TagSession"}]
                where[place].setdefault("Resource", "*")
                return
    for each in where.values() if isinstance(where, dict) else where if isinstance(where, list) else ():
        if isinstance(each, dict | list):
            _replace(each, statement, left)


def _statements(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Those that allow something, with who has them. What stands under a condition counts."""
    for name, resource in document["Resources"].items():
        properties = resource.get("Properties", {})
        match resource["Type"]:
            case kind if kind == FUNCTION:
                policies = [each for each in properties.get("Policies", ()) if "Statement" in each]
            case kind if kind == _MANAGED:
                policies = [properties["PolicyDocument"]]
            case kind if kind == _ROLE:
                policies = [each["PolicyDocument"] for each in properties.get("Policies", ())]
            case _:
                continue
        for policy in policies:
            for statement in policy["Statement"]:
                yield name, statement["Fn::If"][1] if "Fn::If" in statement else statement


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _named(resource: Any) -> str:
    """Short: what people call it."""
    match resource:
        case {"Fn::Sub": str(text)}:
            return text.replace("${AWS::StackName}-", "").rpartition("${AWS::AccountId}:")[2]
        case {"Fn::GetAtt": [*names]}:
            return ".".join(map(str, names))
    return str(resource)
