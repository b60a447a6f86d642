import json
from typing import Any

import jsonschema
import pytest

from quintet.gateway.providers.samples import sample

TREE = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
            },
            "required": ["name", "next", "children"],
            "additionalProperties": False,
        }
    },
    "$ref": "#/$defs/node",
}
NAMES = [f"k{number}" for number in range(10)]
WIDE = {"type": "object", "properties": {key: {"$ref": "#/$defs/a"} for key in NAMES}, "required": NAMES}
SCHEMAS: list[dict[str, Any]] = [
    {},
    {"type": "object"},
    {"type": "object", "minProperties": 2, "additionalProperties": {"type": "integer"}},
    {"type": "object", "required": ["undeclared"]},
    {"type": "string", "minLength": 10, "maxLength": 12},
    {"type": "string", "maxLength": 2},
    {"type": "string", "pattern": "^[A-Z]{3}$"},
    {"type": "string", "format": "date-time"},
    {"type": ["null", "string"]},
    {"enum": ["a", "b"]},
    {"const": 7},
    {"type": "integer", "minimum": 5},
    {"type": "integer", "maximum": -3},
    {"type": "integer", "exclusiveMinimum": 1, "multipleOf": 5},
    {"type": "number", "minimum": 0, "maximum": 0.5},
    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    {"type": "number", "minimum": 0, "maximum": 10, "multipleOf": 3},
    {"type": "array", "minItems": 3, "uniqueItems": True, "items": {"type": "string"}},
    {"type": "array", "maxItems": 0},
    {"type": "array", "uniqueItems": True, "minItems": 2, "items": {"enum": ["x", "y", "z"]}},
    {"allOf": [{"type": "object", "required": ["a"]}, {"required": ["b"], "properties": {"b": {"type": "integer"}}}]},
    {"oneOf": [{"type": "null"}, {"type": "object", "properties": {"a": {"type": "boolean"}}}]},
    TREE,
]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_sample_fits_its_schema(schema: dict[str, Any]) -> None:
    jsonschema.validate(sample(schema), schema)


def test_a_score_is_the_best_one() -> None:
    assert sample({"type": "integer", "minimum": 0, "maximum": 100}) == 100
    assert sample({"type": "number", "minimum": 0, "maximum": 1}) == 1
    assert sample({"type": "integer", "minimum": 1, "maximum": 20}) == 1


@pytest.mark.parametrize(
    "schema",
    [
        True,
        None,
        {"$ref": "#/$defs/missing"},
        {"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
        {"type": "string", "pattern": "("},
        {"type": "array", "minItems": 10**9},
        {"type": "string", "minLength": 10**12},
        {"type": "integer", "minimum": 10**400},
        {"type": "number", "minimum": 1e308, "exclusiveMinimum": 1e308},
        {"type": "string", "pattern": "a{99999999999999999999}"},
        {"type": "string", "pattern": "(" * 50_000},
        {"type": "string", "pattern": r"^\+1(?:(0)|(0)|(0)|(0)|(0)|(0)|(0)|(0))*x"},
        {"type": "string", "pattern": r"^\+1(0+0+)+x"},
        {"type": "string", "pattern": r"^\+1" + "0*" * 99 + "x"},
        {"type": "string", "pattern": r"^\+1" + "(|0)" * 40 + "x"},
        {"$defs": {"a": WIDE}, "$ref": "#/$defs/a"},
        {"$defs": {"a": {"type": "array", "minItems": 1000, "items": {"$ref": "#/$defs/a"}}}, "$ref": "#/$defs/a"},
        {"type": "array", "minItems": 1000, "items": {"const": "x" * 100_000}},
        {"type": "array", "minItems": 1000, "items": {"type": "string", "minLength": 100_000}},
        {"type": "array", "prefixItems": [{"default": "x" * 1000}] * 10_000},
        {"allOf": [{"required": [f"a{n}" for n in range(50_000)]}, {"required": [f"b{n}" for n in range(50_000)]}]},
        {"allOf": [{"required": [[], {}]}, {"required": [5, "a"]}]},
    ],
)
def test_no_schema_keeps_it_busy_or_breaks_it(schema: Any) -> None:
    assert len(json.dumps(sample(schema))) < 1_000_000


@pytest.mark.parametrize(
    ("pattern", "fits"), [("^[A-Z]{3}$", "ABC"), (r"^\+?[1-9]\d{5,14}$", "+10000000000"), ("^(abc|def)$", "abc")]
)
def test_what_a_usual_pattern_takes_is_found(pattern: str, fits: str) -> None:
    assert sample({"type": "string", "pattern": pattern}) == fits
