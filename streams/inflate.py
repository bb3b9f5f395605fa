"""Compressed bytes as a stream of plain ones: a read unpacks about as much as it gives, whatever the rest would become.

Raises the errors in `BROKEN` for what cannot be unpacked.
"""

import gzip
import io
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Any, cast

import cramjam
import lz4.frame

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4  # as in the attributes of a record batch
PIECE = 1 << 16
XERIAL = b"\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01"
# A batch in which something is wrong makes each library fail in a way of its own.
BROKEN = (
    zlib.error,
    zstd.ZstdError,
    cramjam.DecompressionError,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
    IndexError,
)


def opened(codec: int, packed: memoryview) -> IO[bytes]:
    """Open packed bytes as a stream of the plain ones. Raises ValueError for a compression that Kafka does not have."""
    source = io.BytesIO(packed)
    streams: dict[int, Callable[[], object]] = {
        GZIP: lambda: gzip.GzipFile(fileobj=source),
        SNAPPY: lambda: io.BufferedReader(_Snappy(bytes(packed))),
        LZ4: lambda: lz4.frame.LZ4FrameFile(source),
        ZSTD: lambda: zstd.ZstdFile(source),
    }
    if codec not in streams:
        raise ValueError(f"there is no compression {codec}")
    return cast("IO[bytes]", streams[codec]())


class _Snappy(io.RawIOBase):
    """Snappy has no streams: clients in Java send small blocks with their lengths, others one block for all.

    A block is unpacked whole; no byte of snappy becomes more than 22.
    """

    def __init__(self, packed: bytes) -> None:
        super().__init__()
        self._blocks = _snappy_blocks(packed)
        self._block = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        if not self._block:
            self._block = memoryview(next(self._blocks, b""))
        room = memoryview(into)
        count = min(len(room), len(self._block))
        room[:count] = self._block[:count]
        self._block = self._block[count:]
        return count


def _snappy_blocks(packed: bytes) -> Iterator[bytes]:
    if packed[: len(XERIAL)] != XERIAL:
        yield bytes(cramjam.snappy.decompress_raw(packed))
        return
    at = len(XERIAL)
    while at < len(packed):
        stop = at + 4 + int.from_bytes(packed[at : at + 4])
        yield bytes(cramjam.snappy.decompress_raw(packed[at + 4 : stop]))
        at = stop
