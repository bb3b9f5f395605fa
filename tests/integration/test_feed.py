"""The feed over a real broker and a real engine: the report, its ETag, and the documents beside it."""

import concurrent.futures
import csv
import dataclasses
import datetime as dt
import gzip
import io
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import cramjam
import httpx
import pyarrow as pa
import pytest
from prometheus_client.parser import text_string_to_metric_families

from schemas.catalogue import load
from sinks.clickhouse.client import Client, connect
from sinks.clickhouse.writer import OBSERVATIONS, REJECTED, Writer
from sinks.feed.line import AreaTotal, Line, day_of
from tests.support.feed import RunningFeed, announce, make_log, settings_for, totals
from tests.support.kafka import running_kafka
from tests.support.wait import wait_for

CATALOGUE = load()
DAY = dt.date(2026, 11, 23)
NOW = 1_795_413_600_000
SIX_HOURLY, AGENCY = "G18.001", "g18"
MONTHLY = next(found for found in CATALOGUE.indicators if found.frequency == "monthly" and found.decimals == 2)


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give a broker of this module's own: gris.daily has a fixed name."""
    with running_kafka(tmp_path_factory.mktemp("kafka")) as running:
        make_log(running.bootstrap)
        yield running.bootstrap


@pytest.fixture
def client(database: str) -> Iterator[Client]:
    """Give a connection to this test's database."""
    connected = connect(database)
    yield connected
    connected.close()


@pytest.fixture
def feed(kafka: str, database: str) -> Iterator[RunningFeed]:
    """Give a feed that is ready, over an empty database."""
    with RunningFeed(settings_for(kafka, database)) as running:
        yield running.ready()


def line(value: int | None, version: int, day: dt.date = DAY, code: str = SIX_HOURLY, breakdown: str = "_T") -> Line:
    """Make a line with one province, its region and VN."""
    found = int(value is not None)
    areas = tuple(AreaTotal(area, value, value, value, found, 1, found) for area in ("01", "VN", "R7"))
    return Line(day_of(day), code, breakdown, version, NOW + version, "P" if found else "M", (), areas)


def say(kafka: str, client: Client, *lines: Line) -> int:
    """Store lines and announce them, as a worker does; the last offset in gris.daily."""
    Writer(client).day_totals(totals(lines))
    return announce(kafka, lines)[-1]


def test_a_report_shows_the_newest_bucket_of_every_indicator_on_or_before_the_day(
    kafka: str, client: Client, feed: RunningFeed
) -> None:
    month = dt.date(2026, 11, 1)
    tomorrow = DAY + dt.timedelta(days=1)
    say(kafka, client, line(10000, 1, DAY - dt.timedelta(days=2)), line(20000, 2), line(30000, 3, tomorrow))
    last = say(kafka, client, line(123456, 4, month, MONTHLY.code), line(50000, 5, breakdown="sex:F"))
    wait_for(lambda: feed.report(DAY)["cursor"] == last, "the cursor")

    report = feed.report(DAY)

    assert [(found["indicator"], found["breakdown"], found["value"]) for found in report["lines"]] == sorted(
        [(SIX_HOURLY, "_T", 2), (SIX_HOURLY, "sex:F", 5), (MONTHLY.code, "_T", 12.35)],
        key=lambda found: (CATALOGUE.by_code[found[0]].ordinal, found[1]),
    )
    assert len(report["missing"]) == 198
    assert feed.report("2026-11-21")["lines"][-1]["value"] == 1
    assert feed.report("2026-10-31")["lines"] == []
    assert feed.report(tomorrow, indicator=SIX_HOURLY)["lines"][0]["value"] == 3
    assert [area["area"] for area in feed.report(DAY, area="VN")["lines"][0]["areas"]] == ["VN"]


def test_a_report_read_from_the_database_and_one_kept_current_are_the_same_bytes(
    kafka: str, database: str, client: Client, feed: RunningFeed
) -> None:
    feed.report(DAY)  # holds the day from now on
    last = say(kafka, client, line(20000, 2), line(-12345, 3, code=MONTHLY.code, day=dt.date(2026, 11, 1)))
    wait_for(lambda: feed.report(DAY)["cursor"] == last, "the cursor")

    with RunningFeed(settings_for(kafka, database)) as other:
        assert other.ready().http.get(f"/v1/daily/{DAY}").content == feed.http.get(f"/v1/daily/{DAY}").content


def test_a_figure_is_in_the_report_though_none_is_announced_after_it(
    kafka: str, client: Client, feed: RunningFeed
) -> None:
    feed.report(DAY)
    for version in range(1, 6):
        say(kafka, client, line(version * 10000, version))
        wait_for(lambda: any(f["version"] == version for f in feed.report(DAY)["lines"]), "the line")  # noqa: B023


