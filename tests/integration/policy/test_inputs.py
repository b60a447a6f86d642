"""What callers send that they should not, and what they may send beside the document's examples."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import jwt
import pytest

from quintet.identity.tokens import keyring
from quintet.policy.model import agent_key
from quintet.store.clock import epoch
from tests.integration.policy.conftest import Client

SEEN = [0.1, 0.2, 0.3, 0.4]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e39", "1e400", "1" + "0" * 400])
def test_what_is_not_finite_in_32_bits_is_400(client: Client, number: str) -> None:
    headers = {**client.headers, "Content-Type": "application/json"}
    for path, body in (
        ("/step", f'{{"observation": [0, 0, 0, {number}]}}'),
        ("/step_batch", f'{{"observations": [[0, 0, 0, 0], [0, 0, 0, {number}]]}}'),
    ):
        answer = client("POST", path, body=body, headers=headers)
        assert answer.status == 400
        assert "finite" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "body", "detail"),
    [
        ("/step", {}, "observation: Field required"),
        ("/step", [], "body: "),
        ("/step", {"observation": "1234"}, "observation: "),
        ("/step", {"observation": None}, "observation: "),
        ("/step", {"observation": ["1", 2, 3, 4]}, "observation: Must be a list of numbers"),
        ("/step", {"observation": [True, 2, 3, 4]}, "observation: Must be a list of numbers"),
        ("/step", {"observation": [SEEN]}, "observation: Must be a list of numbers"),
        ("/step", {"observation": SEEN, "deterministic": "perhaps"}, "deterministic: "),
        ("/step", {"observation": SEEN, "agent_id": 7}, "agent_id: "),
        ("/step", {"observation": SEEN, "agent_id": ""}, "agent_id: "),
        ("/step", {"observation": SEEN, "agent_id": "x" * 129}, "agent_id: "),
        ("/step", {"observation": SEEN, "agent_id": "a/b"}, "agent_id: "),
        ("/step", {"observation": SEEN, "agent_id": "a\nb"}, "agent_id: "),
        ("/step", {"observation": SEEN, "agent_id": "half \ud800"}, "agent_id: "),
        ("/step", {"observation": SEEN, "step_id": "half \ud800"}, "step_id: "),
        ("/step", {"observation": SEEN, "step_id": "x" * 129}, "step_id: "),
        ("/fork", {"new_agent_id": "a/b"}, "new_agent_id: "),
        ("/step", {"observation": SEEN, "seed": -1}, "seed: "),
        ("/step", {"observation": SEEN, "seed": 2**53}, "seed: "),
        ("/step", {"observation": SEEN, "step_id": ""}, "step_id: "),
        ("/step_batch", {}, "observations: Field required"),
        ("/step_batch", {"observations": [1, 2]}, "observations.0: Must be a list of numbers"),
        ("/step_batch", {"observations": [SEEN], "agent_ids": "ab"}, "agent_ids: "),
        ("/step_batch", {"observations": [SEEN], "agent_ids": [1]}, "agent_ids.0: "),
        ("/fork", {"agent_id": "default"}, "new_agent_id: Field required"),
        ("/reset", {"agent_id": ["x"]}, "agent_id: "),
    ],
)
def test_what_is_no_request_is_422_and_names_the_field(client: Client, path: str, body: Any, detail: str) -> None:
    answer = client("POST", path, json=body)
    assert answer.status == 422, answer.text
    assert answer.json().keys() == {"detail"}
    assert answer.json()["detail"].startswith(detail)


@pytest.mark.parametrize("path", ["/step", "/step_batch", "/fork", "/reset"])
@pytest.mark.parametrize("body", ["{", "nonsense", b"\xff\xfe", "[" * 5000, '{"observation": [1' + "0" * 5000 + "]}"])
def test_what_is_no_json_is_422(client: Client, path: str, body: str | bytes) -> None:
    answer = client("POST", path, body=body, headers={**client.headers, "Content-Type": "application/json"})
    assert answer.status == 422
    assert answer.json().keys() == {"detail"}


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"observations": []}, "Expected 1 to 1024 observations, got 0"),
        ({"observations": [SEEN] * 1025}, "Expected 1 to 1024 observations, got 1025"),
        ({"observations": [SEEN, [1, 2]]}, "Expected observation of length 4, got 2"),
        ({"observations": [SEEN], "agent_ids": ["a", "b"]}, "Expected as many agent_ids as observations: 1, got 2"),
        ({"observations": [SEEN], "agent_ids": []}, "Expected as many agent_ids as observations: 1, got 0"),
        (
            {"observations": [SEEN, SEEN], "agent_ids": ["default", "nobody"]},
            "Agent 'nobody' not initialized. Call /reset first.",
        ),
        ({"observations": [SEEN], "policy": "nothing"}, "There is no policy 'nothing'"),
    ],
)
def test_a_batch_out_of_bounds_is_400(client: Client, body: Any, detail: str) -> None:
    answer = client("POST", "/step_batch", json=body)
    assert (answer.status, answer.json()) == (400, {"detail": detail})


def test_the_largest_batch_is_answered(client: Client) -> None:
    answer = client("POST", "/step_batch", json={"observations": [SEEN] * 1024})
    assert answer.status == 200
    assert len(answer.json()["actions"]) == 1024


def test_other_methods_and_paths_are_refused_in_the_documents_shape(client: Client) -> None:
    for method, path, status in (("GET", "/step", 405), ("PUT", "/reset", 405), ("GET", "/agents/a/b", 404)):
        answer = client(method, path)
        assert answer.status == status
        assert answer.json().keys() == {"detail"}


# ---- beside the document


def test_an_agents_looks_and_forks(client: Client) -> None:
    assert client.agent("default") | {"created_at": "", "updated_at": "", "expires_at": ""} == {
        "agent_id": "default",
        "policy": "cartpole",
        "policy_version": "1",
        "version": 0,
        "steps": 0,
        "pressure": 0.0,
        "seed": None,
        "created_at": "",
        "updated_at": "",
        "expires_at": "",
    }
    step = {"pressure": 0.0}
    steps = 0
    while step["pressure"] == 0:
        step = client.step(SEEN, deterministic=True)
        steps += 1
    assert step["pressure"] < 1
    answer = client("POST", "/fork", json={"agent_id": "default", "new_agent_id": "copy"})
    assert answer.status == 200
    assert answer.json() == {
        "message": "Agent state forked",
        "agent_id": "copy",
        "forked_from": "default",
        "version": steps,
    }
    assert client.agent("copy")["pressure"] == step["pressure"]
    ours, theirs = (client.step(SEEN, agent, deterministic=True) for agent in ("default", "copy"))
    assert ours == {**theirs, "agent_id": "default"}
    assert client("POST", "/fork", json={"new_agent_id": "copy"}).status == 409
    unknown = client("GET", "/agents/nobody")
    assert (unknown.status, unknown.json()) == (
        404,
        {"detail": "Agent 'nobody' not initialized. Call /reset first."},
    )


def test_a_named_step_is_taken_once(client: Client) -> None:
    body = {"observation": SEEN, "step_id": "the first"}
    first = client("POST", "/step", json=body)
    again = client("POST", "/step", json=body)
    assert (first.status, first.json()) == (again.status, again.json())
    assert first.headers["x-step-seed"] == again.headers["x-step-seed"]
    assert client.agent("default")["steps"] == 1
    other = client("POST", "/step", json={**body, "observation": [4, 3, 2, 1]})
    assert other.status == 409


def test_the_headers_say_which_step_it_was_and_how_to_repeat_it(client: Client) -> None:
    answer = client("POST", "/step", json={"observation": SEEN})
    assert answer.headers["x-agent-version"] == "1"
    client.reset("default")
    again = client.step(SEEN, seed=int(answer.headers["x-step-seed"]))
    assert again == answer.json()
    assert "x-step-seed" not in client("POST", "/step", json={"observation": SEEN, "deterministic": True}).headers


def test_an_agent_is_its_callers_own(client: Client, another: Any) -> None:
    client.reset("mine")
    client.step(SEEN, "mine")
    stranger = another()
    answer = stranger("POST", "/step", json={"observation": SEEN, "agent_id": "mine"})
    assert answer.status == 400
    assert stranger("GET", "/agents/mine").status == 404
    stranger.reset("mine")
    assert client.agent("mine")["steps"] == 1


def test_an_agent_of_any_name_can_be_looked_at(client: Client) -> None:
    for name in ("session abc", "caf\u00e9", "a|b#c?d", "\U0001f9ed"):
        client.reset(name)
        assert client.agent(quote(name))["agent_id"] == name


def test_no_two_accounts_share_an_agent_however_they_are_named() -> None:
    names = ["a", "a/b", "a|b", "user#a", ""]
    agents = ["c", "b|c", "|c", "#", "default"]
    assert len({agent_key(f"user#{name}", agent) for name in names for agent in agents}) == 25


def test_a_role_that_only_reads_may_not_step(unlimited: None) -> None:

    now = epoch(datetime.now(UTC))
    claims = {
        "sub": "someone",
        "iat": now,
        "exp": now + 60,
        "iss": "cyborg-api",
        "aud": "cyborg-clients",
        "roles": ["viewer"],
    }
    token = jwt.encode(claims, keyring().signing, algorithm="HS256")
    answer = Client({"Authorization": f"Bearer {token}"})("POST", "/step", json={"observation": SEEN})
    assert (answer.status, answer.json()) == (403, {"detail": "This needs the permission 'infer'"})


@pytest.mark.usefixtures("function_environment")
def test_the_limit_is_told_and_kept_as_documented() -> None:
    client = Client()
    answers = [client("POST", "/step", json={"observation": SEEN}) for _ in range(102)]
    assert [answer.status for answer in answers] == [200] * 100 + [429] * 2
    assert answers[0].headers["x-ratelimit-limit"] == "100"
    assert answers[0].headers["x-ratelimit-remaining"] == "99"
    assert int(answers[0].headers["x-ratelimit-reset"]) > 1_600_000_000
    assert answers[-1].json() == {"detail": "Rate limit exceeded: 100 per 1 minute"}
    assert int(answers[-1].headers["retry-after"]) >= 1


def test_the_log_has_the_documented_fields(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "quintet.requests"):
        client.step(SEEN)
        client("POST", "/step", json={"observation": SEEN, "agent_id": "nobody"})
    done, refused = (record.__dict__ for record in caplog.records if record.name == "quintet.requests")
    assert (done["endpoint"], done["agent_id"], done["status"]) == ("/step", "default", "success")
    assert done["latency_ms"] > 0
    assert (refused["agent_id"], refused["status"]) == ("nobody", "error")
    assert json.dumps(SEEN) not in str(done)
