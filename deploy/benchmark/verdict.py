"""Whether a run was right: what ClickHouse holds against the independent count, and GRIS's own check."""

from collections.abc import Iterator

from deploy.benchmark.catalogue import NATION, PROVINCES
from deploy.benchmark.expected import WATCHED, Expected, Key, Total
from deploy.benchmark.stack import Bench
from deploy.benchmark.workload import TOPICS
from sinks.clickhouse.check import check

SHOWN = 20  # differences named of each kind

ACCEPTED = "SELECT toString(topic), uniqExact(partition, offset) FROM observations GROUP BY topic"
REJECTED = "SELECT toString(topic), toString(reason), uniqExact(partition, offset) FROM rejected GROUP BY topic, reason"
LEDGER = """
SELECT toString(topic), sum(next_offset), sum(accepted), sum(rejected), sum(skipped) FROM ledger FINAL GROUP BY topic
"""
TOTALS = """
SELECT bucket, toString(indicator), toString(area), toInt64(value * 10000), toInt64(min * 10000), toInt64(max * 10000),
    areas_reported, cells, toString(status)
FROM day_totals FINAL WHERE breakdown = '_T' AND area IN {areas:Array(String)}
"""


def differences(bench: Bench, expected: Expected) -> Iterator[str]:
    """Name what is wrong; nothing when all is right."""
    yield from _counts(bench, expected)
    yield from _totals(bench, expected)
    report = check(bench.client, bench.catalogue)
    for partition in report.partitions:
        yield from (f"gris check: {partition.topic}: {fault}" for fault in partition.faults)
    if report.differing:
        yield f"gris check: {report.differing:,} totals differ from what the observations amount to"


def _counts(bench: Bench, expected: Expected) -> Iterator[str]:
    accepted = dict(bench.client.query(ACCEPTED))
    rejected = {(topic, reason): count for topic, reason, count in bench.client.query(REJECTED)}
    ledger = {topic: tuple(rest) for topic, *rest in bench.client.query(LEDGER)}
    for topic, records, good, bad in zip(TOPICS, expected.records, expected.accepted, expected.rejected, strict=True):
        if not records:
            continue
        if accepted.get(topic, 0) != good:
            yield f"{topic}: {accepted.get(topic, 0):,} accepted events stored, {good:,} expected"
        found = {reason: count for (of, reason), count in rejected.items() if of == topic}
        for reason in sorted(found.keys() | bad.keys()):
            if found.get(reason, 0) != bad[reason]:
                yield f"{topic}: {found.get(reason, 0):,} rejected for {reason}, {bad[reason]:,} expected"
        wanted = (records, good, records - good, 0)
        if ledger.get(topic) != wanted:
            yield f"{topic}: the ledger says {ledger.get(topic)}, expected {wanted} (next, accepted, rejected, skipped)"


def _totals(bench: Bench, expected: Expected) -> Iterator[str]:
    areas = [NATION, *(PROVINCES[at] for at in WATCHED)]
    found: dict[Key, Total] = {}
    for bucket, indicator, area, *rest in bench.client.query(TOTALS, {"areas": areas}):
        found[bucket, indicator, area] = Total(*rest)
    wanted = dict(expected.totals())
    wrong = sorted(key for key in found.keys() | wanted.keys() if found.get(key) != wanted.get(key))
    for key in wrong[:SHOWN]:
        bucket, indicator, area = key
        yield f"{bucket} {indicator} {area}: {found.get(key)}, expected {wanted.get(key)}"
    if len(wrong) > SHOWN:
        yield f"and {len(wrong) - SHOWN:,} more of {len(wanted):,} totals"
