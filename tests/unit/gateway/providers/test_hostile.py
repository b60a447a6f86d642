"""Whatever a caller asks and whatever a vendor says: an answer or a fault, nothing else."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quintet.gateway.model import Ask
from quintet.gateway.providers import anthropic, bedrock, openai
from quintet.gateway.providers.calling import parsed
from quintet.gateway.providers.kinds import provider
from quintet.gateway.providers.model import ProviderFault, Target
from quintet.gateway.providers.refusals import Refusal, fault_of

KEYS = """
text content role type function name arguments tool_calls id index input tool_use image_url url file choices message
delta finish_reason usage prompt_tokens completion_tokens error output content_block json_schema schema properties
required items minItems anyOf enum allowed_tools mode tools
"""
WORDS = KEYS.split()
LEAF = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.sampled_from(["", "a", *WORDS])
JSON = st.recursive(
    LEAF,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=12,
)
OBJECT = st.dictionaries(st.sampled_from(WORDS), JSON, max_size=5)
PART = st.fixed_dictionaries({"type": st.sampled_from(["text", "image_url", "file", "input_audio"])}, optional={
    "text": JSON, "image_url": JSON, "file": JSON})  # fmt: skip
MESSAGE = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["system", "user", "assistant", "tool", "function"]),
        "content": st.none() | st.text(max_size=10) | st.lists(PART, max_size=2),
    },
    optional={"tool_calls": JSON | st.lists(OBJECT, max_size=2), "tool_call_id": JSON, "name": JSON},
)
ASK = st.builds(
    Ask,
    messages=st.lists(MESSAGE, min_size=1, max_size=3),
    tools=st.lists(OBJECT | st.fixed_dictionaries({"type": st.just("function"), "function": OBJECT}), max_size=2),
    tool_choice=JSON | st.fixed_dictionaries({"type": st.just("allowed_tools"), "allowed_tools": JSON}),
    response_format=st.none() | OBJECT | st.fixed_dictionaries({"type": st.just("json_schema"), "json_schema": JSON}),
)
TARGET = Target("m")


def _anthropic(ask: Ask) -> None:
    anthropic._body(ask, TARGET, anthropic._talk(ask, TARGET))


def _bedrock(ask: Ask) -> None:
    bedrock._request(ask, TARGET, bedrock._talk(ask))


def _openai(ask: Ask) -> None:
    json.dumps(openai._body(ask, TARGET))


def _builtin(ask: Ask) -> None:
    asyncio.run(provider("builtin").complete(ask, TARGET, 1.0))


@pytest.mark.parametrize("translate", [_openai, _anthropic, _bedrock, _builtin])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ask=ASK)
def test_any_question_is_translated_or_refused(translate: Callable[[Ask], None], ask: Ask) -> None:
    with suppress(ProviderFault):
        translate(ask)


def _read_openai(told: Any) -> None:
    openai._answer(told)


def _read_openai_piece(told: Any) -> None:
    openai.usage_of(told.get("usage"))
    for choice in openai.choices_of(told):
        list(openai._deltas(choice, openai._Tools()))
        openai._thinks(choice)


def _read_anthropic(told: Any) -> None:
    anthropic._answer(told, anthropic._talk(Ask([]), TARGET))


def _read_anthropic_piece(told: Any) -> None:
    reading = anthropic._Reading(anthropic._talk(Ask([]), TARGET))
    reading.started(told)
    reading.continued(told)
    anthropic._Counted(told.get("usage"))


def _read_refusal(told: Any) -> None:
    str(fault_of(Refusal.read(told), vendor="it", status=400))


@pytest.mark.parametrize(
    "read", [_read_openai, _read_openai_piece, _read_anthropic, _read_anthropic_piece, _read_refusal]
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(told=OBJECT)
def test_any_answer_is_read_or_malformed(read: Callable[[Any], None], told: Any) -> None:
    with suppress(ProviderFault):
        read(parsed("it", json.dumps(told)))
