"""From a SAM template to the CloudFormation that the emulator takes."""

import copy
import logging
import re
from collections.abc import Collection
from types import SimpleNamespace
from typing import Any

# The emulator refuses a whole stack that holds one of these; nothing of ours depends on them locally.
NOT_EMULATED = ("AWS::ApiGatewayV2::Deployment", "AWS::ApiGatewayV2::RouteResponse")
_ANY_METHOD = "x-amazon-apigateway-any-method"
_VERBS = ("get", "post", "put", "patch", "delete", "head", "options")

Document = dict[str, Any]


def without(document: Document, names: Collection[str]) -> Document:
    """Lacks these resources; whatever referred to one has its name as plain text instead."""

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

    kept = {name: resource for name, resource in document["Resources"].items() if name not in names}
    for resource in kept.values():
        if needed := resource.pop("DependsOn", None):
            listed = needed if isinstance(needed, list) else [needed]
            resource["DependsOn"] = [name for name in listed if name not in names]
    rest: Document = plain({**document, "Resources": kept})
    return rest


def expanded(document: Document, region: str) -> Document:
    """What SAM makes of it, with every `ANY` method spelled out: the emulator drops those."""
    from samtranslator.parser.parser import Parser
    from samtranslator.translator.translator import Translator

    logging.getLogger("samtranslator").setLevel(logging.ERROR)
    translator = Translator({}, Parser(), boto_session=SimpleNamespace(region_name=region))
    translated: Document = translator.translate(document, {})
    translated.pop("Transform", None)
    for resource in translated["Resources"].values():
        if resource["Type"] == "AWS::ApiGateway::RestApi":
            properties = resource["Properties"]
            for operations in properties.get("Body", {}).get("paths", {}).values():
                for verb in _VERBS if _ANY_METHOD in operations else ():
                    operations.setdefault(verb, copy.deepcopy(operations[_ANY_METHOD]))
                operations.pop(_ANY_METHOD, None)
            types = properties.get("BinaryMediaTypes", [])
            properties["BinaryMediaTypes"] = [each.replace("~1", "/") for each in types]
    return translated
