"""What a call can cost at the most."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quintet.gateway.bounds import affordable_output, bound_of, most_input
from quintet.gateway.catalogue.model import Model, Price, Tier
from quintet.gateway.model import Ask

PRICE = Price(100, 400, cached=10, cache_written=125, version="1")


def model(**more: Any) -> Model:
    return Model(**{"id": "m", "provider": "acme", "name": "m", "price": PRICE, **more})


def asked(content: Any = "Hello", **more: Any) -> Ask:
    return Ask([{"role": "user", "content": content}], **more)


@given(st.text(max_size=200))
def test_no_text_has_more_tokens_than_bytes(text: str) -> None:
    assert most_input(asked(text)) >= len(text.encode("utf-8", "replace"))


def test_an_image_counts_as_much_as_images_can_and_not_as_its_bytes() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 500_000}}
    assert 10_000 <= most_input(asked([image])) < 11_000
    assert bound_of(asked([image]), model(options={"image_tokens": 2000})).input < 3000


def test_tools_and_schemas_are_part_of_the_input() -> None:
    tool = {"type": "function", "function": {"name": "weather", "description": "x" * 1000}}
    assert most_input(asked(tools=[tool])) > most_input(asked()) + 1000


@pytest.mark.parametrize(
    ("ask", "able", "output"),
    [
        ({}, {}, 4096),
        ({}, {"max_output": 1000}, 1000),
        ({}, {"capabilities": frozenset({"reasoning"})}, 16_384),
        ({"max_tokens": 50}, {}, 50),
        ({"max_tokens": 50_000}, {"max_output": 1000}, 1000),
        ({"max_tokens": 50_000}, {"context_window": 8000}, 7900),
    ],
)
def test_an_answer_is_bounded_by_what_is_asked_for_and_by_what_the_model_can(
    ask: dict[str, Any], able: dict[str, Any], output: int
) -> None:
    bound = bound_of(asked(**ask), model(**able))
    assert bound.ask.max_tokens == pytest.approx(output, abs=100)
    assert bound.output == bound.ask.max_tokens


def test_several_answers_cost_several_times() -> None:
    assert bound_of(asked(max_tokens=100, extra={"n": 3}), model()).output == 300


@given(
    st.integers(0, 10_000),
    st.integers(0, 5000),
    st.floats(0, 1),
    st.floats(0, 1),
    st.lists(st.builds(Tier, st.integers(0, 9000), st.integers(0, 500), st.integers(0, 900)), max_size=3),
)
def test_nothing_within_the_tokens_costs_more_than_the_bound(
    most_in: int, most_out: int, used: float, cached: float, tiers: list[Tier]
) -> None:
    price = Price(100, 400, cached=10, cache_written=125, tiers=tuple(tiers))
    given_in, out = int(most_in * used), int(most_out * used)
    read = int(given_in * cached)
    assert price.of(given_in, out, read, given_in - read) <= price.most_of(most_in, most_out)


@given(st.integers(0, 10**7), st.integers(1, 4))
def test_what_is_affordable_is_afforded(money: int, answers: int) -> None:
    bound = bound_of(asked(max_tokens=4096, extra={"n": answers}), model())
    output = affordable_output(bound, model(), money)
    if output >= 1:
        assert bound_of(bound.ask, model(), output).cost <= money
    assert bound_of(bound.ask, model(), output + 1).cost > money or output + 1 > 4096


def test_a_model_without_a_price_is_always_affordable() -> None:
    free = model(price=Price(0, 0))
    assert affordable_output(bound_of(asked(max_tokens=10), free), free, 0) >= 10
