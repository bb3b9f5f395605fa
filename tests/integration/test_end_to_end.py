"""The whole path with real processes: what an agency sends, good or hostile, and what people and programs then see."""

import datetime as dt
import hashlib
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path

import fastavro
import httpx
import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from tests.support.day import day_lasting
from tests.support.sending import Record, of_event, send
from tests.support.stack import Process, Stack, running_stack
from tests.support.wait import wait_for
from tests.support.wire import Event, body, event, frame, text, varint

LOCAL = dt.timezone(dt.timedelta(hours=7))
ACCIDENTS = "gris.events.g01"
TEST_SECONDS = 60  # what one of these tests takes at most
STREAMED_WITHIN = 30


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Run broker, database, one worker and the feed on the bundled catalogue."""
    with running_stack(tmp_path_factory.mktemp("stack")) as running:
        running.worker()
        running.feed()
        yield running


@pytest.fixture(autouse=True)
def _one_day(stack: Stack) -> None:  # noqa: ARG001 - what takes long comes first
    """Begin no test that midnight would end: what was tomorrow must stay so."""
    day_lasting(TEST_SECONDS)


def day_before(days: int) -> str:
    return (dt.datetime.now(LOCAL).date() - dt.timedelta(days=days)).isoformat()


def accidents(area: str, day: str, value: float | None, **others: object) -> Event:
    return event("G01.001", area, day, value, **others)


def hostile_records() -> dict[str, tuple[bytes | None, bytes | None, str]]:
    """Name ways to go wrong: key, value and the reason each must be refused for."""
    good = accidents("01", day_before(5), 7)
    whole, key = frame(good), b"G01.001"
    upto_status = whole[:5] + body(good | {"status": 0, "revision": 0, "observed_at": 0})[:-4]

    def but(**wrong: object) -> bytes:
        return frame(good | wrong)

    return {
        "garbage": (key, b"\xde\xad\xbe\xef" * 40, "BAD_MAGIC"),
        "an empty value": (key, b"", "SHORT_FRAME"),
        "four bytes": (key, b"\x00\x00\x00\x00", "SHORT_FRAME"),
        "a null value": (key, None, "TOMBSTONE"),
        "nothing at all": (None, None, "TOMBSTONE"),
        "no key": (None, whole, "KEY_MISMATCH"),
        "another key": (b"G01.002", whole, "KEY_MISMATCH"),
        "a key of no text": (b"\xff\xfe\x00", whole, "KEY_MISMATCH"),
        "schema id 999": (key, frame(good, 999), "UNKNOWN_SCHEMA"),
        "the schema of rejected events": (key, frame(good, 2), "UNKNOWN_SCHEMA"),
        "magic byte 1": (key, b"\x01" + whole[1:], "BAD_MAGIC"),
        "a frame without body": (key, whole[:5], "UNDECODABLE"),
        "cut in the middle": (key, whole[: len(whole) // 2], "UNDECODABLE"),
        "cut by one byte": (key, whole[:-1], "UNDECODABLE"),
        "one byte too many": (key, whole + b"\x00", "TRAILING_BYTES"),
        "two events in one": (key, whole + body(good), "TRAILING_BYTES"),
        "text that is not UTF-8": (key, but(area=b"\xff\xfe"), "BAD_TEXT"),
        "a note that is not UTF-8": (key, but(note=b"\xc3\x28"), "BAD_TEXT"),
        "a negative symbol": (key, upto_status + varint(-1) + b"\x00\x00\x00", "UNDECODABLE"),
        "a symbol too high": (key, upto_status + varint(7) + b"\x00\x00\x00", "UNDECODABLE"),
        "a negative length": (key, whole[:5] + varint(-9) + whole[6:], "UNDECODABLE"),
        "a length of petabytes": (key, whole[:5] + varint(1 << 50) + whole[6:], "UNDECODABLE"),
        "a revision of 33 bits": (key, upto_status + b"\x00" + varint((1 << 32) + 5) + b"\x00\x00", "UNDECODABLE"),
        "a note of 10 MB": (key, but(note="n" * 10_000_000), "BAD_NOTE"),
        "a submission of 5 MB": (key, but(submission="s" * 5_000_000), "BAD_SUBMISSION"),
        "an area of 100 kB": (key, but(area="đ" * 50_000), "UNKNOWN_AREA"),
        "an indicator of 100 kB": (b"i" * 100_000, but(indicator="i" * 100_000), "UNKNOWN_INDICATOR"),
        "not a number": (key, but(value=float("nan")), "NOT_FINITE"),
        "infinity": (key, but(value=float("inf")), "NOT_FINITE"),
        "1e17": (key, but(value=1e17), "OUT_OF_RANGE"),
        "minus one": (key, but(value=-1.0), "OUT_OF_RANGE"),
        "half an accident": (key, but(value=0.5), "TOO_PRECISE"),
        "the year 1965": (key, but(time_period="1965-03-01"), "BAD_PERIOD"),
        "30 February": (key, but(time_period="2026-02-30"), "BAD_PERIOD"),
        "a month for a day": (key, but(time_period="2026-05"), "WRONG_FREQUENCY"),
        "tomorrow": (key, but(time_period=day_before(-1)), "FUTURE_PERIOD"),
        "a region": (key, but(area="R7"), "AREA_NOT_ALLOWED"),
        "a province before the merger": (key, but(area="02"), "UNKNOWN_AREA"),
        "another ministry's indicator": (b"G18.001", but(indicator="G18.001"), "NOT_OWNER"),
        "withdrawn with a value": (key, but(status="M"), "VALUE_UNEXPECTED"),
        "neither value nor M": (key, but(value=None), "VALUE_MISSING"),
        "recorded in 1950": (key, but(observed_at=-631_152_000_000), "BAD_OBSERVED_AT"),
        "recorded after year 9999": (key, but(observed_at=253_402_300_800_000), "BAD_OBSERVED_AT"),
        "recorded at the end of time": (key, but(observed_at=(1 << 63) - 1), "BAD_OBSERVED_AT"),
        "recorded tomorrow": (key, but(observed_at=int(time.time() + 86_400) * 1000), "OBSERVED_IN_FUTURE"),
        "text only": (key, whole[:5] + text("S1") * 3, "UNDECODABLE"),
    }


def test_hostile_records_are_refused_with_their_bytes_and_the_good_ones_around_them_are_accepted(stack: Stack) -> None:
    hostile = hostile_records()
    records, reasons = [], {}
    for at, (key, value, reason) in enumerate(hostile.values()):
        records.append(Record(ACCIDENTS, key, value, None if key else 0))
        reasons[2 * at] = reason
        records.append(of_event(accidents("01", day_before(200 + at), at % 200)))
    places = send(stack.bootstrap, records)
    first = places[0][1]
    assert places == [(0, first + at) for at in range(len(records))]
    stack.wait_caught_up()

    where = f"topic = '{ACCIDENTS}' AND offset >= {first} AND offset < {first + len(records)}"
    rows = stack.query(
        "SELECT offset, reason, length(raw), lower(hex(SHA256(raw))), field, detail, length(indicator),"
        " length(submission)"
        f" FROM rejected FINAL WHERE {where} ORDER BY offset"
    )
    names = list(hostile)
    found = {names[(row[0] - first) // 2]: row[1] for row in rows}
    assert found == {name: reason for name, (_, _, reason) in hostile.items()}
    for offset, reason, length, digest, field, detail, indicator, submission in rows:
        sent = records[offset - first].value or b""
        assert (length, digest) == (len(sent), hashlib.sha256(sent).hexdigest())
        assert field
        assert 10 < len(detail) < 600, (reason, detail)
        assert max(indicator, submission) <= 1_000, f"{reason} repeats a huge text beside raw"
    accepted = stack.query(f"SELECT offset FROM observations FINAL WHERE {where} ORDER BY offset")
    assert [row[0] for row in accepted] == [first + at for at in range(1, len(records), 2)]

    published = {record["offset"]: record for record in rejected_topic(stack) if record["topic"] == ACCIDENTS}
    for at, reason in reasons.items():
        record = published[first + at]
        assert record["reason"] == reason
        assert record["raw"] == (records[at].value or b"")
        assert (record["partition"], record["agency"]) == (0, "g01")


def rejected_topic(stack: Stack) -> list[dict[str, object]]:
    """Read gris.rejected to its end, with fastavro and the published schema alone."""
    schema = fastavro.parse_schema(json.loads(Path("schemas/rejected_event.v1.avsc").read_text(encoding="utf-8")))
    consumer = Consumer(
        {
            "bootstrap.servers": stack.bootstrap,
            "group.id": "reader",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "fetch.message.max.bytes": 30_000_000,
        }
    )
    consumer.assign([TopicPartition("gris.rejected", 0, 0)])
    records: list[dict[str, object]] = []
    while message := consumer.poll(30):
        error = message.error()
        if error is not None and error.code() == KafkaError._PARTITION_EOF:
            consumer.close()
            return records
        assert error is None, error
        value = message.value()
        assert isinstance(value, bytes)
        assert value[:5] == b"\x00\x00\x00\x00\x02"
        records.append(fastavro.schemaless_reader(io.BytesIO(value[5:]), schema, None))  # type: ignore[arg-type]
    raise AssertionError("gris.rejected has no end")


def total(stack: Stack, day: str, area: str) -> list[object] | None:
    """Read value and status of one total of the accidents."""
    rows = stack.query(
        "SELECT toFloat64(value), status, cells FROM day_totals FINAL WHERE indicator = 'G01.001' AND breakdown = '_T'"
        f" AND bucket = '{day}' AND area = '{area}'"
    )
    return rows[0] if rows else None


def report_line(stack: Stack, day: str, indicator: str) -> dict[str, object]:
    """Ask the feed for the report of a day, and give the `_T` line of one indicator."""
    answer = stack.get(f"/v1/daily/{day}")
    assert answer.status_code == httpx.codes.OK, answer.text
    lines = [line for line in answer.json()["lines"] if (line["indicator"], line["breakdown"]) == (indicator, "_T")]
    assert len(lines) == 1, lines
    line: dict[str, object] = lines[0]
    return line


def wait_for_line(stack: Stack, day: str, **wanted: object) -> dict[str, object]:
    """Wait until the feed's line of the accidents on ``day`` says what is wanted."""

    def says_so() -> dict[str, object] | None:
        line = report_line(stack, day, "G01.001")
        return line if wanted.items() <= line.items() else None

    return wait_for(says_so, f"the line of {day} to say {wanted}")


