"""ClickHouse's own Kafka engine: tables and views do the whole work. ``python -m … JOB ANSWER``.

The engine is chDB's, loaded without its Python package: `import chdb` opens a connection and closes it again, and with
the first connection that closes, the engine ends what streams need in the background.
"""

import contextlib
import importlib.machinery
import importlib.util
import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path
from typing import Any

from deploy.benchmark.rivals.job import AREAS, Answer, Clock, Job, TotalRow, main
from deploy.local.ports import LOOPBACK
from schemas.catalogue import Catalogue, load
from schemas.errors import Fatal

STANDSTILL = 15.0  # seconds without a row after which it is done, whatever is missing
LOOK_EVERY = 0.05
FOREIGN = '{"type": "record", "name": "Foreign", "fields": [{"name": "nothing", "type": "null"}]}'

TABLES = """
CREATE TABLE queue (
    submission String, indicator String, area String, breakdown String, time_period String, value Nullable(Float64),
    base Nullable(Float64), status Enum8('A' = 0, 'B' = 1, 'E' = 2, 'F' = 3, 'I' = 4, 'M' = 5, 'P' = 6),
    revision Int32, observed_at Int64, note Nullable(String)
) ENGINE = Kafka SETTINGS kafka_broker_list = '{kafka}', kafka_topic_list = '{topics}', kafka_format = 'AvroConfluent',
    kafka_group_name = 'gris-bench-clickhouse', kafka_handle_error_mode = 'stream', kafka_max_block_size = 262144,
    kafka_poll_max_batch_size = 65536, kafka_flush_interval_ms = 500, kafka_num_consumers = 2,
    kafka_thread_per_consumer = 1,
    format_avro_schema_registry_url = '{registry}';
CREATE TABLE observations (
    indicator LowCardinality(String), area LowCardinality(String), breakdown LowCardinality(String),
    time_period LowCardinality(String), bucket Date, value Nullable(Decimal(18, 4)), base Nullable(Decimal(18, 4)),
    status LowCardinality(String), revision UInt32, note Nullable(String), submission LowCardinality(String),
    observed_at DateTime64(3), received_at DateTime64(3), topic LowCardinality(String), partition UInt16, offset UInt64,
    version UInt64, stored_at DateTime64(3)
) ENGINE = ReplacingMergeTree ORDER BY (indicator, bucket, area, breakdown, time_period, version);
CREATE TABLE rejected (topic LowCardinality(String), partition UInt16, offset UInt64, raw String, error String)
    ENGINE = ReplacingMergeTree ORDER BY (topic, partition, offset);
"""

