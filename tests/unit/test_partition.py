"""A key's partition is the one that Kafka's default partitioner chooses."""

import pytest

from schemas.partition import murmur2, partition_for


@pytest.mark.parametrize(
    ("text", "expected"),
    [  # the vectors of Kafka's own UtilsTest, testMurmur2, as signed 32-bit integers
        ("21", -973932308),
        ("foobar", -790332482),
        ("a-little-bit-long-string", -985981536),
        ("a-little-bit-longer-string", -1486304829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        ("abc", 479470107),
    ],
)
def test_murmur2_gives_kafkas_own_vectors(text: str, expected: int) -> None:
    assert murmur2(text.encode()) == expected % 2**32


@pytest.mark.parametrize("key", [b"", b"\xff", b"G18.001", "Việt Nam".encode()])
def test_a_partition_is_within_the_topic_and_the_only_one_of_a_single_partition(key: bytes) -> None:
    assert partition_for(key, 1) == 0
    assert all(0 <= partition_for(key, partitions) < partitions for partitions in range(1, 50))


def test_the_sign_bit_is_dropped_as_kafka_does_before_the_division() -> None:
    assert partition_for(b"21", 10) == (-973932308 & 0x7FFFFFFF) % 10
