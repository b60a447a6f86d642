"""The policy function where it is deployed: in its own role, behind the API; and policies from a bucket."""

import hashlib
import json
import secrets
from datetime import timedelta
from typing import Any

import pytest

from policies.anatomy import untrained
from policies.graph import exported
from quintet.errors import Failure
from quintet.policy.catalogue import Catalogue
from quintet.policy.model import Handle, Order, Ref, Spent, Wanted
from quintet.policy.shelves import Bucket, Folder
from quintet.policy.stepping import Stepping
from quintet.settings import settings
from quintet.store.clock import SystemClock
from tests.conftest import Stack
from tests.fakes.policy import SMALL, FakeAgents
from tests.loops import on_a_loop

BEARER = {"Authorization": "Bearer cyborg-secret-v2"}
SEEN = [0.1, 0.2, 0.3, 0.4]


def test_every_route_works_in_the_functions_own_role(stack: Stack) -> None:
    agent, copy = (f"deployed-{secrets.token_hex(4)}" for _ in range(2))
    asked: list[tuple[str, str, Any]] = [
        ("POST", "/reset", {"agent_id": agent}),
        ("POST", "/step", {"observation": SEEN, "agent_id": agent}),
        ("POST", "/step", {"observation": SEEN, "agent_id": agent, "step_id": "one"}),
        ("POST", "/fork", {"agent_id": agent, "new_agent_id": copy}),
        ("POST", "/step_batch", {"observations": [SEEN, SEEN], "agent_ids": [agent, copy]}),
        ("POST", "/step_batch", {"observations": [SEEN]}),
        ("GET", f"/agents/{agent}", None),
    ]
    for method, path, body in asked:
        answer = stack.request(method, path, json=body, headers=BEARER)
        assert answer.status_code == 200, (path, answer.text)
    assert answer.json()["steps"] == 3
    assert stack.request("POST", "/step", json={"observation": SEEN}).status_code == 403


@pytest.fixture
def bucket(stack: Stack, function_environment: None) -> str:
    """With a policy of the owner's own under `team/`."""
    name = f"policies-{secrets.token_hex(6)}"
    s3 = stack.endpoint.client("s3")
    s3.create_bucket(Bucket=name)
    graph = exported(SMALL, untrained(SMALL, seed=3), "mine")
    card = {"latest": "2", "versions": {"2": {"sha256": hashlib.sha256(graph).hexdigest()}, "3": {"sha256": "0" * 64}}}
    s3.put_object(Bucket=name, Key="team/mine/card.json", Body=json.dumps(card).encode())
    for version in ("2", "3"):
        s3.put_object(Bucket=name, Key=f"team/mine/{version}.onnx", Body=graph)
    return name


@on_a_loop
async def test_a_policy_of_the_owners_own_is_served_from_a_bucket(bucket: str, repository: Any) -> None:
    shelf = Bucket(f"s3://{bucket}/team", settings().aws_region, settings().aws_endpoint_url)
    catalogue = Catalogue([Folder(str(repository / "policies")), shelf], "cartpole")
    assert (await catalogue.find(Wanted("mine"))).ref == Ref("mine", "2")
    assert (await catalogue.find(Wanted())).ref == Ref("cartpole", "1")
    with pytest.raises(Failure, match="its digest is not the one on its card"):
        await catalogue.find(Wanted("mine", "3"))
    with pytest.raises(Failure, match="There is no policy 'mine' of version '4'"):
        await catalogue.find(Wanted("mine", "4"))
    with pytest.raises(Failure, match="There is no policy 'nothing'"):
        await catalogue.find(Wanted("nothing"))
    stepping = Stepping(FakeAgents(), catalogue, SystemClock())
    agent = Handle("user#me|a", "a", timedelta(days=1))
    await stepping.reset(agent, Wanted("mine"), Spent())
    assert (await stepping.step(agent, SEEN, Order(True), Spent())).version == 1
