"""gris.daily as any reader may read it: with fastavro and the published schema alone."""

import dataclasses
import datetime as dt
import io
import json
import time
from pathlib import Path

import fastavro
from confluent_kafka import Consumer, KafkaError, TopicPartition

import schemas
from tests.support import oracle

DAILY = "gris.daily"
LINE_SCHEMA_ID = 3
READ_WITHIN = 60.0
SCHEMA = fastavro.parse_schema(
    json.loads((Path(schemas.__file__).parent / "report_line.v1.avsc").read_text(encoding="utf-8"))
)


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """A committed message of the topic: offset, version and VN's status, and the totals by area without theirs."""

    offset: int
    version: int
    status: str
    totals: dict[str, oracle.Total]


def read(bootstrap: str) -> dict[oracle.Line, list[Line]]:
    """Read the topic to its end as it is now: by line, its messages in order.

    Raises AssertionError, which says what was read, when its end does not come in time.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "daily",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }
    )
    consumer.assign([TopicPartition(DAILY, 0, 0)])
    found: dict[oracle.Line, list[Line]] = {}
    deadline = time.monotonic() + READ_WITHIN
    try:
        while time.monotonic() < deadline:
            for message in consumer.consume(2_000, timeout=0.5):
                error = message.error()
                if error is not None and error.code() == KafkaError._PARTITION_EOF:
                    return found
                assert error is None, error
                key, line = decode(message.key(), message.value(), message.offset())
                found.setdefault(key, []).append(line)
    finally:
        consumer.close()
    raise AssertionError(f"{DAILY} has no end within {READ_WITHIN:.0f} s; read until then: {found}")


def decode(key: bytes | str | None, value: bytes | str | None, offset: int | None) -> tuple[oracle.Line, Line]:
    """Decode one message and hold its key against its content."""
    assert isinstance(key, bytes)
    assert isinstance(value, bytes)
    assert offset is not None
    assert value[0] == 0
    assert int.from_bytes(value[1:5], "big") == LINE_SCHEMA_ID
    said = fastavro.schemaless_reader(io.BytesIO(value[5:]), SCHEMA, None)
    assert isinstance(said, dict)
    bucket, indicator, breakdown = key.decode().split("|")
    line = (dt.date.fromisoformat(bucket), indicator, breakdown)
    assert (said["bucket"], said["indicator"], said["breakdown"]) == line
    totals = {}
    for area in said["areas"]:
        value_, least, most = (None if area[at] is None else int(area[at] * 10_000) for at in ("value", "min", "max"))
        counts = area["areas_reported"], area["areas_expected"], area["cells"]
        totals[area["area"]] = oracle.Total(value_, least, most, *counts, status="", flags=tuple(said["flags"]))
    return line, Line(offset, said["version"], said["status"], totals)


def differences(lines: dict[oracle.Line, list[Line]], expected: dict[oracle.Key, oracle.Total]) -> list[str]:
    """Name where the last message of a key is not the highest version, or does not say what the totals are."""
    known: dict[oracle.Line, dict[str, oracle.Total]] = {}
    for (bucket, indicator, area, breakdown), total in expected.items():
        known.setdefault((bucket, indicator, breakdown), {})[area] = dataclasses.replace(total, status="")
    found = []
    for key in lines.keys() | known.keys():
        messages = lines.get(key)
        if messages is None:
            found.append(f"{key}: no message")
            continue
        last = messages[-1]
        if last.version != max(message.version for message in messages):
            found.append(f"{key}: versions in order {[message.version for message in messages]}")
        # A line that other rules left without a statement was said already: it is said again, without areas.
        if last.totals != known.get(key, {}):
            found.append(f"{key}: the last says {last.totals}, expected {known.get(key)}")
        nation = expected.get((key[0], key[1], oracle.NATION, key[2]))
        if last.status != ("M" if nation is None else nation.status):
            found.append(f"{key}: status {last.status}, expected that of {nation}")
    return found
