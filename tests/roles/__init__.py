"""Tests of handlers and of the front, carried to the deployed functions: each runs in its own role, and is refused
whatever that role lacks. `make test-permissions` runs them with and without single permissions of the template."""

import os
from pathlib import Path

ROLES = "ROLES"  # the folder where a run notes what it saw
TEMPLATE = "ROLES_TEMPLATE"  # deployed in the place of template.yaml
DECISIONS = "decisions.jsonl"
POLICIES = "policies.json"
TESTS = "tests.jsonl"


def wanted() -> Path | None:
    folder = os.environ.get(ROLES)
    return Path(folder) if folder else None


def template() -> Path | None:
    path = os.environ.get(TEMPLATE)
    return Path(path) if path else None