def test_the_etag_spares_an_unchanged_report_and_changes_with_the_report(
    kafka: str, client: Client, feed: RunningFeed
) -> None:
    say(kafka, client, line(10000, 1))
    wait_for(lambda: feed.report(DAY)["lines"], "the line")
    first = feed.http.get(f"/v1/daily/{DAY}")
    known = {"If-None-Match": f'"other", W/{first.headers["etag"]}'}

    again = feed.http.get(f"/v1/daily/{DAY}", headers=known)
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert feed.http.get(f"/v1/daily/{DAY}?domain=1", headers=known).status_code == 200

    say(kafka, client, line(20000, 2))
    wait_for(lambda: feed.report(DAY)["lines"][0]["value"] == 2, "the new figure")
    changed = feed.http.get(f"/v1/daily/{DAY}", headers=known)
    assert changed.status_code == 200
    assert changed.headers["etag"] != first.headers["etag"]


def test_a_report_comes_in_the_coding_the_client_likes_best_and_each_has_a_tag_of_its_own(
    kafka: str, client: Client, feed: RunningFeed
) -> None:
    areas = tuple(AreaTotal(code, 10000, 10000, 10000, 1, 1, 1) for code in ("01", "04", "VN"))
    lines = [Line(day_of(DAY), SIX_HOURLY, f"sex:{at}", 1, NOW, "P", (), areas) for at in range(20)]
    last = say(kafka, client, *lines)
    wait_for(lambda: feed.report(DAY)["cursor"] == last, "the cursor")

    def ask(accepted: str, **more: str) -> httpx.Response:
        return feed.http.get(f"/v1/daily/{DAY}", headers={"Accept-Encoding": accepted, **more})

    plain = ask("identity")
    assert "content-encoding" not in plain.headers
    with feed.http.stream("GET", f"/v1/daily/{DAY}", headers={"Accept-Encoding": "gzip"}) as answer:
        zipped = b"".join(answer.iter_raw())
        assert answer.headers["content-encoding"] == "gzip"
        assert int(answer.headers["content-length"]) == len(zipped) < len(plain.content) / 3
    assert gzip.decompress(zipped) == plain.content
    with feed.http.stream("GET", f"/v1/daily/{DAY}", headers={"Accept-Encoding": "gzip, br, zstd"}) as answer:
        pressed = b"".join(answer.iter_raw())
        assert answer.headers["content-encoding"] == "zstd"
    assert bytes(cramjam.zstd.decompress(pressed)) == plain.content

    tags = {accepted: ask(accepted).headers["etag"] for accepted in ("identity", "gzip")}
    assert len(set(tags.values())) == 2
    assert ask("gzip", **{"If-None-Match": tags["gzip"]}).status_code == 304
    assert ask("gzip", **{"If-None-Match": tags["identity"]}).status_code == 200
    for answer in (plain, ask("gzip"), ask("gzip", **{"If-None-Match": "*"})):
        assert answer.headers["vary"] == "Accept-Encoding"
        assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("path", [f"/v1/daily/{DAY}", "/v1/indicators", "/healthz", "/", "/v1/daily/stream"])
def test_a_head_is_answered_with_the_head_of_the_get(feed: RunningFeed, path: str) -> None:
    with feed.http.stream("GET", path) as answer:
        got = (answer.status_code, {k: v for k, v in answer.headers.items() if k not in {"date", "transfer-encoding"}})
    for _ in range(2):  # a report is held now
        head = feed.http.head(path)
        assert (head.status_code, {k: v for k, v in head.headers.items() if k != "date"}) == got
        assert head.content == b""
    assert feed.http.head("/v1/daily/tomorrow").status_code == 422


def test_who_asks_while_a_report_is_written_gets_that_one(kafka: str, client: Client, feed: RunningFeed) -> None:
    last = say(kafka, client, line(10000, 1))
    wait_for(lambda: feed.report("2026-11-20")["cursor"] == last, "the cursor")
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: feed.http.get(f"/v1/daily/{DAY}?area=VN"), range(20)))

    assert {answer.headers["etag"] for answer in answers} == {feed.http.get(f"/v1/daily/{DAY}?area=VN").headers["etag"]}


def test_the_highest_version_counts_in_whatever_order_lines_are_announced(
    kafka: str, client: Client, feed: RunningFeed
) -> None:
    feed.report(DAY)
    say(kafka, client, line(30000, 30))
    last = say(kafka, client, line(10000, 10), line(20000, 20))

    wait_for(lambda: feed.report(DAY)["cursor"] == last, "the cursor")
    assert feed.report(DAY)["lines"][0]["value"] == 3


