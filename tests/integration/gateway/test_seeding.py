"""What a fresh stack is filled with."""

from datetime import date
from typing import Any

import pytest

from quintet.gateway.catalogue import seeding, store
from quintet.gateway.catalogue.model import CredStore
from quintet.gateway.keys import is_key_name, is_setting
from quintet.gateway.providers.kinds import KINDS


@pytest.mark.usefixtures("quiet_tables")
def test_filling_again_writes_nothing() -> None:
    providers, models = seeding.seed()
    seeding.fill()
    assert seeding.fill() == 0
    catalogue = store.all_of_it()
    assert {each.id for each in providers} <= catalogue.providers.keys()
    assert {each.id for each in models} <= catalogue.models.keys()
    assert catalogue.models["claude-4.1-opus"].price.version == store.prices("claude-4.1-opus")[-1].version


def test_every_model_is_complete() -> None:
    providers, models = seeding.seed()
    known = {each.id for each in providers}
    for model in models:
        assert model.provider in known
        assert 0 <= model.weight <= 10
        assert 0 < model.price.input <= model.price.output, model.id
        assert "streaming" in model.capabilities
        assert model.source
        assert date.fromisoformat(model.source_date)
        assert all(tier.input > model.price.input for tier in model.price.tiers)


def test_a_model_that_its_vendor_gave_up_is_flagged_and_off() -> None:
    _, models = seeding.seed()
    deprecated = [each for each in models if each.deprecated_on]
    assert deprecated
    assert all(not each.enabled and each.deprecated(date.fromisoformat(each.source_date)) for each in deprecated)


@pytest.mark.parametrize("name", ["glm-4.5", "claude-4.1-opus"])
def test_the_models_of_the_task_platform_are_there(name: str) -> None:
    _, models = seeding.seed()
    assert name in {each.id for each in models}


def test_no_two_models_have_a_name_in_common() -> None:
    _, models = seeding.seed()
    names = [name for each in models for name in (each.id, *each.aliases)]
    assert len(names) == len(set(names))


def test_every_provider_can_be_given_its_key() -> None:
    providers, _ = seeding.seed()
    for provider in providers:
        assert provider.kind in KINDS
        if provider.cred_store is not CredStore.NONE:
            assert is_key_name(provider.cred_name)
            assert is_setting(provider.cred_name)
        else:
            assert not provider.enabled


def test_the_long_context_tiers_of_a_vendor_reprice_the_whole_request() -> None:
    _, models = seeding.seed()
    tiered: Any = next(each for each in models if each.price.tiers)
    tier = tiered.price.tiers[0]
    assert tiered.price.of(tier.above, 0) == tier.above * tiered.price.input
    assert tiered.price.of(tier.above + 1, 1) == (tier.above + 1) * tier.input + tier.output
