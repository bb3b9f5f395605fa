"""Record batches as clients write them, made by hand: any compression, any header, any size."""

import gzip
import struct
import sys
import zlib
from collections.abc import Callable, Iterable, Sequence

import cramjam
import lz4.frame
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import for_code
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import TopicPartition

from tests.support.wire import varint

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Header = tuple[bytes, bytes | None]
XERIAL = b"\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01"
NONE, GZIP, SNAPPY, LZ4, ZSTD, XERIAL_SNAPPY = range(6)
NAMES = ("none", "gzip", "snappy", "lz4", "zstd", "xerial")
CREATE_TIME, LOG_APPEND_TIME = 0, 0x08


def packed(codec: int, plain: bytes) -> bytes:
    """Compress as clients do."""
    ways: dict[int, Callable[[bytes], bytes]] = {
        NONE: bytes,
        GZIP: lambda data: gzip.compress(data, 1),
        SNAPPY: lambda data: bytes(cramjam.snappy.compress_raw(data)),
        LZ4: lambda data: lz4.frame.compress(data, block_linked=False),
        ZSTD: zstd.compress,
        XERIAL_SNAPPY: _xerial,
    }
    return ways[codec](plain)


def record(delta: int, key: bytes | None, value: bytes | None, headers: Sequence[Header] = ()) -> bytes:
    """Write one record with its length."""
    body = b"\x00" + varint(0) + varint(delta) + _text(key) + _text(value) + varint(len(headers))
    body += b"".join(_text(name) + _text(said) for name, said in headers)
    return varint(len(body)) + body


def batch(count: int, payload: bytes, codec: int = NONE, *, base: int = 0, stamp: int = CREATE_TIME) -> bytes:
    """Put ``count`` records, packed as ``codec`` says, into a batch at offset ``base``.

    ``stamp``: CREATE_TIME as a client sends it, LOG_APPEND_TIME as the broker stores it.
    """
    attributes = (SNAPPY if codec == XERIAL_SNAPPY else codec) | stamp
    time = 1_700_000_000_000
    body = struct.pack(">hiqqqhii", attributes, count - 1, time, time, -1, -1, -1, count) + payload
    return struct.pack(">qiibI", base, len(body) + 9, 0, 2, calc_crc32c(body)) + body


def batch_of(records: Iterable[bytes], codec: int = NONE, *, base: int = 0, stamp: int = CREATE_TIME) -> bytes:
    """Put records into a batch."""
    written = list(records)
    return batch(len(written), packed(codec, b"".join(written)), codec, base=base, stamp=stamp)


def bomb(codec: int, records: int, size: int) -> Iterable[bytes]:
    """Compress records of ``size`` zero bytes each, piece by piece: what is unpacked is never in memory here."""
    return _stream(codec, (part for at in range(records) for part in _padded(record(at, b"k", b"")[1:-2], size, b"\0")))


def header_bomb(codec: int, records: int, size: int) -> Iterable[bytes]:
    """Compress records of ``size`` zero bytes each that are headers: two bytes make one, without a name or a value."""
    heads = (record(at, b"k", b"v")[1:-1] for at in range(records))
    return _stream(codec, (part for head in heads for part in _padded(head, size, b"", size // 2)))


def _padded(head: bytes, size: int, tail: bytes, count: int | None = None) -> Iterable[bytes]:
    """Write a record of a head, the number that stands for the zeros (``count`` or their size), zeros, and a tail."""
    head += varint(size if count is None else count)
    yield varint(len(head) + size + len(tail)) + head
    piece = bytes(1 << 20)
    for left in range(size, 0, -len(piece)):
        yield piece[:left]
    yield tail


def _stream(codec: int, plain: Iterable[bytes]) -> Iterable[bytes]:
    if codec == GZIP:
        gzipped = zlib.compressobj(9, wbits=31)
        yield from (gzipped.compress(piece) for piece in plain)
        yield gzipped.flush()
    elif codec == ZSTD:
        zipped = zstd.ZstdCompressor()
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


async def produce(bootstrap: str, topic: str, batches: Sequence[bytes]) -> list[int]:
    """Hand batches to the broker as they are, one after the other; answers the offset of each one's first record."""
    client = AIOKafkaClient(bootstrap_servers=bootstrap)
    await client.bootstrap()
    try:
        client.add_topic(topic)
        await client.force_metadata_update()
        node = client.cluster.leader_for_partition(TopicPartition(topic, 0))
        offsets = []
        for one in batches:
            asked = ProduceRequest(
                transactional_id=None, required_acks=-1, timeout=60_000, topics=[(topic, [(0, one)])]
            )
            answer = await client.send(node, asked)
            ((_, ((_, error, offset, *_),)),) = answer.topics
            assert error == 0, for_code(error)
            offsets.append(offset)
        return offsets
    finally:
        await client.close()
