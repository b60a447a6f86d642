"""Each adapter against a vendor that misbehaves on command."""

import asyncio
import time
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any

import pytest

from quintet.gateway.model import Ask, Delta, Usage
from quintet.gateway.providers.kinds import provider
from quintet.gateway.providers.model import Answer, Fault, ProviderFault, Target
from quintet.net.client import close_all
from quintet.net.guard import Rules
from tests.fakes.upstream import Behaviour, Upstream
from tests.fakes.wires import Told

HELLO = Ask([{"role": "user", "content": "a secret prompt"}], max_tokens=50)
KEY = "sk-very-secret"
ANSWER = "Hello from upstream"
USAGE = Usage(input=12, output=5)
TOOLS = (("call_1", "get_weather", {"city": "Oslo"}), ("call_2", "get_time", {"zone": "CET"}))
REMOTE = ("openai", "anthropic", "bedrock")


def run(work: Coroutine[Any, Any, Any]) -> Any:
    async def whole() -> Any:
        try:
            return await work
        finally:
            close_all()

    return asyncio.run(whole())


def target(vendor: Upstream, kind: str, name: str = "a-model", **options: Any) -> Target:
    if kind == "bedrock":
        return Target(name, vendor.bedrock, f"AKIA:{KEY}", options={"region": "eu-north-1", **options})
    return Target(name, getattr(vendor, kind), KEY, options=options)


async def complete(vendor: Upstream, kind: str, ask: Ask = HELLO, seconds: float = 30.0, **options: Any) -> Answer:
    return await provider(kind).complete(ask, target(vendor, kind, **options), seconds)


async def stream(
    vendor: Upstream, kind: str, ask: Ask = HELLO, seconds: float = 30.0, **options: Any
) -> list[Delta | Usage]:
    got: list[Delta | Usage] = []
    async with provider(kind).stream(ask, target(vendor, kind, **options), seconds) as pieces:
        async for piece in pieces:
            got.append(piece)  # noqa: PERF401 - what came before a failure is looked at too
    return got


def text(pieces: list[Delta | Usage]) -> str:
    return "".join(piece.text for piece in pieces if isinstance(piece, Delta))


def usages(pieces: list[Delta | Usage]) -> list[Usage]:
    return [piece for piece in pieces if isinstance(piece, Usage)]


def finish(pieces: Sequence[Delta | Usage]) -> list[str]:
    return [piece.finish_reason for piece in pieces if isinstance(piece, Delta) and piece.finish_reason]


def fault(work: Coroutine[Any, Any, Any]) -> ProviderFault:
    with pytest.raises(ProviderFault) as raised:
        run(work)
    assert "secret" not in str(raised.value)
    assert "secret" not in repr(raised.value.__dict__)
    return raised.value


BOTH = pytest.mark.parametrize("verb", [complete, stream])
KINDS = pytest.mark.parametrize("kind", REMOTE)


@KINDS
def test_an_answer_comes_with_its_usage(vendor: Upstream, kind: str) -> None:
    answer = run(complete(vendor, kind))
    assert (answer.choices[0].content, answer.choices[0].finish_reason) == (ANSWER, "stop")
    assert answer.usage == USAGE


@pytest.mark.parametrize("kind", [*REMOTE, "builtin"])
def test_a_stream_carries_its_usage_once_and_last(vendor: Upstream, kind: str) -> None:
    pieces = run(stream(vendor, kind)) if kind != "builtin" else run(_of_the_builtin())
    assert len(usages(pieces)) == 1
    assert isinstance(pieces[-1], Usage)
    assert finish(pieces) == ["stop"]


async def _of_the_builtin() -> list[Delta | Usage]:
    async with provider("builtin").stream(HELLO, Target("echo"), 30.0) as pieces:
        return [piece async for piece in pieces]


@KINDS
def test_a_stream_says_what_the_answer_would_have_said(vendor: Upstream, kind: str) -> None:
    pieces = run(stream(vendor, kind))
    assert text(pieces) == ANSWER
    assert usages(pieces) == [USAGE]
    assert sum(1 for piece in pieces if isinstance(piece, Delta) and piece.text) == 3


