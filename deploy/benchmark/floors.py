"""Floors: what the libraries alone take for each stage, on the same bytes, in CPU time and the least of several turns.

What a stage of the worker costs can be set against them: nothing that uses these libraries can be below.
"""

import dataclasses
import io
import time
from collections.abc import Callable, Sequence
from importlib import resources

import cramjam
import fastavro
import lz4.frame
import pyarrow as pa
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

from deploy.benchmark.packing import Message
from deploy.benchmark.stack import Bench
from deploy.benchmark.workload import Workload
from schemas.codec import EventCodec
from schemas.registry import BundledSchemas
from schemas.spans import Spans

EVENTS = 50_000
TURNS = 5
BATCH = 1 << 20
LZ4 = 3  # in Kafka's numbers
HEADER = 5

SAME_COLUMNS = "SELECT * FROM observations LIMIT {limit:UInt32}"


@dataclasses.dataclass(frozen=True, slots=True)
class Floor:
    """Microseconds an event: CPU of this process, and by the wall where something else works."""

    what: str
    cpu_us: float
    wall_us: float | None = None


def floors(workload: Workload, bench: Bench | None) -> list[Floor]:
    """Measure on the beginning of a stream; what ClickHouse does only where ``bench`` has stored observations."""
    _, messages = Workload(EVENTS, shape=workload.shape, seed=workload.seed).draw(EVENTS)
    batches = _batches(messages)
    values = [value for _, value in messages]
    bodies = [value[HEADER:] for value in values if value is not None and len(value) > 2 * HEADER and value[4] == 1]
    packed = [lz4.frame.compress(b"".join(key + (value or b"") for key, value in messages))]
    schema = fastavro.parse_schema(
        fastavro.schema.load_schema(str(resources.files("schemas").joinpath("indicator_event.v1.avsc")))
    )
    codec = EventCodec(BundledSchemas())

    def one_by_one() -> None:
        for body in bodies:
            try:
                fastavro.schemaless_reader(io.BytesIO(body), schema, None)
            except (EOFError, IndexError, ValueError):
                continue

    spans = Spans.of(values)
    found = [
        _floor("lz4: decompress", lambda: [cramjam.lz4.decompress(body) for body in packed], EVENTS),
        _floor("CRC-32C of the batches", lambda: [calc_crc32c(batch[21:]) for batch in batches], EVENTS),
        _floor("aiokafka: a batch as record objects", lambda: [_records(batch) for batch in batches], EVENTS),
        _floor("fastavro: record by record", one_by_one, len(bodies)),
        _floor("our decoder: into columns", lambda: codec.decode(spans), EVENTS),
    ]
    return found if bench is None else found + _of_database(bench)


def _of_database(bench: Bench) -> list[Floor]:
    rows = bench.client.arrow(SAME_COLUMNS, {"limit": 4 * EVENTS})
    count = rows.num_rows
    plain = _ipc(rows)
    bench.client.command("CREATE TABLE IF NOT EXISTS bench_nowhere AS observations ENGINE = Null")
    bench.client.command("CREATE TABLE IF NOT EXISTS bench_somewhere AS observations")
    try:
        return [
            _floor("Arrow: write the insert's stream", lambda: _ipc(rows), count),
            _floor("lz4: compress it, which we do not", lambda: lz4.frame.compress(plain), count),
            _floor("HTTP insert of it, into nothing", lambda: bench.client.insert("bench_nowhere", rows), count, 3),
            _floor("HTTP insert of it, into MergeTree", lambda: bench.client.insert("bench_somewhere", rows), count, 3),
        ]
    finally:
        bench.client.command("DROP TABLE bench_nowhere SYNC")
        bench.client.command("DROP TABLE bench_somewhere SYNC")


def _floor(what: str, call: Callable[[], object], events: int, turns: int = TURNS) -> Floor:
    cpus, walls = [], []
    for _ in range(turns):
        cpu, wall = time.process_time(), time.perf_counter()
        call()
        cpus.append(time.process_time() - cpu)
        walls.append(time.perf_counter() - wall)
    return Floor(what, round(min(cpus) / events * 1e6, 3), round(min(walls) / events * 1e6, 3))


def _batches(messages: Sequence[Message]) -> list[bytes]:
    """Lay messages into batches as a producer does."""
    done: list[bytes] = []
    builder, held = DefaultRecordBatchBuilder(2, LZ4, False, -1, -1, -1, BATCH), 0
    for key, value in messages:
        if builder.append(held, 1, key, value, []) is None:  # it is full
            done.append(bytes(builder.build()))
            builder, held = DefaultRecordBatchBuilder(2, LZ4, False, -1, -1, -1, BATCH), 0
            builder.append(held, 1, key, value, [])
        held += 1
    return [*done, bytes(builder.build())]


def _records(batch: bytes) -> int:
    return sum(1 for _ in DefaultRecordBatch(bytearray(batch)))


def _ipc(rows: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as stream:
        stream.write_table(rows)
    return sink.getvalue()
