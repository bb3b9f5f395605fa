"""Whatever leaves memory, and whenever: a worker's totals are those of one that keeps everything.

Folds and flushes run as tasks that stop before and after every piece of work; a drawn script says who goes on. The
database is a list of rows; all else is the real thing, with room for no bucket at all.
"""

import asyncio
import dataclasses
import datetime as dt
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

import pyarrow as pa
import pytest
from faust.types import TP
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from schemas.catalogue import Catalogue, load
from schemas.codec import STATUSES, EventCodec
from schemas.registry import BundledSchemas
from schemas.rules import Rules
from sinks.clickhouse.ledger import Position
from sinks.clickhouse.queries import CELL_COLUMNS, EPOCH
from streams.aggregate import Aggregator
from streams.blocks import Fetched
from streams.flush import Flusher
from streams.health import Health
from streams.metrics import Metrics
from streams.settings import WorkerSettings
from streams.threads import Threads
from streams.validate import Judged, Validator
from streams.waiting import Start
from tests.support.batches import Said, batch, fetched
from tests.support.inline_worker import Announced
from tests.support.judging import SCHEMA_IDS
from tests.support.small_catalogue import FIGURES, write_catalogue
from tests.support.wire import Event, event, frame

P = ParamSpec("P")
T = TypeVar("T")

PLACE = TP("gris.events.z02", 0)
AGENCY = "z02"
# A cumulative figure: what one bucket says can change the flag of another, which is then read back within a flush.
CODE = next(f.code for f in FIGURES if f.agency == AGENCY and (f.kind, f.frequency) == ("cumulative", "daily"))
DAYS = [dt.date(2024, 3, day) for day in (1, 2, 3)]
AREAS = ("01", "02", "03")
LIMIT = 10_000  # steps after which a script counts as stuck


