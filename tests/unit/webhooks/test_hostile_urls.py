"""URLs that want to lead us to ourselves: none does, neither when it is registered nor when it is called."""

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from quintet.errors import Failure
from quintet.identity.model import ROLES, Principal, PrincipalKind
from quintet.net import client
from quintet.net.guard import Rules
from quintet.webhooks import delivering, endpoints
from quintet.webhooks.endpoints import Endpoints
from quintet.webhooks.model import Standing
from tests.fakes.office import NOW, Office
from tests.fakes.webhooks import Receiver, receiving, says
from tests.loops import on_a_loop

PUBLIC = "93.184.215.14"
OWNER = Principal("ada", PrincipalKind.USER, "user#ada", ROLES["developer"])

# {port} is the listener's. Every host is an own way to write, or to reach, this machine or what is near it.
HOSTILE = [
    "http://127.0.0.1:{port}/",
    "http://127.1:{port}/",
    "http://127.0.1:{port}/",
    "http://2130706433:{port}/",
    "http://0x7f000001:{port}/",
    "http://0x7f.1:{port}/",
    "http://0x7f.0x0.0x0.0x1:{port}/",
    "http://017700000001:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://0177.0.0.01:{port}/",
    "http://127.0.0.1.:{port}/",
    "http://127.8.9.10:{port}/",
    "http://0:{port}/",
    "http://0.0.0.0:{port}/",
    "http://[::1]:{port}/",
    "http://[::]:{port}/",
    "http://[0:0:0:0:0:0:0:1]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://[::127.0.0.1]:{port}/",
    "http://[64:ff9b::7f00:1]:{port}/",
    "http://[2002:7f00:1::]:{port}/",
    "http://[::1%25lo]:{port}/",
    "http://localhost:{port}/",
    "http://LOCALHOST:{port}/",
    "http://localhost.:{port}/",
    "http://hooks.localhost:{port}/",
    "http://machine.internal:{port}/",
    "http://inner.example.com:{port}/",  # resolves to 127.0.0.1
    "http://both.example.com:{port}/",  # to a public address and to 127.0.0.1
    "http://six.example.com:{port}/",  # to ::1
    "http://mapped.example.com:{port}/",  # to ::ffff:127.0.0.1
    "http://user@127.0.0.1:{port}/",
    "http://user:secret@localhost:{port}/",
    "http://example.com@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}@example.com/",
    "http://example.com\\@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}#@example.com/",
    "http://127.0.0.1:{port}?@example.com/",
    "http://①②⑦.⓪.⓪.①:{port}/",
    "http://127。0。0。1:{port}/",
    "http://%31%32%37.0.0.1:{port}/",
    "http://127.0.0.1\t:{port}/",
    " http://127.0.0.1:{port}/",
    "http:127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "gopher://127.0.0.1:{port}/",
    "file:///etc/passwd",
    "http://169.254.169.254/latest/meta-data/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://10.0.0.1/",
    "http://100.64.0.1/",
    "http://192.168.1.1/",
    "https://example.com:22/",
    "https://example.com:6379/",
    "https://example.com:0{port}0/",
    "https://example.com:99999/",
]

NAMES = {
    "inner.example.com": ["127.0.0.1"],
    "both.example.com": [PUBLIC, "127.0.0.1"],
    "six.example.com": ["::1"],
    "mapped.example.com": ["::ffff:127.0.0.1"],
    "example.com": [PUBLIC],
}


@dataclass
class Net:
    """Names as an attacker's resolver answers them, and a way to its public address."""

    names: dict[str, list[list[str]]] = field(default_factory=lambda: {name: [at] for name, at in NAMES.items()})
    dialled: list[str] = field(default_factory=list)
    attacker: int | None = None

    def resolve(self, host: str, port: int) -> list[Any]:
        answers = self.names.get(host)
        if answers is None:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        now = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            (socket.AF_INET6 if ":" in each else socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port))
            for each in now
        ]