# The catalogue as arrays: looking a few hundred codes up in a constant is cheaper than a dictionary's call. Judged
# once, into a table that keeps nothing, from which two views take what is good and what is not.
VIEWS = """
CREATE TABLE judged (
    submission String, indicator String, area String, breakdown String, time_period String, value Nullable(Float64),
    base Nullable(Float64), status String, revision Int32, observed_at Int64, note Nullable(String), topic String,
    partition UInt64, offset UInt64, received_at DateTime64(3), raw String, error String, weighed UInt8, good UInt8
) ENGINE = Null;
CREATE MATERIALIZED VIEW observed TO observations AS
SELECT indicator, area, breakdown, time_period, toDate(substring(time_period, 1, 10)) AS bucket,
    toDecimal64OrNull(toString(j.value), 4) AS value,
    toDecimal64OrNull(toString(if(weighed, j.base, NULL)), 4) AS base, status, toUInt32(j.revision) AS revision, note,
    submission, fromUnixTimestamp64Milli(j.observed_at) AS observed_at, received_at, topic,
    toUInt16(j.partition) AS partition, j.offset AS offset,
    bitShiftLeft(toUInt64(j.revision), 40) + j.offset + 1 AS version, now64(3) AS stored_at
FROM judged AS j WHERE good;
CREATE MATERIALIZED VIEW refused TO rejected AS
SELECT topic, toUInt16(j.partition) AS partition, offset, raw, error FROM judged AS j WHERE NOT good;
CREATE MATERIALIZED VIEW judging TO judged AS
WITH toUInt16(indexOf({codes}, indicator)) AS at, assumeNotNull(q.value) AS x, assumeNotNull(q.base) AS weight,
    ifNull(_timestamp_ms, toDateTime64(0, 3)) AS received
SELECT submission, indicator, area, breakdown, time_period, q.value AS value, q.base AS base,
    toString(q.status) AS status, revision, observed_at, note, _topic AS topic, _partition AS partition,
    _offset AS offset, received AS received_at, _raw_message AS raw, _error AS error, {bases}[at] = 1 AS weighed,
    length(_error) = 0 AND _key = indicator AND at > 0 AND {agencies}[at] = splitByChar('.', _topic)[3]
    AND match(time_period, '^\\d{{4}}-\\d\\d-\\d\\dT([01]\\d|2[0-3]):00:00/PT1H$')
    AND isNotNull(toDateOrNull(substring(time_period, 1, 10)))
    AND (parseDateTime64BestEffortOrZero(concat(substring(time_period, 1, 13), ':00:00+07:00'), 3) <= received
        OR q.status = 'F')
    AND area IN ({provinces}) AND breakdown = '_T' AND isNull(q.value) = (q.status = 'M')
    AND (isNull(q.value) OR (isFinite(x) AND x >= {lows}[at] AND x <= {highs}[at]
        AND round(x * {scales}[at]) / {scales}[at] = x))
    AND (isNull(q.value) OR {bases}[at] = 0 OR (isNotNull(q.base) AND weight > 0 AND weight < 1e11
        AND round(weight * 10000) / 10000 = weight))
    AND revision >= 0 AND revision < 8388608 AND match(submission, '^[A-Za-z0-9._-]{{1,64}}$')
    AND observed_at >= 0 AND observed_at < 4102444800000
    AND observed_at <= toUnixTimestamp64Milli(received) + 300000
    AND (isNull(note) OR lengthUTF8(assumeNotNull(note)) <= 2000) AS good
FROM queue AS q
"""
STORED = (
    "SELECT count(), toUnixTimestamp64Milli(min(stored_at)), toUnixTimestamp64Milli(max(stored_at)) FROM observations"
)
FIRST_BLOCK = "SELECT count() FROM observations WHERE stored_at = (SELECT min(stored_at) FROM observations)"
ACCEPTED = "SELECT toString(topic), uniqExact(offset) FROM observations GROUP BY topic"
# Newest revision of each cell; an area's day; the nation's.
TOTALS = """
WITH latest AS (
    SELECT indicator, bucket, area, time_period, argMax((value, base, status), version) AS said,
        toInt64(said.1 * 10000) AS ticks, toInt64(said.2 * 10000) AS weight, said.3 != 'M' AS has
    FROM observations GROUP BY indicator, bucket, area, time_period
), areas AS (
    SELECT indicator, bucket, area, sum(has) AS cells, indexOf({codes}, indicator) AS at,
        if({flows}[at] = 1, sumIf(ticks, has), argMaxIf(ticks, time_period, has)) AS total,
        argMaxIf(weight, time_period, has) AS weighs
    FROM latest GROUP BY indicator, bucket, area
)
SELECT toString(bucket) AS day, toString(indicator) AS code, toString(area) AS place,
    if(cells = 0, NULL, toInt64(total)) AS ticks, toInt64(cells) AS cells
FROM areas WHERE area IN ({areas})
UNION ALL
SELECT toString(bucket), toString(indicator), 'VN', if(sum(cells) = 0, NULL, toInt64(multiIf(
        {rollups}[any(at)] = 'sum', toFloat64(sumIf(total, cells > 0)),
        {rollups}[any(at)] = 'mean', roundBankers(sumIf(total, cells > 0) / countIf(cells > 0)),
        roundBankers(sumIf(toInt128(total) * weighs, cells > 0) / sumIf(weighs, cells > 0))))),
    toInt64(sum(cells))
FROM areas GROUP BY indicator, bucket
"""


class Engine:
    """A connection to chDB's engine on a folder."""

    def __init__(self, folder: str) -> None:
        self._connection = _extension().connect(folder)

    def run(self, sql: str) -> None:
        """Run statements, one after the other."""
        for statement in filter(str.strip, sql.split(";")):
            self._connection.query(statement, "Null")

    def rows(self, sql: str) -> list[list[Any]]:
        """Answer the rows of a query."""
        body: bytes = self._connection.query(sql, "JSONCompactEachRow").bytes()
        return [json.loads(line) for line in body.splitlines()]