def test_a_withdrawn_figure_leaves_the_totals_the_view_and_the_report(stack: Stack) -> None:
    day = day_before(3)
    send(stack.bootstrap, [of_event(accidents(area, day, value)) for area, value in (("01", 4), ("04", 6))])
    stack.wait_caught_up()
    assert total(stack, day, "VN") == [10, "A", 2]
    wait_for_line(stack, day, bucket=day, value=10, areas_reported=2)

    send(stack.bootstrap, [of_event(accidents("01", day, None, note="counted twice"))])
    stack.wait_caught_up()
    assert total(stack, day, "01") == [None, "M", 0]
    assert total(stack, day, "VN") == [6, "A", 1]
    view = stack.query(
        "SELECT area, toFloat64(value), status FROM latest_observations WHERE indicator = 'G01.001'"
        f" AND time_period = '{day}' ORDER BY area"
    )
    assert view == [["01", None, "M"], ["04", 6, "A"]]
    line = wait_for_line(stack, day, bucket=day, value=6, areas_reported=1)
    areas = {area["area"]: area for area in line["areas"]}  # type: ignore[attr-defined]
    assert areas["01"]["value"] is None

    send(stack.bootstrap, [of_event(accidents("04", day, None))])
    stack.wait_caught_up()
    assert total(stack, day, "VN") == [None, "M", 0]
    assert wait_for_line(stack, day, bucket=day, value=None)["status"] == "M"


