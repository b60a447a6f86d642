"""The README's commands, to the letter, against the front."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Stack
from tests.readme import block


@pytest.fixture
def folder(stack: Stack, front: str, tmp_path: Path) -> Path:
    """A folder with the file that `make run` writes."""
    facts = {"BASE_URL": front, **stack.keys}
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local" / "dev.env").write_text("".join(f"{name}={value}\n" for name, value in facts.items()))
    return tmp_path


def run(folder: Path, commands: str) -> list[str]:
    """What each command printed."""
    script = f"set -eu\n{commands}".replace("curl -s", "echo; echo '<<<'; curl --fail-with-body -s")
    done = subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return [part.strip() for part in done.stdout.split("<<<\n")[1:]]


def test_the_five_groups_answer(folder: Path) -> None:
    asked, streamed, stepped, chatted, brokered, task, tasks = run(folder, block("run:quickstart"))
    assert json.loads(asked)["status"] == "ok"
    assert streamed.startswith('data: {"token":')
    assert streamed.endswith("data: [DONE]")
    assert json.loads(stepped)["action"] in {0, 1}
    assert json.loads(chatted)["object"] == "chat.completion"
    assert json.loads(brokered)["negotiated_model"] == "builtin/echo"
    assert json.loads(task)["data"]["status"] == "pending"
    assert json.loads(task)["data"]["id"] in tasks


def test_a_provider_a_model_and_a_budget_are_three_commands(folder: Path, stack: Stack) -> None:
    provider, model, budget = run(folder, ". .local/dev.env\n" + block("run:models"))
    assert json.loads(provider)["id"] == "vllm"
    assert json.loads(model)["id"] == "qwen"
    made = json.loads(budget)
    assert made["cap_usd"] == 25
    # All tests of a session share the tables.
    gone = 'curl -s -X DELETE -H "X-API-Key: $API_KEY" $BASE_URL/admin/v1/'
    paths = ("models/qwen", "providers/vllm", f"budgets/{made['id']}")
    run(folder, ". .local/dev.env\n" + "\n".join(f"{gone}{path}" for path in paths))
