"""How one client's stream is written: as it is, or deflated (RFC 9110, 8.4.1.2)."""

import functools
from typing import Protocol

from sinks.feed.coding import IDENTITY, chosen
from sinks.feed.deflated import HEAD, NOTHING, START, Part, end, extended, part
from sinks.feed.recent import Run

DEFLATE = "deflate"


class Pen(Protocol):
    """Gives the bytes of one stream, in this order: ``begin``, then texts and runs as they come, ``end``."""

    coding: str
    chunk: int  # bytes of text that a client is given at one time; its patience counts anew for each

    def begin(self) -> bytes:
        """Give what comes first."""
        ...

    def text(self, text: bytes) -> bytes:
        """Give a text of ours, of which there are few."""
        ...

    def run(self, run: Run) -> bytes:
        """Give recent lines."""
        ...

    def end(self) -> bytes:
        """Give what ends the stream in order."""
        ...


class PlainPen:
    """Writes texts as they are."""

    coding = IDENTITY
    chunk = 64 << 10

    def begin(self) -> bytes:  # noqa: D102 - see Pen
        return b""

    def text(self, text: bytes) -> bytes:  # noqa: D102
        return text

    def run(self, run: Run) -> bytes:  # noqa: D102
        return run.text

    def end(self) -> bytes:  # noqa: D102
        return b""


class DeflatingPen:
    """Writes a zlib stream; what many clients get is compressed once for all of them."""

    coding = DEFLATE
    chunk = 256 << 10  # about as many bytes, deflated

    def __init__(self) -> None:
        self._checksum = START

    def begin(self) -> bytes:  # noqa: D102
        return HEAD

    def text(self, text: bytes) -> bytes:  # noqa: D102
        return self._add(_part(text))

    def run(self, run: Run) -> bytes:  # noqa: D102
        return self._add(run.deflated)

    def end(self) -> bytes:  # noqa: D102
        return end(self._checksum)

    def _add(self, more: Part) -> bytes:
        self._checksum = extended(self._checksum, more)
        return more.content


def pen_for(accept_encoding: str) -> Pen:
    """Choose the pen by Accept-Encoding."""
    return DeflatingPen() if chosen(accept_encoding, (DEFLATE, IDENTITY)) == DEFLATE else PlainPen()


@functools.lru_cache(64)
def _part(text: bytes) -> Part:
    return part(text) if text else NOTHING