def test_a_withdrawn_figure_is_null_and_does_not_come_back(kafka: str, client: Client, feed: RunningFeed) -> None:
    say(kafka, client, line(30000, 1))
    wait_for(lambda: feed.report(DAY)["lines"], "the line")
    last = say(kafka, client, line(None, 2))
    wait_for(lambda: feed.report(DAY)["cursor"] == last, "the cursor")

    [withdrawn] = feed.report(DAY)["lines"]

    assert (withdrawn["value"], withdrawn["status"], withdrawn["areas_reported"]) == (None, "M", 0)
    assert {area["value"] for area in withdrawn["areas"]} == {None}


def test_what_is_no_line_does_not_stop_the_feed(kafka: str, client: Client, feed: RunningFeed) -> None:
    announce(kafka, [b"", b"\0\0\0\0\x03\xff", b"\0\0\0\0\x09"])
    last = say(kafka, client, line(30000, 1))

    wait_for(lambda: feed.report(DAY)["cursor"] == last, "the cursor")
    assert feed.report(DAY)["lines"][0]["value"] == 3


@dataclasses.dataclass(frozen=True, slots=True)
class Said:
    """One accepted statement of the tests."""

    value: str | None
    offset: int
    area: str = "01"
    period: str = f"{DAY}T06:00:00/PT6H"
    revision: int = 0
    received: int = NOW
    submission: str = "s-1"
    note: str | None = None
    replay_of: str = ""


def accept(client: Client, *statements: Said) -> None:
    """Store accepted statements of one six-hourly indicator."""
    rows = [
        {
            "agency": AGENCY, "indicator": SIX_HOURLY, "area": said.area, "breakdown": "_T", "time_period": said.period,
            "bucket": DAY, "value": None if said.value is None else Decimal(said.value), "base": None,
            "status": "M" if said.value is None else "A", "revision": said.revision, "note": said.note,
            "submission": said.submission, "observed_at": dt.datetime.fromtimestamp(NOW / 1000, dt.UTC),
            "received_at": dt.datetime.fromtimestamp(said.received / 1000, dt.UTC), "topic": "gris.events.g18",
            "partition": 0, "offset": said.offset, "version": (said.revision << 40) + said.offset + 1, "rules": "r",
            "replay_of": said.replay_of,
        }
        for said in statements
    ]  # fmt: skip
    Writer(client).observations(pa.Table.from_pylist(rows, schema=OBSERVATIONS))


def reject(client: Client, offset: int) -> None:
    """Store one rejected record."""
    row = {
        "topic": "gris.events.g18", "partition": 0, "offset": offset, "reason": "TOO_PRECISE", "field": "value",
        "detail": "found '1.5', allowed are 0 decimals", "raw": b"\0", "schema_id": 1, "agency": AGENCY,
        "indicator": SIX_HOURLY, "submission": "s-1", "received_at": dt.datetime.fromtimestamp(NOW / 1000, dt.UTC),
        "rules": "r",
    }  # fmt: skip
    Writer(client).rejected(pa.Table.from_pylist([row], schema=REJECTED))


def test_a_report_as_of_an_instant_is_made_of_what_was_received_by_then(client: Client, feed: RunningFeed) -> None:
    accept(
        client,
        Said("5", 0),
        Said("7", 1, area="04", received=NOW + 1000),
        Said("6", 2, revision=1, received=NOW + 2000),
    )

    def then(milliseconds: int) -> list[tuple[float, int, str]]:
        moment = dt.datetime.fromtimestamp((NOW + milliseconds) / 1000, dt.UTC)
        lines = feed.report(DAY, as_of=moment.isoformat())["lines"]
        return [(found["value"], found["version"], found["updated_at"]) for found in lines]

    assert then(-1) == []
    assert then(0) == [(5, 1, "2026-11-23T06:00:00.000Z")]
    assert then(1000) == [(12, 2, "2026-11-23T06:00:01.000Z")]
    assert then(2000) == [(13, 3, "2026-11-23T06:00:02.000Z")]


def test_observations_keep_every_revision_and_the_pages_join_without_gap(client: Client, feed: RunningFeed) -> None:
    statements = [Said(str(at), at, revision=at % 3, note="=1+1" if at == 4 else None) for at in range(10)]
    accept(client, *statements, *statements[:5])  # some of them twice, as after a crash
    path, offsets = f"/v1/observations?indicator={SIX_HOURLY}&from={DAY}&to={DAY}&area=01&limit=3", list[int]()
    while path:
        page = feed.http.get(path).json()
        assert len(page["observations"]) <= 3
        offsets += [row["offset"] for row in page["observations"]]
        path = page["next"]

    assert offsets == sorted(range(10), key=lambda at: (at % 3, at))
    row = feed.http.get("/v1/observations").json()["observations"][0]
    assert (row["value"], row["base"], row["time_period"]) == (0, None, f"{DAY}T06:00:00/PT6H")
    assert row["received_at"] == "2026-11-23T06:00:00.000Z"
    assert feed.http.get("/v1/observations?to=2026-11-22").json() == {"observations": [], "next": None}


