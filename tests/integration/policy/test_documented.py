"""cyborgmind.md's inference, example by example, through the function's handler."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.examples import like
from tests.integration.policy.conftest import Client

OBSERVATION = [0.1, 0.2, 0.3, 0.4]
STATIC = {"Authorization": "Bearer cyborg-secret-v2"}
DISCRETE = {"action": 1, "value": 0.4523, "log_prob": -0.6931, "agent_id": "default"}
CONTINUOUS = {"action": [0.234, -0.567], "value": 0.3421, "log_prob": -1.2345, "agent_id": "default"}
BATCH = {"actions": [1, 0], "values": [0.45, 0.32], "log_probs": [-0.69, -0.81], "agent_ids": ["agent_1", "agent_2"]}


@pytest.mark.parametrize(
    ("target", "body", "agent_id"),
    [
        ("/reset", {"agent_id": "session_abc123"}, "session_abc123"),
        ("/reset", {}, "default"),
        ("/reset", None, "default"),
        ("/reset?agent_id=asked", None, "asked"),
        ("/reset?agent_id=asked", {"agent_id": "told"}, "told"),
    ],
)
def test_a_reset_is_answered_as_documented(client: Client, target: str, body: Any, agent_id: str) -> None:
    answer = client("POST", target, json=body)
    assert answer.status == 200
    assert answer.json() == {
        "message": "Agent state reset",
        "agent_id": agent_id,
        "state": {"hidden": "initialized", "memory": "initialized"},
    }


def test_a_step_is_answered_as_documented(client: Client) -> None:
    body = {"observation": [0.1, -0.5, 0.0, 1.2], "agent_id": "default", "deterministic": True}
    answer = client("POST", "/step", json=body)
    assert answer.status == 200
    assert like(DISCRETE, answer.json(), more=("pressure",))
    assert answer.json()["agent_id"] == "default"


def test_an_observation_is_all_that_a_step_needs(client: Client) -> None:
    assert client("POST", "/step", json={"observation": OBSERVATION}).json()["agent_id"] == "default"


def test_an_action_of_numbers_is_answered_as_documented(client: Client) -> None:
    client.reset("arm", policy="pendulum")
    assert like(CONTINUOUS, client.step([1.0, 0.0, 0.5], "arm"), more=("pressure",))


def test_a_batch_is_answered_as_documented(client: Client) -> None:
    for agent_id in ("agent_1", "agent_2"):
        client.reset(agent_id)
    body = {
        "observations": [OBSERVATION, [0.5, 0.6, 0.7, 0.8]],
        "agent_ids": ["agent_1", "agent_2"],
        "deterministic": True,
    }
    answer = client("POST", "/step_batch", json=body)
    assert answer.status == 200
    assert like(BATCH, answer.json())
    assert answer.json()["agent_ids"] == ["agent_1", "agent_2"]


def test_a_batch_without_agents_is_answered_too(client: Client) -> None:
    rows = [OBSERVATION, [0.5, 0.6, 0.7, 0.8], [0.9, 1.0, 1.1, 1.2]]
    answer = client("POST", "/step_batch", json={"observations": rows, "deterministic": True})
    assert answer.status == 200
    assert like(BATCH, answer.json())
    assert len(answer.json()["actions"]) == 3
    assert answer.json()["agent_ids"] == []


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"observation": [0.1, 0.2]}, "Expected observation of length 4, got 2"),
        ({"observation": [0.1, 0.2, 0.3]}, "Expected observation of length 4, got 3"),
        (
            {"observation": OBSERVATION, "agent_id": "unknown_agent"},
            "Agent 'unknown_agent' not initialized. Call /reset first.",
        ),
    ],
)
def test_a_documented_error_has_its_status_and_text(client: Client, body: Any, detail: str) -> None:
    answer = client("POST", "/step", json=body)
    assert (answer.status, answer.json()) == (400, {"detail": detail})


@pytest.mark.parametrize("path", ["/step", "/step_batch", "/reset", "/fork"])
def test_a_caller_without_credentials_is_turned_away(another: Callable[..., Client], path: str) -> None:
    body = {"observation": OBSERVATION, "observations": [OBSERVATION], "new_agent_id": "x"}
    answer = another({})("POST", path, json=body)
    assert (answer.status, answer.json()) == (403, {"detail": "Not authenticated"})
    wrong = another({"Authorization": "Bearer wrong"})("POST", path, json=body)
    assert (wrong.status, wrong.json()) == (403, {"detail": "Invalid authentication token"})


def test_the_documents_token_and_a_token_of_one_s_own_both_step(client: Client, another: Callable[..., Client]) -> None:
    for caller in (client, another(STATIC)):
        assert caller.step(OBSERVATION, deterministic=True)["agent_id"] == "default"