@pytest.mark.parametrize("days", [0, 90])
def test_a_correction_replaces_the_figure_of_today_and_of_ninety_days_ago(stack: Stack, days: int) -> None:
    day = day_before(days)
    send(stack.bootstrap, [of_event(accidents("08", day, 20))])
    stack.wait_caught_up()
    wait_for_line(stack, day, bucket=day, value=20)
    corrected = accidents("08", day, 12, revision=1, status="B", note="hai vụ trùng")
    send(stack.bootstrap, [of_event(corrected), of_event(accidents("08", day, 99))])
    stack.wait_caught_up()
    assert total(stack, day, "08") == [12, "B", 1]
    assert total(stack, day, "VN") == [12, "B", 1]
    wait_for_line(stack, day, bucket=day, value=12, status="B")
    said = stack.query(
        "SELECT toFloat64(value), revision, note FROM observations FINAL WHERE indicator = 'G01.001' AND area = '08'"
        f" AND time_period = '{day}' ORDER BY offset"
    )
    assert said == [[20, 0, None], [12, 1, "hai vụ trùng"], [99, 0, None]]

    first = stack.query(
        "SELECT formatDateTime(min(received_at), '%Y-%m-%dT%H:%i:%S.%fZ') FROM observations WHERE area = '08'"
        f" AND indicator = 'G01.001' AND time_period = '{day}'"
    )[0][0]
    answer = stack.get(f"/v1/daily/{day}?indicator=G01.001&as_of={first}")
    lines = [line for line in answer.json()["lines"] if line["breakdown"] == "_T"]
    assert [(line["bucket"], line["value"], line["status"]) for line in lines] == [(day, 20, "A")]


def streamed_line(answer: httpx.Response, indicator: str) -> tuple[int, dict[str, object]]:
    """Read server-sent events until a line of ``indicator`` comes; its id and data."""
    event_id, name = -1, ""
    deadline = time.monotonic() + STREAMED_WITHIN
    for row in answer.iter_lines():
        assert time.monotonic() < deadline, f"no line of {indicator} within {STREAMED_WITHIN} s"  # heartbeats go on
        field, _, value = row.partition(": ")
        if field == "event":
            name = value
        elif field == "id":
            event_id = int(value)
        elif field == "data" and name == "line":
            line = json.loads(value)
            if line["indicator"] == indicator:
                return event_id, line
    raise AssertionError("the stream ended before the line came")


