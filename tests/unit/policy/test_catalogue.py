"""Which policies there are, and that each is what its card says."""

import asyncio
from pathlib import Path

import pytest

from quintet.errors import Failure, Kind
from quintet.policy.catalogue import Catalogue
from quintet.policy.model import Ref, Wanted
from quintet.policy.shelves import Bucket, Folder, shelves
from quintet.settings import Settings
from tests.fakes.policy import FakeShelf, shelf
from tests.loops import on_a_loop


@on_a_loop
async def test_what_is_left_open_is_the_default_and_its_latest() -> None:
    found = shelf()
    found.put("small", "2", found.files["small/1.onnx"])
    catalogue = Catalogue([found], "small")
    assert (await catalogue.find(Wanted())).ref == Ref("small", "2")
    assert (await catalogue.find(Wanted("small"))).ref == Ref("small", "2")
    assert (await catalogue.find(Wanted("small", "1"))).ref == Ref("small", "1")
    assert (await catalogue.find(Wanted(None, "1"))).ref == Ref("small", "1")
    assert (await catalogue.find(Wanted("arm"))).ref == Ref("arm", "1")


@on_a_loop
async def test_a_policy_is_loaded_once_however_many_ask() -> None:
    found = shelf()
    catalogue = Catalogue([found], "small")
    policies = await asyncio.gather(*(catalogue.find(Wanted()) for _ in range(10)))
    assert len({id(policy) for policy in policies}) == 1
    assert found.reads.count("small/1.onnx") == 1


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted("nothing"),
        Wanted("small", "9"),
        Wanted("../small"),
        Wanted("small", "../1"),
        Wanted("small/1"),
        Wanted("SMALL"),
        Wanted("x" * 500),
    ],
)
@on_a_loop
async def test_what_is_not_there_is_said_to_be_missing(wanted: Wanted) -> None:
    with pytest.raises(Failure) as refused:
        await Catalogue([shelf()], "small").find(wanted)
    assert refused.value.kind is Kind.REJECTED
    assert refused.value.message.startswith("There is no policy")
    assert len(refused.value.message) < 200


@on_a_loop
async def test_what_is_not_what_its_card_says_is_not_served() -> None:
    found = shelf()
    found.put("small", "1", found.files["arm/1.onnx"], sha256="0" * 64)
    with pytest.raises(Failure) as refused:
        await Catalogue([found], "small").find(Wanted())
    assert refused.value.kind is Kind.INTERNAL
    assert "its digest is not the one on its card" in refused.value.message


@on_a_loop
async def test_what_does_not_fit_is_not_served_and_says_why() -> None:
    found = FakeShelf()
    found.put("odd", "1", b"not a graph")
    with pytest.raises(Failure, match=r"The policy odd@1 cannot be served: the runtime does not load it"):
        await Catalogue([found], "odd").find(Wanted())


@on_a_loop
async def test_shelves_are_looked_through_in_their_order() -> None:
    first, second = FakeShelf(), shelf()
    first.put("small", "7", second.files["small/1.onnx"])
    catalogue = Catalogue([first, second], "small")
    assert (await catalogue.find(Wanted())).ref == Ref("small", "7")
    assert (await catalogue.find(Wanted("arm"))).ref == Ref("arm", "1")


@on_a_loop
async def test_the_shipped_policies_are_what_their_cards_say(repository: Path) -> None:
    catalogue = Catalogue([Folder(str(repository / "policies"))], "cartpole")
    cartpole, pendulum = await catalogue.find(Wanted()), await catalogue.find(Wanted("pendulum"))
    assert (cartpole.observation, cartpole.actions, cartpole.continuous) == (4, 2, False)
    assert (pendulum.observation, pendulum.actions, pendulum.continuous) == (3, 1, True)
    assert max(cartpole.state_bytes, pendulum.state_bytes) <= 704  # with its row, one write unit


def test_a_bucket_is_named_by_a_url_that_can_be_signed_as_it_stands() -> None:
    Bucket("s3://my-policies/team/a_1", "eu-central-1")
    for wrong in ("https://x", "s3://", "s3://UPPER/x", "s3://bucket/with space", "s3://bucket/../%2e"):
        with pytest.raises(ValueError, match="POLICIES_URL"):
            Bucket(wrong, "eu-central-1")


def test_the_owners_own_policies_come_after_those_that_ship() -> None:
    kinds = [type(each) for each in shelves(Settings(policies="/opt/policies", policies_url="s3://mine-too/x"))]
    assert kinds == [Folder, Bucket]
