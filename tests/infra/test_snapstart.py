"""Versions and aliases as SAM makes them of template.yaml: who answers people is called by its alias, wherever from."""

import copy
import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from infra.local.template import FUNCTION, Template
from infra.release import release_of

Resources = Mapping[str, Any]


@pytest.fixture(scope="module")
def template() -> Template:
    return Template(Path(__file__).parents[2] / "template.yaml")


def expanded(template: Template, vendor: str = "v1", **parameters: str) -> Resources:
    from samtranslator.parser.parser import Parser
    from samtranslator.translator.translator import Translator

    logging.getLogger("samtranslator").setLevel(logging.ERROR)
    document = copy.deepcopy(template.document)
    document["Globals"]["Function"]["CodeUri"] = "s3://bucket/code"
    for name, resource in document["Resources"].items():
        properties = resource.get("Properties", {})
        if "ContentUri" in properties:
            properties["ContentUri"] = f"s3://bucket/{vendor if name == 'VendorLayer' else name}"
        if "DefinitionUri" in properties:
            properties["DefinitionUri"] = "s3://bucket/machine"
    given = {name: told.get("Default", "") for name, told in document["Parameters"].items()} | parameters
    translator = Translator({}, Parser(), boto_session=SimpleNamespace(region_name="us-east-1"))
    resources: Resources = translator.translate(document, given)["Resources"]
    return resources


def versions(resources: Resources) -> dict[str, str]:
    """The version that is to be published of each function."""
    found = (name.partition("Version") for name, each in resources.items() if each["Type"] == "AWS::Lambda::Version")
    return {function: name for function, _, name in found}


def answering(template: Template) -> set[str]:
    assert template.sockets is not None
    return {name for name, function in template.functions.items() if function.routes} | {template.sockets.id}


def test_who_answers_people_has_an_alias_and_a_version_that_does_not_outlive_the_next(template: Template) -> None:
    resources = expanded(template)
    assert versions(resources).keys() == answering(template)
    for name, each in resources.items():
        if each["Type"] == "AWS::Lambda::Version":
            assert each["DeletionPolicy"] == "Delete", name


def test_everything_that_calls_them_calls_the_alias(template: Template) -> None:
    resources = expanded(template)
    aliased = answering(template)
    named = re.compile("|".join(aliased))
    for name, each in resources.items():
        properties = each.get("Properties", {})
        kind = each["Type"]
        if kind in {"AWS::Lambda::Permission", "AWS::Lambda::EventSourceMapping"}:
            places = json.dumps(properties["FunctionName"])
        elif kind in {"AWS::ApiGateway::RestApi", "AWS::ApiGatewayV2::Integration"}:
            places = " ".join(re.findall(r"functions/\$\{[\w.]+\}", json.dumps(properties)))
            assert places
        else:
            continue
        assert not re.search(rf"({named.pattern})(?!Aliaslive)", places), (name, places)


def test_snapshots_are_taken_where_they_were_asked_for_alone(template: Template) -> None:
    told = {name: each.get("SnapStart") for name, each in template.of_type(FUNCTION)}
    wanted = {"ApplyOn": {"Fn::If": ["HasSnapStart", "PublishedVersions", "None"]}}
    assert {name for name, each in told.items() if each == wanted} == answering(template)
    assert {json.dumps(each) for each in told.values()} == {"null", json.dumps(wanted)}
    assert template.document["Parameters"]["SnapStart"]["Default"] == "false"


def test_a_new_version_comes_with_other_layers_and_with_another_release(template: Template) -> None:
    before = versions(expanded(template))
    other = versions(expanded(template, vendor="v2"))
    assert all(other[name] != version for name, version in before.items())
    first, second = (versions(expanded(template, Release=release)) for release in ("a" * 64, "b" * 64))
    assert all(first[name] != version for name, version in second.items())
    assert first == versions(expanded(template, vendor="v2", Release="a" * 64))


def test_a_release_is_what_was_built_and_how_it_is_set(tmp_path: Path) -> None:
    (tmp_path / "template.yaml").write_text(
        "Globals: {Function: {}}\nResources:\n"
        f"  F: {{Type: '{FUNCTION}', Properties: {{Handler: ask.app.handler, CodeUri: F}}}}\n"
    )
    (tmp_path / "F").mkdir()
    code = tmp_path / "F/app.py"
    code.write_text("1")
    first = release_of(tmp_path, {"Stage": "dev", "PublicUrl": "https://a"})
    assert re.fullmatch("[0-9a-f]{64}", first)
    assert first == release_of(tmp_path, {"PublicUrl": "https://a", "Stage": "dev", "Release": first})
    assert first != release_of(tmp_path, {"Stage": "dev", "PublicUrl": "https://b"})
    code.write_text("2")
    assert first != release_of(tmp_path, {"Stage": "dev", "PublicUrl": "https://a"})
