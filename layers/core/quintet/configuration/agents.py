"""Each role's document: what its agents can do, may touch and prefer, and when the work is too much for them."""

from collections.abc import Mapping
from typing import Any

from quintet.configuration.model import Leaf, Named, Schema, Values, any_name, name, number, switch, told, whole

ROLES = ("architect", "implementer", "critic", "integrator")
_CAPABILITIES: Mapping[str, list[str]] = {
    "architect": ["system_design", "technical_planning", "architecture_decisions", "documentation_updates"],
    "implementer": ["code_implementation", "test_creation", "bug_fixes", "documentation_updates"],
    "critic": ["code_review", "security_review", "quality_assessment", "test_review"],
    "integrator": ["merge_coordination", "conflict_resolution", "release_preparation", "documentation_updates"],
}
_FILE_TYPES = [".py", ".js", ".ts", ".md", ".json", ".yaml"]


def document_name(role: str) -> str:
    return f"agent#{role}"


def schema(role: str, system: Values, model: Named = any_name) -> Schema:
    """`system` is the system's document: what a role does not say for itself, that one says."""
    return {
        "role": told(role),
        "enabled": switch(True),
        "default_model": name(system["models"]["default_model"], model),
        "capabilities": _words(_CAPABILITIES[role]),
        "constraints": {
            "max_files_per_task": whole(10, 0, 1000),
            "max_diff_size": whole(500, 0, 1_000_000),
            "allowed_file_types": _words(_FILE_TYPES),
        },
        "preferences": {
            "temperature": number(0.7, 0, 2),
            "max_tokens": whole(2000, 1, 1_000_000),
            "timeout": whole(int(system["models"]["timeout"]), 1, 86_400),
        },
        "escalation_rules": {
            "security_threshold": number(0.8, 0, 1),
            "complexity_threshold": number(0.7, 0, 1),
            "business_impact_threshold": number(0.6, 0, 1),
        },
    }


def _words(default: list[str]) -> Leaf:
    def issue(value: Any) -> str | None:
        fits = isinstance(value, list) and len(value) <= 100
        fits = fits and all(isinstance(each, str) and 0 < len(each) <= 100 and each.isprintable() for each in value)
        return None if fits else "Must be a list of at most 100 short texts"

    return Leaf(default, issue)
