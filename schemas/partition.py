"""Which partition a key belongs to: murmur2 as in Apache Kafka's default partitioner (its class Utils)."""

SEED = 0x9747B28C
MULTIPLIER = 0x5BD1E995
MASK = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """Hash ``data`` to an unsigned 32-bit integer."""
    length = len(data)
    value = SEED ^ length
    whole = length & ~3
    for at in range(0, whole, 4):
        word = int.from_bytes(data[at : at + 4], "little") * MULTIPLIER & MASK
        word = (word ^ (word >> 24)) * MULTIPLIER & MASK
        value = (value * MULTIPLIER & MASK) ^ word
    tail = data[whole:]
    if tail:
        value = (value ^ int.from_bytes(tail, "little")) * MULTIPLIER & MASK
    value = (value ^ (value >> 13)) * MULTIPLIER & MASK
    return value ^ (value >> 15)


def partition_for(key: bytes, partitions: int) -> int:
    """Name the partition of ``key`` in a topic of ``partitions``: what a client's default partitioner must choose."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