def wait_for_fires(stack: Stack, day: str, value: int) -> None:
    """Wait until the report says this of the fires."""

    def in_the_report() -> bool:
        lines = stack.get(f"/v1/daily/{day}?indicator=G01.004").json()["lines"]
        return any(line["breakdown"] == "_T" and line["value"] == value for line in lines)

    wait_for(in_the_report, "the published figures in the report")


def test_a_published_file_is_in_the_report_though_nothing_follows_on_the_stream_and_in_the_verdict(
    stack: Stack, tmp_path: Path
) -> None:
    day = day_before(1)
    file = tmp_path / "fires.csv"
    file.write_text(
        "indicator,area,breakdown,time_period,value\n"
        f"G01.004,01,_T,{day},3\nG01.004,04,_T,{day},4\nG01.004,R7,_T,{day},5\nG01.004,08,_T,{day},-1\n",
        encoding="utf-8",
    )
    cursor = stack.get(f"/v1/daily/{day}").json()["cursor"]
    url = f"{stack.feed_url}/v1/daily/stream?after={cursor}"
    with httpx.Client(timeout=20) as client, client.stream("GET", url) as answer:
        said = stack.run(
            "publish", "--agency", "g01", "--submission", "FIRES-1", "--unchecked", "--json", str(file), code=1
        )
        wait_for_fires(stack, day, 7)
        event_id, line = streamed_line(answer, "G01.004")
    send(stack.bootstrap, [of_event(event("G01.004", "01", day, 4))])
    wait_for_fires(stack, day, 8)  # of one event alone too: no later one brings it, and none fills a batch
    assert json.loads(said)["exit_code"] == 1
    assert event_id > cursor
    assert (line["bucket"], line["value"], line["areas_reported"]) == (day, 7, 2)
    assert {area["area"] for area in line["areas"]} >= {"VN", "01", "04"}  # type: ignore[attr-defined]

    def verdict() -> dict[str, object] | None:
        found: dict[str, object] = stack.get("/v1/submissions/g01/FIRES-1").json()
        return found if found["accepted"] == 2 else None

    rejected = wait_for(verdict, "the verdict on the submission")["rejected"]
    assert isinstance(rejected, list)
    assert sorted(record["reason"] for record in rejected) == ["AREA_NOT_ALLOWED", "OUT_OF_RANGE"]
    assert {record["field"] for record in rejected} == {"area", "value"}


def families(url: str) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Scrape metrics as Prometheus does: samples by name and labels."""
    samples: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(httpx.get(url, timeout=30).text):
        for sample in family.samples:
            samples.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return samples


def test_the_worker_s_metrics_can_be_scraped_and_count_what_the_ledger_counts(stack: Stack) -> None:
    send(stack.bootstrap, [of_event(accidents("01", day_before(9), 1)), Record(ACCIDENTS, b"G01.001", b"nonsense")])
    stack.wait_caught_up()
    _, accepted, rejected, _ = stack.ledger()[ACCIDENTS, 0]
    place = (("partition", "0"), ("topic", ACCIDENTS))

    def counted() -> bool:
        found = families(f"{stack.metrics['worker-1']}/metrics")["gris_events_total"]
        return (
            found.get((("agency", "g01"), ("outcome", "accepted"))) == accepted
            and found.get((("agency", "g01"), ("outcome", "rejected"))) == rejected
        )

    wait_for(counted, "the counters to say what the ledger says")
    samples = families(f"{stack.metrics['worker-1']}/metrics")
    assert samples["gris_rejects_total"][("reason", "BAD_MAGIC"),] >= 1
    assert set(samples["gris_conservation_difference"].values()) == {0}
    assert samples["gris_lag_events"][place] == 0
    assert samples["gris_event_to_stored_seconds_count"][()] >= accepted + rejected
    assert all(name.startswith(("gris_", "process_", "python_")) for name in samples), sorted(samples)
    for needed in ("gris_stage_seconds_count", "gris_flush_seconds_count", "gris_lag_seconds"):
        assert needed in samples


def test_the_feed_s_metrics_can_be_scraped(stack: Stack) -> None:
    stack.get(f"/v1/daily/{day_before(0)}")
    assert any("clients" in name for name in families(f"{stack.feed_url}/metrics"))


def test_after_all_this_the_check_finds_no_difference(stack: Stack) -> None:
    stack.wait_caught_up()
    stack.run("check")


def test_a_worker_stops_in_order_on_sigterm(stack: Stack) -> None:
    second: Process = stack.worker("worker-2")
    assert second.stop() == 0, second.tail()
    send(stack.bootstrap, [of_event(accidents("01", day_before(11), 1))])
    stack.wait_caught_up()
