"""Chance without state: the same seed and words give the same number, on every machine and in every order of asking.

So a figure does not depend on which days are asked for, and a week asked for again tomorrow tells the same yesterday.
"""

import hashlib
import math
from collections.abc import Sequence
from typing import TypeVar

Choice = TypeVar("Choice")

_SCALE = 2.0**-64
_MANY = 40.0


def _digest(seed: int, words: tuple[object, ...], size: int) -> bytes:
    text = "\x1f".join([str(seed), *map(str, words)])
    return hashlib.blake2b(text.encode(), digest_size=size).digest()


def uniform(seed: int, *words: object) -> float:
    """Draw from [0, 1)."""
    # The top 53 bits only: all 64 would round up to 1.0 once in a while.
    return (int.from_bytes(_digest(seed, words, 8), "big") >> 11) * (_SCALE * 2048.0)


def chance(probability: float, seed: int, *words: object) -> bool:
    """Say yes with ``probability``."""
    return uniform(seed, *words) < probability


def normal(seed: int, *words: object) -> float:
    """Draw from the standard normal distribution, by Box and Muller's transform."""
    raw = _digest(seed, words, 16)
    radius = 1.0 - int.from_bytes(raw[:8], "big") * _SCALE * (1.0 - 2.0**-53)
    angle = int.from_bytes(raw[8:], "big") * _SCALE
    return math.sqrt(-2.0 * math.log(max(radius, 2.0**-53))) * math.cos(math.tau * angle)


def smooth(seed: int, at: float, *words: object) -> float:
    """Follow a smooth wandering line in [-1, 1]: random at every whole ``at``, eased between."""
    left = math.floor(at)
    ease = (1.0 - math.cos(math.pi * (at - left))) / 2.0
    first, second = uniform(seed, left, *words), uniform(seed, left + 1, *words)
    return 2.0 * (first + (second - first) * ease) - 1.0


def count(mean: float, seed: int, *words: object) -> int:
    """Draw a count from Poisson's distribution (for a large mean, its normal approximation)."""
    if mean <= 0.0:
        return 0
    if mean > _MANY:
        return max(0, round(mean + math.sqrt(mean) * normal(seed, *words)))
    left, term, drawn = uniform(seed, *words), math.exp(-mean), 0
    while left >= term and drawn < 10 * _MANY:
        left -= term
        drawn += 1
        term *= mean / drawn
    return drawn


def pick(choices: Sequence[Choice], seed: int, *words: object) -> Choice:
    """Choose one of ``choices``, which must not be empty."""
    return choices[int(uniform(seed, *words) * len(choices))]
