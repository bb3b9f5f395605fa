"""Content codings (RFC 9110, 8.4): which of those that are offered a client gets, and how whole bodies are coded."""

import functools
import re
import zlib
from collections.abc import Callable, Mapping

import cramjam

IDENTITY = "identity"
GZIP_LEVEL = 6
GZIP_FORMAT = 31  # for zlib: the largest window, with gzip's head and tail
ZSTD_LEVEL = 3
WEIGHT = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)", re.IGNORECASE)

CODERS: Mapping[str, Callable[[bytes], bytes]] = {
    # A tenth of a report's size in a seventh of gzip's time; what knows it not knows gzip.
    "zstd": lambda content: bytes(cramjam.zstd.compress(content, ZSTD_LEVEL)),
    "gzip": lambda content: zlib.compress(content, GZIP_LEVEL, GZIP_FORMAT),
    IDENTITY: lambda content: content,
}
"""How to code a whole body, by coding, in the order in which we prefer them. Equal bodies give equal bytes."""


@functools.lru_cache(1024)
def chosen(accept_encoding: str, offered: tuple[str, ...] = tuple(CODERS)) -> str:
    """Choose the coding that the client weighs highest (RFC 9110, 12.5.3), of equal ones the first that is offered.

    Without the header, or when it rules out all that is offered, the answer is not coded.
    """
    weights = dict(map(_weighed, accept_encoding.lower().split(",")))
    others = weights.get("*", 0.0)
    best = max(offered, key=lambda coding: weights.get(coding, others if coding != IDENTITY else 0.0), default=IDENTITY)
    return best if weights.get(best, others) > 0 else IDENTITY


def _weighed(part: str) -> tuple[str, float]:
    """Read ``gzip;q=0.5``; what has another parameter, or a weight that is none, is not wanted."""
    name, _, parameter = (piece.strip() for piece in part.partition(";"))
    weight = WEIGHT.fullmatch(parameter)
    return name, float(weight[1]) if weight else float(not parameter)
