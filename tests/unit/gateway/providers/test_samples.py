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
    ],
)
def test_no_schema_keeps_it_busy_or_breaks_it(schema: Any) -> None:
    sample(schema)
