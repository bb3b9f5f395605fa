"""Record batches as clients write them, made by hand: any compression, any header, any size."""

import gzip
import struct
import zlib
from collections.abc import Callable, Iterable, Sequence

import cramjam
import lz4.frame
import zstandard
from aiokafka.record.util import calc_crc32c

from tests.support.wire import varint

Header = tuple[bytes, bytes | None]
XERIAL = b"\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01"
NONE, GZIP, SNAPPY, LZ4, ZSTD, XERIAL_SNAPPY = range(6)
NAMES = ("none", "gzip", "snappy", "lz4", "zstd", "xerial")
LOG_APPEND_TIME = 0x08


def packed(codec: int, plain: bytes) -> bytes:
    """Compress as clients do."""
    ways: dict[int, Callable[[bytes], bytes]] = {
        NONE: bytes,
        GZIP: lambda data: gzip.compress(data, 1),
        SNAPPY: lambda data: bytes(cramjam.snappy.compress_raw(data)),
        LZ4: lambda data: lz4.frame.compress(data, block_linked=False),
        ZSTD: lambda data: zstandard.ZstdCompressor(3).compress(data),
        XERIAL_SNAPPY: _xerial,
    }
    return ways[codec](plain)


def record(delta: int, key: bytes | None, value: bytes | None, headers: Sequence[Header] = ()) -> bytes:
    """Write one record with its length."""
    body = b"\x00" + varint(0) + varint(delta) + _text(key) + _text(value) + varint(len(headers))
    body += b"".join(_text(name) + _text(said) for name, said in headers)
    return varint(len(body)) + body


def batch(count: int, payload: bytes, codec: int = NONE, *, base: int = 0, time: int = 1_700_000_000_000) -> bytes:
    """Put ``count`` records, packed as ``codec`` says, into a batch as the broker stores it, at offset ``base``."""
    attributes = (SNAPPY if codec == XERIAL_SNAPPY else codec) | LOG_APPEND_TIME
    body = struct.pack(">hiqqqhii", attributes, count - 1, time, time, -1, -1, -1, count) + payload
    return struct.pack(">qiibI", base, len(body) + 9, 0, 2, calc_crc32c(body)) + body


def batch_of(records: Iterable[bytes], codec: int = NONE, *, base: int = 0) -> bytes:
    """Put records into a batch."""
    written = list(records)
    return batch(len(written), packed(codec, b"".join(written)), codec, base=base)


def bomb(codec: int, records: int, size: int) -> Iterable[bytes]:
    """Compress records of ``size`` zero bytes each, piece by piece: what is unpacked is never in memory here."""
    piece = bytes(1 << 20)

    def plain() -> Iterable[bytes]:
        for delta in range(records):
            whole = record(delta, b"k", b"")[:-2]  # up to the value's length
            head = whole[1:]
            length = varint(size)
            body = len(head) + len(length) + size + 1
            yield varint(body) + head + length
            left = size
            while left > 0:
                yield piece[:left]
                left -= len(piece)
            yield b"\x00"  # no headers

    return _stream(codec, plain())


def _stream(codec: int, plain: Iterable[bytes]) -> Iterable[bytes]:
    if codec == GZIP:
        gzipped = zlib.compressobj(9, wbits=31)
        yield from (gzipped.compress(piece) for piece in plain)
        yield gzipped.flush()
    elif codec == ZSTD:
        zipped = zstandard.ZstdCompressor(3).compressobj()
        yield from (zipped.compress(piece) for piece in plain)
        yield zipped.flush()
    else:
        framed = lz4.frame.LZ4FrameCompressor(block_linked=False)
        yield framed.begin()
        yield from (framed.compress(piece) for piece in plain)
        yield framed.flush()


def _text(text: bytes | None) -> bytes:
    return varint(-1) if text is None else varint(len(text)) + text


def _xerial(data: bytes) -> bytes:
    blocks = [bytes(cramjam.snappy.compress_raw(data[at : at + 32_768])) for at in range(0, len(data), 32_768)]
    return XERIAL + b"".join(len(block).to_bytes(4) + block for block in blocks)
