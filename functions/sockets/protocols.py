"""The protocols by name. Each imports its room when it is first spoken: no message pays for another one's code."""

from collections.abc import Mapping

from quintet.sockets.dispatch import Make

PROTOCOLS: Mapping[str, Make] = {}
