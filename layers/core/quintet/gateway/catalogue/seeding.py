"""Fills the catalogue of a fresh stack, and renews what nobody has edited since: after every deploy, however often."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quintet.gateway.catalogue import store
from quintet.gateway.catalogue.model import Model, Provider
from quintet.gateway.catalogue.rows import model_of, provider_of

_SEED = Path(__file__).with_name("seed.json")


def fill() -> int:
    """Answers how many providers and models were written."""
    return store.fill(*seed())


def seed() -> tuple[list[Provider], list[Model]]:
    """Providers without a key are not configured, and so not routable until somebody gives them one."""
    told: Mapping[str, Any] = json.loads(_SEED.read_text())
    providers = [provider_of(each["id"], each, 0) for each in told["providers"]]
    return providers, [model_of(each["id"], each, 0) for each in told["models"]]
