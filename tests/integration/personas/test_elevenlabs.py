"""ElevenLabs' custom LLM over HTTP, and the sockets function in its own role."""

import json
import secrets
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.conftest import Stack
from tests.gateway import answer, call, event
from tests.integration.personas.conftest import Caller, Configure
from tests.sockets import connecting, saying

PATHS = ("/v1/elevenlabs-llm", "/v1/elevenlabs-llm/chat/completions")
HELLO = [{"role": "user", "content": "Hello! How are you? I have a question."}]
END_CALL = {
    "type": "function",
    "function": {"name": "end_call", "parameters": {"type": "object", "properties": {"reason": {"type": "string"}}}},
}


def chunks(text: str) -> list[Any]:
    frames = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    assert frames.pop() == "[DONE]"
    return [json.loads(frame) for frame in frames]


@pytest.mark.parametrize("path", PATHS)
def test_the_documents_request_is_answered_by_the_sentence(caller: Caller, path: str) -> None:
    answer = caller("POST", path, json={"messages": HELLO, "stream": True})
    assert answer.status == 200
    told = chunks(answer.text)
    assert told[0]["choices"][0]["delta"]["role"] == "assistant"
    spoken = [each["choices"][0]["delta"].get("content") for each in told[1:-1]]
    assert spoken[0].endswith("offline. ")
    assert spoken[1:] == ["You said: Hello! ", "How are you? ", "I have a question."]
    assert told[-1]["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("path", PATHS)
def test_without_a_stream_it_is_a_completion(caller: Caller, path: str) -> None:
    told = caller("POST", path, json={"model": "riley", "messages": HELLO}).json()
    assert (told["object"], told["model"]) == ("chat.completion", "riley")


def test_its_system_tools_come_back_as_calls(caller: Caller) -> None:
    body = {
        "model": "tony",
        "messages": [{"role": "user", "content": 'end_call {"reason": "done"}'}],
        "tools": [END_CALL],
        "stream": True,
        "user_id": "u1",
        "elevenlabs_extra_body": {"conversation_id": f"conv_{secrets.token_hex(4)}"},
    }
    told = chunks(caller("POST", PATHS[1], json=body).text)
    calls = [call for each in told for call in each["choices"][0]["delta"].get("tool_calls", ())]
    assert calls[0]["function"]["name"] == "end_call"
    assert json.loads("".join(call["function"]["arguments"] for call in calls)) == {"reason": "done"}
    assert told[-1]["choices"][0]["finish_reason"] == "tool_calls"
    names = [each["caller_id"] for each in caller("GET", "/api/sessions").json()]
    assert body["elevenlabs_extra_body"]["conversation_id"] in names  # type: ignore[index]


def test_what_goes_wrong_after_the_first_chunk_is_told_in_the_stream(caller: Caller) -> None:
    answer = caller("POST", PATHS[0], json={"messages": HELLO, "stream": True, "logprobs": True})
    assert answer.status == 200
    last = json.loads(answer.text.strip().rpartition("data: ")[2])
    assert last["error"]["code"] == "unsupported"
    assert "[DONE]" not in answer.text


@pytest.mark.parametrize("path", PATHS)
def test_what_is_malformed_is_400_in_openais_shape(caller: Caller, path: str) -> None:
    answer = caller("POST", path, body=b"{")
    assert answer.status == 400
    assert answer.json()["error"].keys() == {"message", "type", "param", "code"}
    assert caller("GET", path).status == 405


def test_a_closed_stack_wants_to_know_who_speaks(caller: Caller, configure: Configure) -> None:
    configure(open_access=False)
    assert caller("POST", PATHS[0], json={"messages": HELLO}).status == 401


@pytest.mark.usefixtures("front")  # it says at once that nobody is there
def test_a_conversation_is_held_in_the_sockets_functions_own_role(stack: Stack, caller: Caller) -> None:
    """Nobody is at the other end: what is said goes nowhere, and what is kept shows what the role may do."""
    connection, user = secrets.token_hex(6), f"user-{secrets.token_hex(4)}"
    protocol = {"Sec-WebSocket-Protocol": "convai"}
    opened = stack.invoke("SocketsFunction", connecting("elevenlabs", connection, headers=protocol))
    assert (opened["statusCode"], opened["headers"]) == (200, {"Sec-WebSocket-Protocol": "convai"})
    table = stack.endpoint.client("dynamodb")
    name = "quintet-connections"
    row = table.get_item(TableName=name, Key={"id": {"S": connection}})["Item"]
    row["attributes"]["M"] |= {"kind": {"S": "agent"}, "caller": {"S": user}}
    table.put_item(TableName=name, Item=row)
    said = json.dumps({"type": "user_message", "text": "Hello"})
    assert stack.invoke("SocketsFunction", saying(said, connection))["statusCode"] == 200
    assert user in [each["caller_id"] for each in caller("GET", "/api/sessions").json()]


def test_a_key_is_exchanged_for_a_url_that_opens_the_socket_and_nothing_else(stack: Stack, caller: Caller) -> None:
    key = stack.keys["RYUZEN_KEY"]
    path = "/v1/convai/conversation/get-signed-url"
    sent = event("GET", f"{path}?agent_id=maya", headers={"xi-api-key": key})
    url = urlsplit(answer(stack.invoke("PersonasFunction", sent)).json()["signed_url"])
    query = dict(parse_qsl(url.query))
    assert (url.scheme, url.path, query["agent_id"]) == ("ws", "/ws/elevenlabs", "maya")
    signed = {"token": query["token"]}
    assert (
        stack.invoke("SocketsFunction", connecting("elevenlabs", secrets.token_hex(6), **signed))["statusCode"] == 200
    )
    forged = {"token": query["token"][:-6] + "AAAAAA"}
    assert (
        stack.invoke("SocketsFunction", connecting("elevenlabs", secrets.token_hex(6), **forged))["statusCode"] == 401
    )
    from tasks.app import handler

    tasks = call(handler, "GET", "/v1/tasks", headers={"Authorization": f"Bearer {query['token']}"})
    assert tasks.status == 403
    assert caller("GET", "/v1/convai/nope").json() == {
        "error": {"message": "There is nothing at this path", "type": "not_found_error"}
    }