@KINDS
def test_tool_calls_come_whole_and_in_pieces(vendor: Upstream, kind: str) -> None:
    vendor.usual = Behaviour(told=Told(text="", tool_calls=TOOLS))
    function = {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}
    ask = Ask(HELLO.messages, tools=[{"type": "function", "function": function}], tool_choice="required")
    choice = run(complete(vendor, kind, ask)).choices[0]
    assert [(each.id, each.name) for each in choice.tool_calls] == [("call_1", "get_weather"), ("call_2", "get_time")]
    assert choice.tool_calls[0].arguments == '{"city": "Oslo"}'
    assert (choice.content, choice.finish_reason) == (None, "tool_calls")
    pieces = [each for each in run(stream(vendor, kind, ask)) if isinstance(each, Delta)]
    firsts = [(each.tool_index, each.tool_id, each.tool_name) for each in pieces if each.tool_id]
    assert firsts == [(0, "call_1", "get_weather"), (1, "call_2", "get_time")]
    for index, arguments in enumerate(('{"city": "Oslo"}', '{"zone": "CET"}')):
        assert "".join(each.tool_arguments for each in pieces if each.tool_index == index) == arguments
    assert finish(pieces) == ["tool_calls"]


@KINDS
def test_cached_tokens_are_part_of_the_input(vendor: Upstream, kind: str) -> None:
    vendor.usual = Behaviour(told=Told(input=100, cached=80))
    assert run(complete(vendor, kind)).usage == Usage(input=100, output=5, cached=80)
    assert usages(run(stream(vendor, kind))) == [Usage(input=100, output=5, cached=80)]


@pytest.mark.parametrize("kind", ["anthropic", "bedrock"])
def test_thoughts_are_no_part_of_the_answer(vendor: Upstream, kind: str) -> None:
    vendor.usual = Behaviour(told=Told(thinking="Hmm"))
    assert run(complete(vendor, kind)).choices[0].content == ANSWER
    assert text(run(stream(vendor, kind))) == ANSWER


@KINDS
@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_why_it_ended_is_told_in_one_language(vendor: Upstream, kind: str, reason: str) -> None:
    vendor.usual = Behaviour(told=Told(finish=reason))
    assert run(complete(vendor, kind)).choices[0].finish_reason == reason
    assert finish(run(stream(vendor, kind))) == [reason]


REFUSALS = {
    "rate_limited": Fault.RATE_LIMITED,
    "quota": Fault.UNAUTHORIZED,
    "server": Fault.SERVER,
    "overloaded": Fault.SERVER,
    "unauthorized": Fault.UNAUTHORIZED,
    "context": Fault.CONTEXT,
    "refused": Fault.REFUSED,
}


@KINDS
@BOTH
@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refusal_is_classed(vendor: Upstream, kind: str, verb: Any, refusal: str) -> None:
    vendor.next(Behaviour(refusal, retry_after="7"))
    told = fault(verb(vendor, kind))
    assert told.fault == REFUSALS[refusal]
    assert not told.charged
    assert len(vendor.asked) == 1
    if refusal == "rate_limited":
        assert (told.status, told.retry_after) == (429, 7.0)


@KINDS
@BOTH
def test_silence_ends_at_the_deadline(vendor: Upstream, kind: str, verb: Any) -> None:
    vendor.next("timeout")
    start = time.monotonic()
    assert fault(verb(vendor, kind, seconds=0.3)).fault == Fault.TIMEOUT
    assert time.monotonic() - start < 10  # a busy machine's; the vendor would never answer


@KINDS
def test_a_slow_first_token_ends_at_the_deadline(vendor: Upstream, kind: str) -> None:
    vendor.next(Behaviour("slow_first_token", seconds=30))
    told = fault(stream(vendor, kind, seconds=1))
    assert (told.fault, told.charged) == (Fault.TIMEOUT, True)


@KINDS
def test_slow_tokens_may_take_longer_than_the_first(vendor: Upstream, kind: str) -> None:
    run(stream(vendor, kind))  # its client is made now
    vendor.next(Behaviour("slow_tokens", seconds=0.25))
    assert text(run(stream(vendor, kind, seconds=1))) == ANSWER  # six pieces, or more


@KINDS
def test_half_a_stream_is_no_answer(vendor: Upstream, kind: str) -> None:
    vendor.next("half")
    told = fault(stream(vendor, kind))
    assert told.fault in (Fault.NETWORK, Fault.MALFORMED)
    assert told.charged


@KINDS
def test_a_stream_that_ends_before_its_finish_is_no_answer(vendor: Upstream, kind: str) -> None:
    vendor.next("silent_end")
    told = fault(stream(vendor, kind))
    assert (told.fault, told.charged) == (Fault.NETWORK, True)


@KINDS
def test_half_an_answer_is_no_answer(vendor: Upstream, kind: str) -> None:
    vendor.next("half")
    told = fault(complete(vendor, kind))
    assert told.fault in (Fault.NETWORK, Fault.MALFORMED)
    assert told.charged


@KINDS
@BOTH
def test_damaged_bytes_are_malformed(vendor: Upstream, kind: str, verb: Any) -> None:
    vendor.next("malformed_json" if verb is complete else "malformed_sse")
    told = fault(verb(vendor, kind))
    assert (told.fault, told.charged) == (Fault.MALFORMED, True)


