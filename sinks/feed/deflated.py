"""A zlib stream (RFC 1950) made of parts that are compressed once and shared by all who get them.

No part refers to what came before it, so each fits after any other: a client's stream is the head, parts, the end. The
checksum at the end is that of all parts together, which follows from theirs.
"""

import zlib
from collections.abc import Iterable
from typing import NamedTuple

HEAD = b"\x78\x01"  # deflate, 32 KiB window, fastest
LAST_BLOCK = b"\x03\x00"  # an empty block that says that it is the last
LEVEL = 1
RAW = -15  # for zlib: the largest window, neither head nor checksum
BASE = 65521  # of Adler-32
START = 1  # the checksum of nothing


class Part(NamedTuple):
    """Compressed text, whole bytes long: ``size`` and ``checksum`` (Adler-32) are those of the text."""

    content: bytes
    size: int
    checksum: int


NOTHING = Part(b"", 0, START)


def part(text: bytes) -> Part:
    """Compress a text."""
    if not text:
        return NOTHING
    press = zlib.compressobj(LEVEL, zlib.DEFLATED, RAW)
    return Part(press.compress(text) + press.flush(zlib.Z_FULL_FLUSH), len(text), zlib.adler32(text))


def joined(parts: Iterable[Part]) -> Part:
    """Put parts one after the other."""
    contents, size, checksum = [], 0, START
    for found in parts:
        contents.append(found.content)
        size += found.size
        checksum = extended(checksum, found)
    return Part(b"".join(contents), size, checksum)


def extended(checksum: int, more: Part) -> int:
    """Give the checksum of a text with ``checksum`` and the part's text after it."""
    low, high = checksum & 0xFFFF, checksum >> 16
    more_low, more_high = more.checksum & 0xFFFF, more.checksum >> 16
    return (low + more_low - 1) % BASE | (high + more_high + more.size * (low - 1)) % BASE << 16


def end(checksum: int) -> bytes:
    """Give what follows the last part, by the checksum of all of them."""
    return LAST_BLOCK + checksum.to_bytes(4)
