"""Addresses that callers come from: limits count by address, so no two tests may have one in common."""

from ipaddress import IPv4Network
from itertools import count

_NETWORK = IPv4Network("198.19.0.0/16")  # for benchmarks: nobody's
_places = count(1)


def fresh() -> str:
    """One that nobody in this process had before."""
    return str(_NETWORK[next(_places)])