@pytest.fixture
def net(monkeypatch: pytest.MonkeyPatch) -> Iterator[Net]:
    """The listener's port counts as allowed: what protects it here is where it is, not its number."""
    net = Net()
    genuine = socket.getaddrinfo
    dial = client._Pool.dial  # what is dialled is what this is about

    def getaddrinfo(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        literal = not any(letter.isalpha() for letter in str(host)) or ":" in str(host) or "0x" in str(host)
        return genuine(host, port, *args, **options) if literal or host == "localhost" else net.resolve(host, port)

    async def dialling(pool: Any, origin: Any) -> Any:
        net.dialled.append(origin.address)
        if origin.address == PUBLIC:
            if net.attacker is None:
                raise OSError("unreachable")
            origin = origin._replace(scheme="http", address="127.0.0.1", port=net.attacker)
        return await dial(pool, origin)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(client._Pool, "dial", dialling)
    yield net
    client.close_all()


@asynccontextmanager
async def listener(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Receiver]:
    async with receiving(says(200)) as receiver:
        rules = Rules(frozenset({"http", "https"}), frozenset({80, 443, port_of(receiver)}))
        monkeypatch.setattr(delivering, "rules", lambda: rules)
        monkeypatch.setattr(endpoints, "rules", lambda: rules)
        yield receiver


def port_of(receiver: Receiver) -> int:
    return int(receiver.url.rpartition(":")[2].split("/")[0])


@pytest.mark.parametrize("hostile", HOSTILE)
@on_a_loop
async def test_no_hostile_url_reaches_a_listener_here(hostile: str, net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    async with listener(monkeypatch) as receiver:
        url, office = hostile.format(port=port_of(receiver)), Office()
        with pytest.raises(Failure, match="url"):
            await Endpoints(office.endpoints).create(OWNER, url, ["task.created"], None, "", NOW)
        office.endpoint(url)  # as if it had come through all the same
        await office.tell("task.created")
        await office.work()
        assert receiver.received == []
    assert office.only().attempts[0].status is None
    assert net.dialled == []


@on_a_loop
async def test_a_name_that_is_bound_anew_after_its_registration_leads_nowhere(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with listener(monkeypatch) as receiver:
        net.names["rebound.example.com"] = [[PUBLIC], ["127.0.0.1"]]
        office = Office()
        url = f"http://rebound.example.com:{port_of(receiver)}/"
        await Endpoints(office.endpoints).create(OWNER, url, ["task.created"], None, "", NOW)
        await office.tell("task.created")
        await office.work()
        assert receiver.received == []
    assert "not public" in office.only().attempts[0].error
    assert net.dialled == []


@on_a_loop
async def test_a_name_that_is_bound_anew_between_the_check_and_the_connection_is_dialled_where_it_was(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with listener(monkeypatch) as receiver:
        net.names["rebound.example.com"] = [[PUBLIC], [PUBLIC], ["127.0.0.1"]]
        office = Office()
        url = f"http://rebound.example.com:{port_of(receiver)}/"
        await Endpoints(office.endpoints).create(OWNER, url, ["task.created"], None, "", NOW)
        await office.tell("task.created")
        await office.work()
        assert receiver.received == []
    assert net.dialled == [PUBLIC]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@on_a_loop
async def test_a_redirect_to_here_is_not_followed(status: int, net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    async with listener(monkeypatch) as receiver, receiving(says(status, f"Location: {receiver.url}")) as attacker:
        net.attacker = port_of(attacker)
        office = Office()
        await Endpoints(office.endpoints).create(OWNER, "https://example.com/", ["task.created"], None, "", NOW)
        await office.tell("task.created")
        await office.work()
        assert len(attacker.received) == 1
        assert receiver.received == []
    (told,) = office.only().attempts
    assert (told.status, told.error) == (status, "redirects are not followed")
    assert office.only().standing is Standing.PENDING
