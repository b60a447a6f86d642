"""The deployed sockets function, in its own role."""

import json

import requests

from quintet.store.clock import SystemClock, millis
from quintet.store.ids import new_id
from quintet.store.items import from_item
from tests.conftest import Stack
from tests.sockets import connecting, leaving, saying


def rows(stack: Stack, name: str) -> list[object]:
    table = stack.system.deployed.environments["SocketsFunction"]["TABLE_PREFIX"] + "connections"
    found = stack.endpoint.client("dynamodb").get_item(TableName=table, Key={"id": {"S": name}})
    return [from_item(found["Item"])] if "Item" in found else []


def test_a_connection_opens_is_counted_speaks_and_is_forgotten(stack: Stack, front: str) -> None:
    key = stack.keys["RYUZEN_KEY"]
    keyed, names = {"X-Ryuzen-Key": key}, [new_id("c", SystemClock().now()) for _ in range(2)]

    def sessions() -> int:
        told = requests.get(f"{front}/api/v1/telemetry/summary", headers=keyed, timeout=60).json()
        return int(told["websocket_sessions"])

    before = sessions()
    for name in names:
        event = connecting("toron", name, headers=keyed)
        event["requestContext"]["connectedAt"] = millis(SystemClock().now())
        assert stack.invoke("SocketsFunction", event)["statusCode"] == 200
    assert sessions() == before + 2
    # No front knows this connection: the first token finds it gone.
    assert stack.invoke("SocketsFunction", saying(json.dumps({"prompt": "x"}), names[0]))["statusCode"] == 200
    assert rows(stack, names[0]) == []
    assert stack.invoke("SocketsFunction", leaving(names[1]))["statusCode"] == 200
    assert rows(stack, names[1]) == []
    assert stack.invoke("SocketsFunction", connecting("toron", "c="))["statusCode"] == 401
