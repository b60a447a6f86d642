"""Random numbers that a recorded seed brings back exactly: counted blocks of BLAKE2b, the same on every Python."""

import math
from collections.abc import Iterator
from hashlib import blake2b
from itertools import count, islice

_PER_BLOCK = 8


def uniforms(seed: int, number: int) -> list[float]:
    """In [0, 1), with 53 bits each."""
    return list(islice(_stream(seed), number))


def normals(seed: int, number: int) -> list[float]:
    """Box and Muller's way: two uniforms for each, so that the nth does not depend on how many are asked for."""
    drawn = uniforms(seed, 2 * number)
    return [
        math.sqrt(-2 * math.log(1 - first)) * math.cos(2 * math.pi * second)
        for first, second in zip(drawn[::2], drawn[1::2], strict=True)
    ]


def _stream(seed: int) -> Iterator[float]:
    for block in count():
        digest = blake2b(seed.to_bytes(8) + block.to_bytes(8), digest_size=8 * _PER_BLOCK).digest()
        for place in range(_PER_BLOCK):
            yield (int.from_bytes(digest[8 * place : 8 * place + 8]) >> 11) * 2.0**-53