class Gates(Threads):
    """Work in no thread at all: every call waits before and after for its turn in the script."""

    def __init__(self, script: Sequence[int]) -> None:
        super().__init__()
        self._script = itertools.cycle(script)
        self._waiting: list[asyncio.Future[None]] = []

    async def _run(self, pool: ThreadPoolExecutor, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:  # noqa: ARG002
        await self.turn()
        result = call(*args, **kwargs)
        await self.turn()
        return result

    async def turn(self) -> None:
        """Wait to be let on."""
        gate = asyncio.get_running_loop().create_future()
        self._waiting.append(gate)
        await gate

    async def play(self, tasks: Sequence["asyncio.Task[None]"]) -> None:
        """Let one go on at a time, until all are done."""
        for _ in range(LIMIT):
            for _ in range(8):  # all that can go on by themselves come to their next gate
                await asyncio.sleep(0)
            if all(task.done() for task in tasks):
                break
            if self._waiting:
                self._waiting.pop(next(self._script) % len(self._waiting)).set_result(None)
        for task in tasks:
            assert task.done(), "nobody can go on"
            task.result()


class Rows:
    """What ClickHouse would hold, and the one question that a fold asks of it."""

    def __init__(self) -> None:
        self.observations: list[dict[str, Any]] = []
        self.totals: dict[tuple[object, ...], dict[str, Any]] = {}

    def insert(self, table: str, rows: pa.Table) -> None:
        """Keep statements, and of each total the row with the highest version."""
        if table == "observations":
            self.observations += rows.to_pylist()
        elif table == "day_totals":
            for row in rows.to_pylist():
                key = (row["bucket"], row["indicator"], row["area"], row["breakdown"])
                self.totals[key] = max(self.totals.get(key, row), row, key=lambda r: r["version"])

    def arrow(self, sql: str, params: Mapping[str, Any], _settings: object) -> pa.Table:
        """Give the newest statement below an offset of every cell of the days that are named in the statement."""
        newest: dict[tuple[object, ...], dict[str, Any]] = {}
        for row in self.observations:
            asked = f"'{row['bucket']}'" in sql and row["offset"] < params["below"]
            if asked and (not params["indicators"] or row["indicator"] in params["indicators"]):
                key = (row["indicator"], row["area"], row["breakdown"], row["time_period"])
                newest[key] = max(newest.get(key, row), row, key=lambda r: r["version"])
        cells = [
            {name: row[name] for name in ("indicator", "area", "breakdown", "time_period", "version")}
            | {"day": (row["bucket"] - EPOCH).days, "status": STATUSES.index(row["status"])}
            | {name: int((row[column] or 0) * 10_000) for name, column in (("ticks", "value"), ("base", "base"))}
            for row in newest.values()
        ]
        return pa.Table.from_pylist(cells, CELL_COLUMNS)


@dataclasses.dataclass(frozen=True, slots=True)
class Rig:
    """What is made once: a catalogue, its rules, and threads for judging."""

    catalogue: Catalogue
    rules: Rules
    threads: Threads

    def judged(self, events: Sequence[Event], size: int, *, first: int) -> list[Judged]:
        """Judge events from the offset ``first`` on, as blocks of ``size`` records of one partition."""
        said = [Said(at, CODE.encode(), frame(one)) for at, one in enumerate(events)]
        batches, end = fetched(batch(first, said), first)
        codec = EventCodec(BundledSchemas())
        validator = Validator(self.rules, codec, {PLACE.topic: 1}, size, self.threads, Health(), Metrics())

        async def all_of_them() -> list[Judged]:
            return [judged async for judged in validator.judge(Fetched(PLACE, 1, batches, first, end, end))]

        return asyncio.run(all_of_them())


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    catalogue = load(write_catalogue(tmp_path_factory.mktemp("catalogue") / "catalogue"))
    threads = Threads()
    yield Rig(catalogue, Rules(catalogue, SCHEMA_IDS), threads)
    threads.close()


async def work(
    rig: Rig, rows: Rows, blocks: Sequence[Judged], script: Sequence[int], flushes: int, *, room: int
) -> None:
    """Open the partition where ``rows`` end, fold the blocks, flush meanwhile and at the end.

    ``room`` is the memory (bytes) for buckets.
    """
    options = WorkerSettings.read().model_copy(update={"cube_bytes": room})
    gates, health, metrics = Gates(script), Health(), Metrics()
    client: Any = rows
    aggregator = Aggregator(options, rig.catalogue, client, gates, health, metrics)
    flusher = Flusher(options, aggregator, client, Announced(), asyncio.Lock(), gates, health, metrics)
    end = len(rows.observations)
    days = sorted({(row["bucket"] - EPOCH).days for row in rows.observations})
    await aggregator.open(PLACE, 1, Start(AGENCY, Position(*PLACE, end, end, 0, 0, "r", "t", 1), days, end, {}))

    async def fold() -> None:
        for block in blocks:
            await gates.turn()
            await aggregator.fold(block)

    async def flush() -> None:
        for _ in range(flushes):
            await flusher.flush()
            await gates.turn()

    async def watch() -> None:
        for _ in range(flushes):
            aggregator.note_ends({PLACE: blocks[-1].end})
            await gates.turn()

    await gates.play([asyncio.ensure_future(one()) for one in (fold, flush, watch)])
    await gates.play([asyncio.ensure_future(flusher.flush())])


def plain(totals: Mapping[tuple[object, ...], dict[str, Any]]) -> dict[tuple[object, ...], dict[str, Any]]:
    """Leave out what depends on when a flush came."""
    return {key: {n: v for n, v in row.items() if n not in ("version", "updated_at")} for key, row in totals.items()}


said = st.lists(
    st.tuples(st.sampled_from(AREAS), st.sampled_from(DAYS), st.integers(0, 3)), min_size=3, max_size=8
).map(lambda figures: [event(CODE, area, f"{day}", float(value)) for area, day, value in figures])


@given(
    before=said,
    now=said,
    size=st.integers(1, 2),
    script=st.lists(st.integers(0, 5), min_size=20, max_size=80),
    flushes=st.integers(2, 8),
)
@settings(max_examples=100, deadline=None, derandomize=True, phases=[Phase.generate])
def test_what_leaves_memory_changes_no_total(
    rig: Rig, before: list[Event], now: list[Event], size: int, script: list[int], flushes: int
) -> None:
    stored = rig.judged(before, len(before), first=0)
    blocks = rig.judged(now, size, first=len(before))
    kept, narrow = Rows(), Rows()
    asyncio.run(work(rig, kept, [*stored, *blocks], [0], 1, room=1 << 30))
    asyncio.run(work(rig, narrow, stored, [0], 1, room=1 << 30))
    asyncio.run(work(rig, narrow, blocks, script, flushes, room=0))
    assert plain(narrow.totals) == plain(kept.totals)