def work(job: Job) -> Answer:
    """Make the tables, look on, and total at the end."""
    catalogue = load(Path(job.catalogue))
    known = _known(catalogue)
    with tempfile.TemporaryDirectory(prefix="gris-bench-engine-") as folder, _registry() as registry:
        engine = Engine(folder)
        engine.run("CREATE DATABASE IF NOT EXISTS bench; USE bench")
        engine.run("SET output_format_json_quote_64bit_integers = 0")
        engine.run(TABLES.format(kafka=job.kafka, topics=",".join(job.upto), registry=registry))
        clock = Clock()
        engine.run(VIEWS.format(**known))
        last = _wait(engine, job.accepted)
        ((_, began, ended),) = engine.rows(STORED)
        ((first,),) = engine.rows(FIRST_BLOCK)
        totalling = time.perf_counter()
        totals: list[TotalRow] = [tuple(row) for row in engine.rows(TOTALS.format(**known))]
        totalled = time.perf_counter() - totalling
        answer = clock.answer(job.events, {topic: count for topic, count in engine.rows(ACCEPTED)}, totals)  # noqa: C416
        # What was done before the first block came out is not seen: the speed is that of all blocks after it.
        share = (last - first) / last if last > first else 1.0
        seconds = (ended - began) / 1000 / share + totalled if ended > began else answer.seconds
        engine.run("DROP TABLE judging; DROP TABLE queue SYNC")
    return Answer(answer.events, seconds, answer.cpu_seconds, answer.peak_rss_bytes, answer.accepted, answer.totals)


def _wait(engine: Engine, accepted: int) -> int:
    """Return when so many rows are there, or no more come; how many there are."""
    stored, moved = 0, time.monotonic()
    while stored < accepted and time.monotonic() - moved < (STANDSTILL if stored else 4 * STANDSTILL):
        ((now, *_),) = engine.rows(STORED)
        if now != stored:
            stored, moved = now, time.monotonic()
        time.sleep(LOOK_EVERY)
    return stored


def _known(catalogue: Catalogue) -> dict[str, str]:
    """Write the catalogue as literals of SQL, by the order of the indicators."""
    indicators = catalogue.indicators
    provinces = (area.code for area in catalogue.maps[0].provinces)
    return {
        "codes": _array(i.code for i in indicators),
        "agencies": _array(i.agency for i in indicators),
        "lows": _array(float(-1e10 if i.min is None else i.min) for i in indicators),
        "highs": _array(float(1e10 if i.max is None else i.max) for i in indicators),
        "scales": _array(float(10**i.decimals) for i in indicators),
        "bases": _array(int(i.needs_base) for i in indicators),
        "flows": _array(int(i.kind == "flow") for i in indicators),
        "rollups": _array(str(i.area_rollup) for i in indicators),
        "provinces": ", ".join(f"'{code}'" for code in (*provinces, "VN")),
        "areas": ", ".join(f"'{code}'" for code in AREAS[1:]),
    }


def _array(values: Any) -> str:
    return "[" + ", ".join(f"'{value}'" if isinstance(value, str) else f"{value}" for value in values) + "]"


@contextlib.contextmanager
def _registry() -> Iterator[str]:
    """Serve our schema under its id as a registry would, for the format AvroConfluent."""
    schema = resources.files("schemas").joinpath("indicator_event.v1.avsc").read_text()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            # An id that does not exist is asked for again with every record that bears it: a schema that fits nothing
            # is remembered, and refuses them as well.
            body = json.dumps({"schema": schema if self.path == "/schemas/ids/1" else FOREIGN}).encode()
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            """Say nothing."""

    server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{LOOPBACK}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _extension() -> Any:
    """Load chDB's engine by its file."""
    for folder in sys.path:
        file = Path(folder) / "chdb" / "_chdb.abi3.so"
        if file.exists():
            loader = importlib.machinery.ExtensionFileLoader("_chdb", str(file))
            spec = importlib.util.spec_from_file_location("_chdb", file, loader=loader)
            if spec is not None:
                module = importlib.util.module_from_spec(spec)
                loader.exec_module(module)
                return module
    raise Fatal("chdb is not installed: pip install -r deploy/requirements.txt.")


if __name__ == "__main__":
    main(work)