def test_observations_come_as_csv_when_asked_and_no_note_is_a_formula(client: Client, feed: RunningFeed) -> None:
    accept(client, Said("5", 0, note="=1+1"), Said(None, 1, area="04"))

    answer = feed.http.get("/v1/observations", headers={"Accept": "text/csv"})

    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["area"], row["value"], row["status"], row["note"]) for row in rows] == [
        ("01", "5", "A", "'=1+1"),
        ("04", "", "M", ""),
    ]
    assert feed.http.get("/v1/observations?format=csv").text == answer.text


def test_a_submission_shows_what_was_accepted_and_what_was_rejected_until_it_is_replayed(
    client: Client, feed: RunningFeed
) -> None:
    accept(client, Said("5", 0), Said("5", 0), Said("6", 1), Said("7", 2, submission="s-2"))
    reject(client, 3)
    reject(client, 3)
    reject(client, 4)
    accept(client, Said("8", 5, area="04", submission="s-3", replay_of="0:4"))

    said = feed.http.get(f"/v1/submissions/{AGENCY}/s-1").json()

    assert (said["agency"], said["submission"], said["accepted"]) == (AGENCY, "s-1", 2)
    assert [(row["offset"], row["reason"], row["closed"]) for row in said["rejected"]] == [
        (3, "TOO_PRECISE", False),
        (4, "TOO_PRECISE", True),
    ]
    assert said["rejected"][0]["field"] == "value"
    unheard = feed.http.get(f"/v1/submissions/{AGENCY}/never").json()
    assert (unheard["accepted"], unheard["rejected"]) == (0, [])


def test_coverage_counts_what_was_accepted(client: Client, feed: RunningFeed) -> None:
    before = feed.http.get("/v1/coverage").json()
    code = next(f.code for f in CATALOGUE.owned_by(AGENCY) if f.frequency == "six_hourly")
    assert code == SIX_HOURLY
    accept(client, Said("5", 0, received=round(time.time() * 1000)))

    after = feed.http.get("/v1/coverage").json()

    assert (before["total"], before["electronic"], before["direct_entry"], before["live"]) == (200, 78, 122, 0)
    assert after["live"] == 1
    assert after["by_agency"][AGENCY]["live"] == 1
    assert feed.http.get("/coverage?lang=en").status_code == 200


def test_completeness_counts_a_figure_until_it_is_withdrawn(client: Client, feed: RunningFeed) -> None:
    def window() -> dict[str, Any]:
        said = feed.http.get(f"/v1/completeness/{DAY}").json()
        regime = next(found for found in said["regimes"] if found["regime"] == "R14")
        return next(found for found in regime["windows"] if found["time_period"] == f"{DAY}T06:00:00/PT6H")

    assert window()["reported"] == 0
    accept(client, Said("5", 0))
    assert window()["reported"] == 1
    assert SIX_HOURLY not in window()["missing"]
    accept(client, Said(None, 1, revision=1))
    assert window()["reported"] == 0


def test_metrics_can_be_parsed_and_count_what_happened(kafka: str, client: Client, feed: RunningFeed) -> None:
    last = say(kafka, client, line(30000, 1))
    wait_for(lambda: feed.report(DAY)["cursor"] == last, "the cursor")

    def metrics() -> dict[tuple[str, str], float]:
        text = feed.http.get("/metrics").text
        return {
            (sample.name, sample.labels.get("route", "")): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    found = metrics()
    assert found["gris_feed_ready", ""] == 1
    assert found["gris_feed_cursor", ""] == last
    assert found["gris_feed_lines_total", ""] >= 1
    assert found["gris_feed_requests_total", "/v1/daily/{day}"] >= 1
    assert all(name.startswith("gris_") for name, _ in found)
    with feed.stream():
        wait_for(lambda: metrics()["gris_feed_clients", ""] == 1, "the client to be counted")
    wait_for(lambda: metrics()["gris_feed_clients", ""] == 0, "the client to be counted out")


def test_the_feed_runs_over_any_catalogue(kafka: str, database: str, tmp_path: Path) -> None:
    from tests.support.small_catalogue import write_catalogue  # noqa: PLC0415

    folder = write_catalogue(tmp_path / "catalogue")
    with RunningFeed(settings_for(kafka, database, catalogue=folder)) as other:
        report = other.ready().report(DAY)

    assert report["lines"] == []
    assert len(report["missing"]) == len(load(folder).indicators)
