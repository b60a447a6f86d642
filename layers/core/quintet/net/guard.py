"""Where we may be sent by others: a URL from outside leads to the internet, never to us or to what is near us.

Whoever calls it dials the very address that was checked (`client.send(..., address=...)`): a name that points elsewhere
a moment later changes nothing.
"""

import asyncio
import ipaddress
import re
import socket
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

RESOLVE_SECONDS = 5.0
LONGEST_URL = 2048
_NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
_NEAR = tuple(
    ipaddress.ip_network(each)
    for each in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "::1/128", "fc00::/7")
)
# Where clouds tell machines who they are, outside the link-local networks.
_TELLING = frozenset(map(ipaddress.ip_address, ("100.100.100.200", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254")))
_NAME = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?")  # others are told in punycode
# Names that mean this machine or this network, whatever they resolve to from here.
_INNER_NAMES = ("localhost", "local", "internal", "intranet", "lan", "home", "corp", "localdomain", "home.arpa")


class Forbidden(Exception):  # noqa: N818 - a refusal that the caller may see
    """Says why, without the URL: it may hold a token."""


class Unresolved(Exception):  # noqa: N818 - an outcome
    """The name leads nowhere just now."""


@dataclass(frozen=True, slots=True)
class Rules:
    """`loopback` lets a developer's own receivers in, and nothing else that is not public. `private` lets in this
    machine, networks of one's own and their names; never link-local addresses, nor where clouds tell their secrets.
    """

    schemes: frozenset[str] = frozenset({"https"})
    ports: frozenset[int] | range = frozenset({443, 8443})
    loopback: bool = False
    private: bool = False

    def admit(self, address: Address) -> bool:
        if is_public(address) or (self.loopback and address.is_loopback):
            return True
        return self.private and _is_near(address)


HTTPS = Rules()
WEB = Rules(schemes=frozenset({"https", "http"}), ports=frozenset({80, 443, 8080, 8443}))


def check(url: str, rules: Rules = HTTPS) -> SplitResult:
    """What can be said of a URL without asking anybody. Raises Forbidden."""
    if len(url) > LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise Forbidden("a URL is at most 2048 printable ASCII characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Forbidden("this is not a valid URL") from None
    host = (parts.hostname or "").rstrip(".")
    if parts.scheme not in rules.schemes:
        raise Forbidden(f"the URL must begin with {' or '.join(sorted(f'{each}://' for each in rules.schemes))}")
    if not host:
        raise Forbidden("the URL names no host")
    if "@" in parts.netloc:
        raise Forbidden("a URL with a user name or a password in it is refused")
    literal = _literal(host)
    if rules.loopback and (host == "localhost" or (literal is not None and literal.is_loopback)):
        return parts
    if (port or (443 if parts.scheme == "https" else 80)) not in rules.ports:
        raise Forbidden(f"the port must be one of {', '.join(map(str, sorted(rules.ports)))}")
    if literal is not None:
        if not rules.admit(literal):
            raise Forbidden(_PRIVATE)
    elif not _NAME.fullmatch(host):
        raise Forbidden("the URL's host is not a name")
    elif not rules.private and ("." not in host or host.endswith(tuple(f".{name}" for name in _INNER_NAMES))):
        raise Forbidden(_PRIVATE)
    return parts


async def resolve(url: str, rules: Rules = HTTPS) -> str:
    """The address to dial. Raises Forbidden when any address of the name may not be called, or Unresolved."""
    return (await resolve_all(url, rules))[0]


async def resolve_all(url: str, rules: Rules) -> list[str]:
    """All that may be dialled, the best first. Raises as `resolve` does."""
    parts = check(url, rules)
    host = (parts.hostname or "").rstrip(".")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(RESOLVE_SECONDS):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError):
        raise Unresolved("the host's name could not be resolved") from None
    addresses = [ipaddress.ip_address(each[4][0]) for each in found]
    if not addresses:
        raise Unresolved("the host's name has no address")
    if not all(rules.admit(address) for address in addresses):
        raise Forbidden(_PRIVATE)
    if (
        rules.loopback
        and any(each.is_loopback for each in addresses)
        and not all(each.is_loopback for each in addresses)
    ):
        raise Forbidden(_PRIVATE)
    return [str(each) for each in dict.fromkeys(addresses)]


def is_public(address: Address) -> bool:
    """Also of an IPv4 address inside an IPv6 one: it is the inner one that is reached."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = _inner(address)
        if inner is not None:
            return is_public(inner)
        if address.is_site_local:
            return False
    return address.is_global and not address.is_multicast


def _inner(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
    if inner is None and (any(address in network for network in _NAT64) or int(address) < 1 << 32):
        inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return inner


def _is_near(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and not address.is_loopback:
        address = address.ipv4_mapped or address
    return address not in _TELLING and any(address.version == each.version and address in each for each in _NEAR)


def _literal(host: str) -> Address | None:
    """Also the spellings of IPv4 that old libraries take: decimal, octal, hexadecimal, with parts left out."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except (OSError, ValueError):
        return None


_PRIVATE = "the URL leads to an address that is not public"
