"""An event as bytes, packed by hand: what an agency's own client would send, made without the system's codec."""

import struct
from collections.abc import Mapping

STATUSES = "ABEFIMP"
Event = dict[str, object]


def event(indicator: str, area: str, time_period: str, value: float | None, **others: object) -> Event:
    """State one figure; what is not said has the schema's default."""
    said: Event = {
        "submission": "S1",
        "indicator": indicator,
        "area": area,
        "breakdown": "_T",
        "time_period": time_period,
        "value": value,
        "base": None,
        "status": "M" if value is None else "A",
        "revision": 0,
        "observed_at": 1_700_000_000_000,
        "note": None,
    }
    unknown = set(others) - set(said)
    assert not unknown, unknown
    return said | others


def varint(number: int) -> bytes:
    """Write an Avro int or long: zigzag, seven bits a byte, lowest first."""
    left = (number << 1) ^ (number >> 63)
    packed = bytearray()
    while left > 0x7F:
        packed.append(left & 0x7F | 0x80)
        left >>= 7
    packed.append(left)
    return bytes(packed)


def text(words: object) -> bytes:
    """Write an Avro string; bytes are taken as they are, UTF-8 or not."""
    raw = words if isinstance(words, bytes) else str(words).encode()
    return varint(len(raw)) + raw


def number(value: object) -> bytes:
    """Write a union of null and double."""
    return b"\x00" if value is None else b"\x02" + struct.pack("<d", value)


def body(said: Mapping[str, object]) -> bytes:
    """Write the Avro body. ``status`` may be a symbol or any number in its place."""
    status, revision, observed_at, note = said["status"], said["revision"], said["observed_at"], said["note"]
    assert isinstance(revision, int)
    assert isinstance(observed_at, int)
    return b"".join(
        (
            *(text(said[field]) for field in ("submission", "indicator", "area", "breakdown", "time_period")),
            number(said["value"]),
            number(said["base"]),
            varint(status if isinstance(status, int) else STATUSES.index(str(status))),
            varint(revision),
            varint(observed_at),
            b"\x00" if note is None else b"\x02" + text(note),
        )
    )


def frame(said: Mapping[str, object], schema_id: int = 1) -> bytes:
    """Write an event in Confluent's framing."""
    return b"\x00" + schema_id.to_bytes(4, "big") + body(said)