@KINDS
@BOTH
def test_a_page_is_no_answer(vendor: Upstream, kind: str, verb: Any) -> None:
    vendor.next("wrong_type")
    assert fault(verb(vendor, kind)).fault == Fault.MALFORMED


@KINDS
def test_an_error_in_the_middle_of_a_stream_is_raised(vendor: Upstream, kind: str) -> None:
    vendor.next("error_event")
    told = fault(stream(vendor, kind))
    assert (told.fault, told.charged) == (Fault.SERVER, True)


@KINDS
@BOTH
def test_usage_that_is_not_told_is_not_invented(vendor: Upstream, kind: str, verb: Any) -> None:
    vendor.next("no_usage")
    told = run(verb(vendor, kind))
    assert (told.usage is None) if verb is complete else usages(told) == []


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
@BOTH
def test_a_body_without_end_is_refused(vendor: Upstream, kind: str, verb: Any) -> None:
    vendor.next("huge")
    assert fault(verb(vendor, kind, seconds=20)).fault in (Fault.MALFORMED, Fault.NETWORK)


@pytest.mark.parametrize(
    ("kind", "behaviour"),
    [
        ("openai", "usage_on_last_content"),
        ("openai", "comments"),
        ("openai", "no_done"),
        ("openai", "shredded"),
        ("anthropic", "comments"),
        ("anthropic", "shredded"),
        ("bedrock", "shredded"),
    ],
)
def test_what_is_odd_but_legal_is_read(vendor: Upstream, kind: str, behaviour: str) -> None:
    vendor.next(Behaviour(behaviour, told=Told(text="Grüße aus Übersee ✓")))
    pieces = run(stream(vendor, kind))
    assert text(pieces) == "Grüße aus Übersee ✓"
    assert usages(pieces) == [USAGE]


@KINDS
def test_leaving_a_stream_hangs_up(vendor: Upstream, kind: str) -> None:
    vendor.next(Behaviour("slow_tokens", seconds=0.2))

    async def leave() -> None:
        async with provider(kind).stream(HELLO, target(vendor, kind), 30.0) as pieces:
            await anext(pieces)
        assert await asyncio.to_thread(vendor.asked[0].hung_up.wait, 30)

    run(leave())


@KINDS
def test_cancelling_a_wait_for_the_next_piece_hangs_up(vendor: Upstream, kind: str) -> None:
    vendor.next(Behaviour("slow_tokens", seconds=0.3))

    async def cancelled() -> None:
        begun = asyncio.Event()

        async def listen() -> None:
            async with provider(kind).stream(HELLO, target(vendor, kind), 30.0) as pieces:
                await anext(pieces)
                begun.set()
                async for _ in pieces:
                    pass

        listening = asyncio.create_task(listen())
        await begun.wait()
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        assert await asyncio.to_thread(vendor.asked[0].hung_up.wait, 30)

    run(cancelled())


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
def test_cancelling_a_call_hangs_up(vendor: Upstream, kind: str) -> None:
    vendor.next("timeout")

    async def cancelled() -> None:
        calling = asyncio.create_task(complete(vendor, kind))
        await asyncio.to_thread(vendor.asking.wait, 30)
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)
        assert await asyncio.to_thread(vendor.asked[0].hung_up.wait, 30)

    run(cancelled())


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
def test_connections_are_used_again_also_after_a_stream(vendor: Upstream, kind: str) -> None:
    async def thrice() -> None:
        await complete(vendor, kind)
        await stream(vendor, kind)
        await complete(vendor, kind)

    run(thrice())
    assert {each.connection for each in vendor.asked} == {1}


@KINDS
@BOTH
def test_nobody_there_is_a_network_fault(vendor: Upstream, kind: str, verb: Any) -> None:
    vendor.port = 1
    told = fault(verb(vendor, kind))
    assert (told.fault, told.charged) == (Fault.NETWORK, False)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [({"retry-after": "2.5"}, 2.5), ({"retry-after-ms": "1500"}, 1.5), ({"retry-after": "soon"}, None)],
)
def test_retry_after_is_read_in_its_forms(vendor: Upstream, headers: dict[str, str], seconds: float | None) -> None:
    vendor.next(Behaviour("rate_limited", headers=headers))
    assert fault(complete(vendor, "openai")).retry_after == seconds


def test_a_parameter_that_a_model_does_not_take_is_left_out_from_then_on(vendor: Upstream) -> None:
    error = {"message": "no", "type": "invalid_request_error", "param": "max_tokens", "code": "unsupported_parameter"}
    vendor.next(Behaviour("refused", body={"error": error}))
    ask = Ask(HELLO.messages, max_tokens=9)
    assert run(complete(vendor, "openai", ask, name="picky")).choices[0].content == ANSWER
    run(complete(vendor, "openai", ask, name="picky"))
    first, second, third = (each.body for each in vendor.asked)
    assert first["max_tokens"] == 9
    for body in (second, third):
        assert "max_tokens" not in body
        assert body["max_completion_tokens"] == 9


