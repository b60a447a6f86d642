"""What is taken out of a template leaves nothing pointing at it."""

from typing import Any

from infra.local.translate import without


def test_references_to_what_is_gone_become_its_name() -> None:
    document: dict[str, Any] = {
        "Resources": {
            "Gone": {"Type": "X"},
            "Here": {
                "Type": "Y",
                "DependsOn": ["Gone", "Other"],
                "Properties": {
                    "One": {"Ref": "Gone"},
                    "Two": {"Fn::GetAtt": ["Gone", "Arn"]},
                    "Three": {"Fn::Sub": "arn:${Gone.Arn}/${Gone}/${Other}"},
                    "Four": [{"Ref": "Other"}],
                },
            },
            "Other": {"Type": "Z", "DependsOn": "Gone"},
        },
        "Outputs": {"Name": {"Value": {"Ref": "Gone"}}},
    }
    assert without(document, ["Gone"]) == {
        "Resources": {
            "Here": {
                "Type": "Y",
                "DependsOn": ["Other"],
                "Properties": {
                    "One": "Gone",
                    "Two": "Gone",
                    "Three": {"Fn::Sub": "arn:Gone/Gone/${Other}"},
                    "Four": [{"Ref": "Other"}],
                },
            },
            "Other": {"Type": "Z", "DependsOn": []},
        },
        "Outputs": {"Name": {"Value": "Gone"}},
    }
