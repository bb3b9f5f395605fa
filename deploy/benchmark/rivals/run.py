"""Run the rivals on what is published, one after the other, and hold what they make of it to the count."""

import dataclasses
import json
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec

from deploy.benchmark.expected import Expected
from deploy.benchmark.rivals.job import AREAS, Answer, Job
from deploy.benchmark.stack import Bench
from deploy.benchmark.workload import TOPICS, Workload
from deploy.local.process import Service, poll
from schemas.errors import Fatal

SECONDS = 240.0  # what a rival may take
SHOWN = 5

Tell = Callable[[str, int], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Rival:
    """One of them: ``most`` bounds the events it gets, ``keeps`` says what it stores."""

    name: str
    module: str
    needs: str
    most: int
    keeps: str


RIVALS = (
    Rival("stock Faust", "stock_faust", "faust", 50_000, "nothing"),
    Rival("bare confluent-kafka + fastavro loop", "bare_loop", "confluent_kafka", 200_000, "nothing"),
    Rival("ClickHouse's Kafka engine", "clickhouse_engine", "chdb", 1 << 62, "observations, rejected"),
)


@dataclasses.dataclass(frozen=True, slots=True)
class Race:
    """What a rival did; no speed when it was wrong, or when it could not run (``absent`` says why)."""

    name: str
    events: int
    keeps: str
    events_per_second: int | None
    cpu_us_per_event: float | None
    peak_rss_bytes: int | None
    wrong: tuple[str, ...]
    absent: str = ""


def rivals(bench: Bench, workload: Workload, tell: Tell) -> list[Race]:
    """Run every rival on the beginning of what is published: topics of one partition."""
    return [_race(bench, workload, rival, tell) for rival in RIVALS]


def _race(bench: Bench, workload: Workload, rival: Rival, tell: Tell) -> Race:
    if find_spec(rival.needs) is None:
        return Race(rival.name, 0, rival.keeps, None, None, None, (), f"{rival.needs} is not installed")
    tell(rival.name, 0)
    events, expected = workload.beginning(rival.most)
    folder = bench.settings.data / "rivals"
    folder.mkdir(exist_ok=True)
    told, answers = folder / f"{rival.module}.job", folder / f"{rival.module}.answer"
    upto = dict(zip(TOPICS, expected.records, strict=True))
    job = Job(bench.settings.kafka, str(bench.settings.catalogue), upto, sum(expected.accepted))
    told.write_text(json.dumps(dataclasses.asdict(job)))
    service = Service(rival.module, bench.settings.data)
    service.start([sys.executable, "-P", "-m", f"deploy.benchmark.rivals.{rival.module}", str(told), str(answers)])
    try:
        ended = poll(lambda: answers.exists() or service.pid() is None, SECONDS, 0.2)
        if not answers.exists():
            what = "died" if ended else f"was not done within {SECONDS:.0f} s"
            raise Fatal(f"{rival.name} {what}; its log ends with:\n{service.log_tail()}")
        poll(lambda: service.pid() is None, 5.0)  # it lets go of its own
    finally:
        service.stop()
    answer = Answer.read(answers)
    wrong = tuple(_differences(answer, expected))
    if wrong:
        return Race(rival.name, events, rival.keeps, None, None, None, wrong)
    return Race(
        rival.name,
        events,
        rival.keeps,
        round(events / answer.seconds),
        round(answer.cpu_seconds / events * 1e6, 2),
        answer.peak_rss_bytes,
        (),
    )


def _differences(answer: Answer, expected: Expected) -> Iterator[str]:
    for topic, good in zip(TOPICS, expected.accepted, strict=True):
        if answer.accepted.get(topic, 0) != good:
            yield f"{topic}: {answer.accepted.get(topic, 0):,} accepted, {good:,} expected"
    found = {(bucket, code, area): (value, cells) for bucket, code, area, value, cells in answer.totals}
    wanted = {
        (bucket.isoformat(), code, area): (total.value, total.cells)
        for (bucket, code, area), total in expected.totals()
        if area in AREAS
    }
    wrong = sorted(key for key in found.keys() | wanted.keys() if found.get(key) != wanted.get(key))
    for key in wrong[:SHOWN]:
        yield f"{' '.join(key)}: {found.get(key)}, expected {wanted.get(key)}"
    if len(wrong) > SHOWN:
        yield f"and {len(wrong) - SHOWN:,} more of {len(wanted):,} totals"