@pytest.mark.parametrize("kind", ["anthropic", "bedrock"])
@BOTH
def test_sampling_that_a_model_does_not_take_is_left_out_from_then_on(vendor: Upstream, kind: str, verb: Any) -> None:
    told = "`temperature` is deprecated for this model."
    body = {"error": {"type": "invalid_request_error", "message": told}} if kind == "anthropic" else {"message": told}
    vendor.next(Behaviour("refused", body=body))
    ask = Ask(HELLO.messages, temperature=0.2)
    for _ in range(2):
        run(verb(vendor, kind, ask, name="modern"))
    asked = [each.body if kind == "anthropic" else each.body.get("inferenceConfig") or {} for each in vendor.asked]
    assert ["temperature" in each for each in asked] == [True, False, False]


def test_an_answer_in_one_piece_is_taken_where_a_stream_was_asked_for(vendor: Upstream) -> None:
    vendor.next("unstreamed")
    pieces = run(stream(vendor, "openai"))
    assert text(pieces) == ANSWER
    assert (finish(pieces), usages(pieces)) == (["stop"], [USAGE])


@pytest.mark.parametrize("kind", ["anthropic", "bedrock"])
def test_a_schema_is_answered_through_a_tool_and_told_as_text(vendor: Upstream, kind: str) -> None:
    vendor.usual = Behaviour(told=Told(text="", tool_calls=(("call_1", "json_answer", {"ok": True}),)))
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    form = {"type": "json_schema", "json_schema": {"name": "verdict", "schema": schema}}
    ask = Ask(HELLO.messages, response_format=form)
    choice = run(complete(vendor, kind, ask)).choices[0]
    assert (choice.content, choice.tool_calls, choice.finish_reason) == ('{"ok": true}', (), "stop")
    pieces = run(stream(vendor, kind, ask))
    assert (text(pieces), finish(pieces)) == ('{"ok": true}', ["stop"])


@pytest.mark.parametrize(("kind", "header"), [("openai", "authorization"), ("anthropic", "x-api-key")])
def test_the_key_travels_in_the_vendors_header(vendor: Upstream, kind: str, header: str) -> None:
    run(complete(vendor, kind))
    assert vendor.asked[0].headers[header].removeprefix("Bearer ") == KEY


def test_anthropic_takes_a_bearer_where_it_is_told_to_and_its_version_is_pinned(vendor: Upstream) -> None:
    run(complete(vendor, "anthropic", auth="bearer"))
    headers = vendor.asked[0].headers
    assert (headers["authorization"], headers["anthropic-version"]) == (f"Bearer {KEY}", "2023-06-01")
    assert "x-api-key" not in headers


def test_bedrock_takes_an_api_key_as_a_bearer(vendor: Upstream) -> None:
    place = Target("a-model", vendor.bedrock, "bedrock-api-key-abc", options={"region": "eu-north-1"})
    run(provider("bedrock").complete(HELLO, place, 30.0))
    assert vendor.asked[0].headers["authorization"] == "Bearer bedrock-api-key-abc"


def test_a_base_url_that_is_none_is_refused_without_being_shown(vendor: Upstream) -> None:
    for kind in ("openai", "anthropic"):
        told = fault(provider(kind).complete(HELLO, Target("m", "ftp://secret@host", KEY), 1.0))
        assert told.fault == Fault.REFUSED


@pytest.mark.parametrize("kind", ["openai", "anthropic", "bedrock"])
def test_a_server_near_us_is_asked_where_the_operator_lets_it_in_alone(vendor: Upstream, kind: str) -> None:
    public = Rules(schemes=frozenset({"http", "https"}), ports=range(1, 65_536))
    near = replace(target(vendor, kind), rules=replace(public, private=True))
    told = fault(provider(kind).complete(HELLO, replace(near, rules=public), 30.0))
    assert (told.fault, told.charged) == (Fault.FORBIDDEN, False)
    assert not vendor.asked
    assert run(provider(kind).complete(HELLO, near, 30.0)).choices[0].content


@pytest.mark.parametrize("url", ["https://example.com", "http://bedrock-runtime.us-east-1.amazonaws.com"])
def test_bedrock_is_aws_itself_and_proves_it(url: str) -> None:
    public = Rules(schemes=frozenset({"http", "https"}), ports=range(1, 65_536))
    assert fault(provider("bedrock").complete(HELLO, Target("m", url, rules=public), 30.0)).fault == Fault.FORBIDDEN
