"""Where a URL from outside may lead, and where not."""

import ipaddress
import socket
from typing import Any

import pytest

from quintet.net.guard import HTTPS, WEB, Forbidden, Rules, Unresolved, check, is_public, resolve
from tests.loops import on_a_loop

LOCAL = Rules(schemes=frozenset({"http", "https"}), loopback=True)

HOSTILE = [
    "https://127.0.0.1/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0177.0.0.1/",
    "https://017700000001/",
    "https://0/",
    "https://0.0.0.0/",
    "https://10.0.0.1/",
    "https://172.16.5.4/",
    "https://192.168.1.1/",
    "https://100.64.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://[fd00:ec2::254]/",
    "https://[::1]/",
    "https://[::]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[::127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[2002:7f00:1::]/",
    "https://[fe80::1]/",
    "https://[fe80::1%25eth0]/",
    "https://[fec0::1]/",
    "https://[ff02::1]/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    "https://localhost/",
    "https://LOCALHOST./",
    "https://app.localhost/",
    "https://metadata.google.internal/",
    "https://metadata/",
    "https://printer.local/",
    "https://user:word@example.com/",
    "https://example.com@127.0.0.1/",
    "https://example.com:22/",
    "https://example.com:99999/",
    "https:///nowhere",
    "http://example.com/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com/",
    "javascript:alert(1)",
    "https://exa mple.com/",
    "https://example.com\\@127.0.0.1/",
    "https://ex\u0430mple.com/",
    "https://example.com/\r\nHost: x",
    "https://" + "a" * 3000 + ".com/",
    "",
]


@pytest.mark.parametrize("url", HOSTILE)
def test_what_does_not_lead_to_the_internet_is_refused(url: str) -> None:
    with pytest.raises(Forbidden):
        check(url)


@pytest.mark.parametrize("url", ["https://example.com/hook?x=1", "https://example.com:8443/", "https://8.8.8.8/"])
def test_the_internet_is_let_through(url: str) -> None:
    check(url)


def test_plain_http_is_for_who_allows_it() -> None:
    check("http://example.com/feed.xml", WEB)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_a_public_address_is_public_however_it_is_wrapped(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


def names(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Every name has these addresses from now on."""

    def answer(_host: str, port: int, *_args: Any, **_more: Any) -> list[Any]:
        if not addresses:
            raise socket.gaierror(-2, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", answer)


@on_a_loop
async def test_the_checked_address_is_the_one_to_dial(monkeypatch: pytest.MonkeyPatch) -> None:
    names(monkeypatch, "93.184.216.34")
    assert await resolve("https://example.com/") == "93.184.216.34"


@pytest.mark.parametrize("addresses", [("127.0.0.1",), ("93.184.216.34", "10.0.0.7"), ("::1",), ("169.254.169.254",)])
@on_a_loop
async def test_a_name_with_one_inner_address_is_refused(
    monkeypatch: pytest.MonkeyPatch, addresses: tuple[str, ...]
) -> None:
    names(monkeypatch, *addresses)
    with pytest.raises(Forbidden):
        await resolve("https://rebound.example.com/", HTTPS)


@on_a_loop
async def test_a_name_that_nobody_knows_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    names(monkeypatch)
    with pytest.raises(Unresolved):
        await resolve("https://example.com/")


@on_a_loop
async def test_a_developers_own_receiver_is_let_in_by_the_switch_alone() -> None:
    assert await resolve("http://127.0.0.1:9999/hook", LOCAL) == "127.0.0.1"
    assert await resolve("http://localhost:9999/hook", LOCAL) in {"127.0.0.1", "::1"}
    for url in ("http://10.0.0.1:9999/", "http://192.168.0.1/", "http://169.254.169.254/", "http://intranet/"):
        with pytest.raises(Forbidden):
            await resolve(url, LOCAL)


NEAR = Rules(schemes=frozenset({"http"}), ports=range(1, 65_536), private=True)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:11434", "localhost:11434", "[::1]:11434", "10.0.0.5", "172.20.1.1", "192.168.1.9", "100.101.1.1",
        "[fd12::5]", "[::ffff:10.0.0.5]", "ollama:11434", "gpu.lan", "host.docker.internal:8000", "8.8.8.8",
    ],
)  # fmt: skip
def test_a_network_of_ones_own_is_let_in_by_its_switch(host: str) -> None:
    check(f"http://{host}/v1", NEAR)


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254", "169.254.170.2", "[fe80::1]", "[fd00:ec2::254]", "[::ffff:169.254.169.254]", "0.0.0.0",
        "[::]", "224.0.0.1", "255.255.255.255", "2852039166", "0xa9fea9fe", "100.100.100.200", "[fd20:ce::254]",
    ],
)  # fmt: skip
def test_where_clouds_tell_their_secrets_nothing_is_let_in(host: str) -> None:
    with pytest.raises(Forbidden):
        check(f"http://{host}/v1", NEAR)


@on_a_loop
async def test_an_inner_name_is_still_checked_by_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    names(monkeypatch, "10.0.0.5", "169.254.169.254")
    with pytest.raises(Forbidden):
        await resolve("http://metadata.lan/", NEAR)
