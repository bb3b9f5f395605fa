"""Each reason of the rules alone, beside its neighbours and at its bounds."""

import itertools
import time

import numpy as np
import pytest

from schemas import rules_tables
from schemas.partition import partition_for
from schemas.reasons import Reason, Refusal
from schemas.rules import Judged, Rules
from schemas.rules_tables import Breakdowns
from tests.support.judging import ITS_INDICATOR, NOW, SCHEMA_IDS, block, bundled, columns, decoded, judge
from tests.support.wire import Event, event

RULES = bundled()[1]
CATALOGUE = bundled()[0]
MINUTES_5 = 300_000

# A share of pupils: daily, by province, weighted by its base, 0..100 with one decimal.
SHARE = event("G03.002", "01", "2026-11-22", 95.5, base=200.0, observed_at=NOW)
# COVID-19 cases: six-hourly, by province, a sum, 0..100000 without decimals.
CASES = event("G18.001", "01", "2026-11-23T06:00:00/PT6H", 12.0, observed_at=NOW)
# Electricity: daily, for the nation only.
ENERGY = event("G02.001", "VN", "2026-11-22", 700.5, observed_at=NOW)
# Gross output, cumulative by month of Decree 09/2019 (from the 15th to the 14th), by province.
OUTPUT = event("G05.001", "01", "2026-10", 10.5, observed_at=NOW)

DEFECTS: dict[Reason, tuple[str, dict[str, object]]] = {
    Reason.KEY_MISMATCH: ("key", {"key": b"G03.003"}),
    Reason.WRONG_PARTITION: ("key", {"partition": "wrong"}),
    Reason.UNKNOWN_INDICATOR: ("indicator", {"indicator": "G03.999"}),
    Reason.NOT_OWNER: ("indicator", {"agency": "g18"}),
    Reason.BAD_PERIOD: ("time_period", {"time_period": "2026-02-30"}),
    Reason.WRONG_FREQUENCY: ("time_period", {"time_period": "2026-11"}),
    Reason.FUTURE_PERIOD: ("time_period", {"time_period": "2026-11-24"}),
    Reason.UNKNOWN_AREA: ("area", {"area": "ZZ"}),
    Reason.AREA_NOT_ALLOWED: ("area", {"area": "R8"}),
    Reason.UNKNOWN_BREAKDOWN: ("breakdown", {"breakdown": "sex:F"}),
    Reason.VALUE_MISSING: ("value", {"value": None}),
    Reason.VALUE_UNEXPECTED: ("value", {"status": "M"}),
    Reason.NOT_FINITE: ("value", {"value": float("nan")}),
    Reason.OUT_OF_RANGE: ("value", {"value": 100.1}),
    Reason.TOO_PRECISE: ("value", {"value": 99.25}),
    Reason.BASE_REQUIRED: ("base", {"base": None}),
    Reason.BAD_BASE: ("base", {"base": 0.0}),
    Reason.BAD_REVISION: ("revision", {"revision": -1}),
    Reason.BAD_SUBMISSION: ("submission", {"submission": "a b"}),
    Reason.BAD_OBSERVED_AT: ("observed_at", {"observed_at": -1}),
    Reason.OBSERVED_IN_FUTURE: ("observed_at", {"observed_at": NOW + MINUTES_5 + 1}),
    Reason.BAD_NOTE: ("note", {"note": "é" * 2001}),
}


def share_with(defects: dict[str, object]) -> Judged:
    """Judge SHARE with its defects; key, agency and partition are those of the record, not of the event."""
    said = SHARE | {name: value for name, value in defects.items() if name in SHARE}
    partition = partition_for(str(said["indicator"]).encode(), 4)
    return judge(
        RULES,
        str(defects.get("agency", "g03")),
        [said],
        keys=defects.get("key", ITS_INDICATOR),
        partition=partition ^ 1 if "partition" in defects else partition,
        partitions=4,
    )


def reason_of(agency: str, said: Event, **where: object) -> str:
    """Name the reason of one record, or say that it is accepted."""
    judged = judge(RULES, agency, [said], **where)
    return judged.refused[0].reason.name if judged.refused else "accepted"


@pytest.mark.parametrize("reason", DEFECTS)
def test_one_defect_gives_its_reason_field_and_a_detail(reason: Reason) -> None:
    field, defect = DEFECTS[reason]
    judged = share_with(defect)
    assert len(judged.accepted.rows) == 0
    (refusal,) = judged.refused
    assert (refusal.reason, refusal.field, refusal.position, refusal.schema_id) == (reason, field, 0, 1)
    assert 20 < len(refusal.detail) < 400
    assert refusal.indicator == defect.get("indicator", "G03.002")
    assert refusal.submission == defect.get("submission", "S1")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pair
        for pair in itertools.combinations(DEFECTS, 2)
        if not DEFECTS[pair[0]][1].keys() & DEFECTS[pair[1]][1].keys()
        and pair != (Reason.VALUE_MISSING, Reason.VALUE_UNEXPECTED)  # together they are a withdrawal
    ],
)
def test_of_two_defects_the_earlier_reason_is_the_verdict(first: Reason, second: Reason) -> None:
    judged = share_with(DEFECTS[second][1] | DEFECTS[first][1])
    assert [refusal.reason for refusal in judged.refused] == [first]


def test_every_reason_after_the_decoder_is_covered_here() -> None:
    assert list(DEFECTS) == [reason for reason in Reason if reason > Reason.TRAILING_BYTES]


def test_a_clean_record_becomes_ordinals_and_ticks() -> None:
    said = CASES | {"breakdown": "infection:LOCAL", "revision": 3, "status": "P", "note": "late"}
    judged = judge(RULES, "g18", [said], first_offset=41)
    indicator = CATALOGUE.by_code["G18.001"]
    found = judged.accepted
    assert judged.refused == []
    assert found.rows.tolist() == [0]
    assert found.indicator.tolist() == [indicator.ordinal]
    assert indicator.breakdowns[found.breakdown[0]] == "infection:LOCAL"
    assert CATALOGUE.maps[found.map[0]].areas[found.area[0]].code == "01"
    assert (found.slot.tolist(), found.day.tolist()) == ([1], [20780])
    assert (found.ticks.tolist(), found.base.tolist()) == ([120_000], [0])
    assert (found.status.tolist(), found.revision.tolist()) == ([6], [3])
    assert found.version.tolist() == [(3 << 40) + 42]
    assert found.texts.to_pylist() == [
        {
            "submission": "S1",
            "indicator": "G18.001",
            "area": "01",
            "breakdown": "infection:LOCAL",
            "time_period": "2026-11-23T06:00:00/PT6H",
            "note": "late",
            "observed_at": NOW,
        }
    ]
    for name in ("indicator", "breakdown", "map", "area", "slot", "day"):
        assert getattr(found, name).dtype == np.int32
    for name in ("rows", "ticks", "base", "revision", "version"):
        assert getattr(found, name).dtype == np.int64


def test_an_empty_block_gives_nothing() -> None:
    judged = judge(RULES, "g18", [])
    assert judged.refused == []
    assert judged.accepted.texts.num_rows == len(judged.accepted.ticks) == 0


def test_a_block_of_which_everything_is_refused_has_no_accepted_rows() -> None:
    judged = judge(RULES, "g18", [CASES | {"area": "ZZ"}] * 5)
    assert [refusal.position for refusal in judged.refused] == [0, 1, 2, 3, 4]
    assert judged.accepted.texts.num_rows == len(judged.accepted.ticks) == 0
    assert judged.accepted.texts.column("area").combine_chunks().dictionary.to_pylist() == []


def test_a_block_of_which_nothing_could_be_decoded_keeps_the_decoders_refusals() -> None:
    tombstones = [Refusal(at, Reason.TOMBSTONE, "value", "null") for at in range(3)]
    judged = RULES.judge(block("g18", [None] * 3), decoded([], tombstones))
    assert judged.refused == tombstones
    assert len(judged.accepted.rows) == 0


def test_refusals_of_decoder_and_rules_are_merged_by_position() -> None:
    early = [Refusal(1, Reason.TOMBSTONE, "value", "null"), Refusal(4, Reason.BAD_MAGIC, "value", "bad")]
    said = [CASES, CASES | {"area": "ZZ"}, CASES | {"value": 7.0}, CASES | {"value": 0.5}]
    judged = RULES.judge(block("g18", [b"G18.001"] * 6, first_offset=100), decoded(said, early))
    assert [(refusal.position, refusal.reason.name) for refusal in judged.refused] == [
        (1, "TOMBSTONE"),
        (2, "UNKNOWN_AREA"),
        (4, "BAD_MAGIC"),
        (5, "TOO_PRECISE"),
    ]
    assert judged.accepted.rows.tolist() == [0, 3]
    assert judged.accepted.ticks.tolist() == [120_000, 70_000]
    assert judged.accepted.version.tolist() == [101, 104]


def test_a_batch_that_is_a_slice_is_read_at_its_own_rows() -> None:
    said = [CASES | {"value": float(at), "note": None if at % 2 else "n", "submission": f"S{at}"} for at in range(20)]
    said[13] |= {"value": None, "status": "M"}
    part = decoded(said[9:17])
    sliced = type(part)(part.size, part.rows, columns(said).slice(9, 8), [], part.schema_ids)
    whole = RULES.judge(block("g18", [b"G18.001"] * 8), part).accepted
    of_slice = RULES.judge(block("g18", [b"G18.001"] * 8), sliced).accepted
    assert (
        of_slice.ticks.tolist()
        == whole.ticks.tolist()
        == [90_000, 100_000, 110_000, 120_000, 0, 140_000, 150_000, 160_000]
    )
    assert of_slice.texts.to_pylist() == whole.texts.to_pylist()


@pytest.mark.parametrize("key", [None, b"", b"G18.00", b"G18.0011", b"g18.001", b"G18.001\x00", b"\xff" * 300])
def test_any_key_but_the_indicator_is_a_mismatch(key: bytes | None) -> None:
    assert reason_of("g18", CASES, keys=key) == "KEY_MISMATCH"


def test_keys_that_join_to_the_indicators_bytes_at_other_places_are_mismatches() -> None:
    said = [CASES, CASES | {"indicator": "G18.002"}]
    judged = RULES.judge(block("g18", [b"G18.001G", b"18.002"]), decoded(said))
    assert [refusal.reason.name for refusal in judged.refused] == ["KEY_MISMATCH", "KEY_MISMATCH"]


def test_one_wrong_key_refuses_only_its_record() -> None:
    judged = RULES.judge(block("g18", [b"G18.001", None, b"G18.001"]), decoded([CASES] * 3))
    assert [refusal.position for refusal in judged.refused] == [1]


def test_the_only_partition_of_a_topic_takes_every_key() -> None:
    assert reason_of("g18", CASES, partition=0, partitions=1) == "accepted"
    assert reason_of("g18", CASES, partition=1, partitions=1) == "WRONG_PARTITION"


@pytest.mark.parametrize("partition", range(6))
def test_a_key_belongs_to_the_partition_that_murmur2_names(partition: int) -> None:
    right = partition_for(b"G18.001", 6) == partition
    expected = "accepted" if right else "WRONG_PARTITION"
    assert reason_of("g18", CASES, partition=partition, partitions=6) == expected
    unknown = "UNKNOWN_INDICATOR" if partition_for(b"X", 6) == partition else "WRONG_PARTITION"
    assert reason_of("g18", CASES | {"indicator": "X"}, partition=partition, partitions=6) == unknown


def test_wrong_partition_names_the_remedy() -> None:
    (refusal,) = share_with(DEFECTS[Reason.WRONG_PARTITION][1]).refused
    assert "murmur2" in refusal.detail
    assert "partitioner=murmur2_random" in refusal.detail


def test_a_period_may_begin_at_the_records_timestamp_and_not_a_millisecond_later() -> None:
    begins = NOW - 7 * 3_600_000  # 2026-11-23T06:00:00 local time
    said = CASES | {"observed_at": 0}
    assert reason_of("g18", said, timestamps=begins) == "accepted"
    assert reason_of("g18", said, timestamps=begins - 1) == "FUTURE_PERIOD"
    assert reason_of("g18", said | {"status": "F"}, timestamps=begins - 1) == "accepted"


def test_each_record_is_measured_by_its_own_timestamp() -> None:
    times = [NOW, NOW - 8 * 3_600_000, NOW]
    judged = judge(RULES, "g18", [CASES | {"observed_at": 0}] * 3, timestamps=times)
    assert [refusal.position for refusal in judged.refused] == [1]


@pytest.mark.parametrize(
    ("said", "agency", "begins"),
    [
        (OUTPUT | {"time_period": "2026-12"}, "g05", "2026-11-14T17:00:00"),  # nd09: the 15th of November, local
        (event("G12.011", "VN", "2027", 5.0), "g12", "2026-12-14T17:00:00"),  # nd09: the 15th of December before
        (event("G18.007", "01", "2026-S2", 5.0), "g18", "2026-06-14T17:00:00"),
        (event("G22.004", "01", "2026-Q4", 5.0, base=1.0), "g22", "2026-09-14T17:00:00"),
        (event("G16.004", "01", "2026-12", 5.0, base=1.0), "g16", "2026-11-30T17:00:00"),  # no regime: statistical
    ],
)
def test_a_window_begins_where_the_indicators_calendar_says(said: Event, agency: str, begins: str) -> None:
    at = int(np.datetime64(begins, "ms").astype(np.int64))
    assert reason_of(agency, said | {"observed_at": 0}, timestamps=at) == "accepted"
    assert reason_of(agency, said | {"observed_at": 0}, timestamps=at - 1) == "FUTURE_PERIOD"


@pytest.mark.parametrize(
    ("bucket", "area", "expected"),
    [
        ("2025-06-30", "10", "accepted"),
        ("2025-07-01", "10", "UNKNOWN_AREA"),  # merged into 15
        ("2025-06-30", "15", "accepted"),
        ("2025-07-01", "15", "accepted"),
        ("2025-06-30", "R1", "AREA_NOT_ALLOWED"),
        ("2025-07-01", "R1", "UNKNOWN_AREA"),
        ("2025-06-30", "R7", "UNKNOWN_AREA"),
        ("2025-07-01", "R7", "AREA_NOT_ALLOWED"),
        ("1990-01-01", "10", "accepted"),  # before the first map, the first applies
        ("1990-01-01", "VN", "accepted"),
        ("1990-01-01", "R1", "AREA_NOT_ALLOWED"),
        ("2025-07-01", "VN", "accepted"),
        ("2025-07-01", "vn", "UNKNOWN_AREA"),
        ("2025-07-01", "", "UNKNOWN_AREA"),
        ("2025-07-01", "1", "UNKNOWN_AREA"),
    ],
)
def test_an_area_is_looked_up_in_the_map_in_force_on_the_bucket(bucket: str, area: str, expected: str) -> None:
    assert reason_of("g03", SHARE | {"area": area, "time_period": bucket}) == expected


def test_one_block_may_hold_both_maps() -> None:
    said = [SHARE | {"area": "15", "time_period": day} for day in ("2025-06-30", "2025-07-01")]
    found = judge(RULES, "g03", said).accepted
    names = [CATALOGUE.maps[m].areas[a].name_en for m, a in zip(found.map, found.area, strict=True)]
    assert names == ["Yen Bai", "Lao Cai"]


@pytest.mark.parametrize(
    ("area", "expected"), [("VN", "accepted"), ("01", "AREA_NOT_ALLOWED"), ("R8", "AREA_NOT_ALLOWED")]
)
def test_a_nation_only_indicator_takes_the_nation(area: str, expected: str) -> None:
    assert reason_of("g02", ENERGY | {"area": area}) == expected


@pytest.mark.parametrize(
    ("breakdown", "expected"),
    [
        ("_T", "accepted"),
        ("infection:LOCAL", "accepted"),
        ("sex:F", "UNKNOWN_BREAKDOWN"),
        ("", "UNKNOWN_BREAKDOWN"),
        ("_t", "UNKNOWN_BREAKDOWN"),
    ],
)
def test_a_breakdown_is_one_of_its_indicators(breakdown: str, expected: str) -> None:
    assert reason_of("g18", CASES | {"breakdown": breakdown}) == expected


@pytest.mark.parametrize(
    ("value", "status", "expected"),
    [
        (None, "M", "accepted"),
        (None, "A", "VALUE_MISSING"),
        (None, "F", "VALUE_MISSING"),
        (5.0, "M", "VALUE_UNEXPECTED"),
        (float("nan"), "M", "VALUE_UNEXPECTED"),
        (float("nan"), "A", "NOT_FINITE"),
        (float("inf"), "A", "NOT_FINITE"),
        (float("-inf"), "A", "NOT_FINITE"),
        (1e308, "A", "OUT_OF_RANGE"),
        (-1e308, "A", "OUT_OF_RANGE"),
        (100_000.0, "A", "accepted"),
        (100_001.0, "A", "OUT_OF_RANGE"),
        (100_000.5, "A", "OUT_OF_RANGE"),
        (0.0, "A", "accepted"),
        (-0.0, "A", "accepted"),
        (-1.0, "A", "OUT_OF_RANGE"),
        (5e-324, "A", "TOO_PRECISE"),
        (0.5, "A", "TOO_PRECISE"),
    ],
)
def test_a_value_is_judged_with_its_status_bounds_and_decimals(value: float | None, status: str, expected: str) -> None:
    assert reason_of("g18", CASES | {"value": value, "status": status}) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (100_001.0, "accepted"),
        (9_999_999_999.0, "accepted"),
        (1e10, "OUT_OF_RANGE"),
        (1e308, "OUT_OF_RANGE"),
        (-1.0, "OUT_OF_RANGE"),
    ],
)
def test_the_nations_own_sum_is_bound_by_the_minimum_and_ten_to_the_tenth_only(value: float, expected: str) -> None:
    assert reason_of("g18", CASES | {"area": "VN", "value": value}) == expected


def test_a_withdrawal_is_not_measured_by_a_minimum_above_nought() -> None:
    peak = event("G02.002", "VN", "2026-11-22", None, observed_at=NOW)
    assert CATALOGUE.by_code["G02.002"].min == 8000
    assert reason_of("g02", peak) == "accepted"
    assert reason_of("g02", peak | {"value": 0.0, "status": "A"}) == "OUT_OF_RANGE"


def test_the_maximum_holds_for_the_nation_where_nothing_is_summed() -> None:
    assert reason_of("g03", SHARE | {"area": "VN", "value": 100.1}) == "OUT_OF_RANGE"
    assert reason_of("g02", ENERGY | {"value": 1800.1}) == "OUT_OF_RANGE"


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.1, 1_000), (0.3, 3_000), (95.5, 955_000), (-0.0, 0), (99.9, 999_000), (0.1 + 0.2, None), (0.25, None)],
)
def test_ticks_are_the_value_at_the_indicators_decimals(value: float, expected: int | None) -> None:
    found = judge(RULES, "g03", [SHARE | {"value": value}])
    assert found.accepted.ticks.tolist() == ([] if expected is None else [expected])


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        (None, "BASE_REQUIRED"),
        (0.0, "BAD_BASE"),
        (-0.0, "BAD_BASE"),
        (-1.0, "BAD_BASE"),
        (float("nan"), "BAD_BASE"),
        (float("inf"), "BAD_BASE"),
        (1e308, "BAD_BASE"),
        (1e11, "BAD_BASE"),
        (99_999_999_999.9999, "accepted"),
        (0.0001, "accepted"),
        (0.00001, "BAD_BASE"),
        (1.23456, "BAD_BASE"),
    ],
)
def test_the_base_of_a_ratio_is_positive_and_has_four_decimals(base: float | None, expected: str) -> None:
    assert reason_of("g03", SHARE | {"base": base}) == expected


def test_the_base_is_kept_in_ticks_for_a_ratio_and_ignored_elsewhere() -> None:
    assert judge(RULES, "g03", [SHARE | {"base": 12.3456}]).accepted.base.tolist() == [123_456]
    assert judge(RULES, "g18", [CASES | {"base": float("nan")}]).accepted.base.tolist() == [0]
    withdrawn = SHARE | {"value": None, "status": "M"}
    for base in (None, -5.0, float("inf"), 7.0):
        found = judge(RULES, "g03", [withdrawn | {"base": base}]).accepted
        assert (found.base.tolist(), found.ticks.tolist()) == ([0], [0])


@pytest.mark.parametrize(
    ("revision", "expected"),
    [
        (0, "accepted"),
        (2**23 - 1, "accepted"),
        (2**23, "BAD_REVISION"),
        (2**31 - 1, "BAD_REVISION"),
        (-(2**31), "BAD_REVISION"),
    ],
)
def test_a_revision_has_23_bits(revision: int, expected: str) -> None:
    assert reason_of("g18", CASES | {"revision": revision}) == expected


@pytest.mark.parametrize(
    ("submission", "expected"),
    [
        ("a", "accepted"),
        ("A-Z_0.9", "accepted"),
        ("x" * 64, "accepted"),
        ("x" * 65, "BAD_SUBMISSION"),
        ("", "BAD_SUBMISSION"),
        ("a\n", "BAD_SUBMISSION"),
        ("\na", "BAD_SUBMISSION"),
        ("a\x00", "BAD_SUBMISSION"),
        ("é", "BAD_SUBMISSION"),
        ("\u0661", "BAD_SUBMISSION"),
        ("a/b", "BAD_SUBMISSION"),
    ],
)
def test_a_submission_is_a_short_reference(submission: str, expected: str) -> None:
    assert reason_of("g18", CASES | {"submission": submission}) == expected


@pytest.mark.parametrize(
    ("observed_at", "expected"),
    [
        (0, "accepted"),
        (-1, "BAD_OBSERVED_AT"),
        (-(2**63), "BAD_OBSERVED_AT"),
        (2**63 - 1, "BAD_OBSERVED_AT"),
        (4_102_444_800_000, "BAD_OBSERVED_AT"),
        (4_102_444_799_999, "OBSERVED_IN_FUTURE"),
        (NOW + MINUTES_5, "accepted"),
        (NOW + MINUTES_5 + 1, "OBSERVED_IN_FUTURE"),
    ],
)
def test_the_time_of_observation_is_judged_as_the_raw_long(observed_at: int, expected: str) -> None:
    assert reason_of("g18", CASES | {"observed_at": observed_at}) == expected


@pytest.mark.parametrize(
    ("note", "expected"), [(None, "accepted"), ("", "accepted"), ("ế" * 2000, "accepted"), ("😀" * 2001, "BAD_NOTE")]
)
def test_a_note_is_measured_in_characters(note: str | None, expected: str) -> None:
    assert reason_of("g18", CASES | {"note": note}) == expected


def test_texts_of_refused_records_leave_the_dictionaries_of_the_accepted() -> None:
    hostile = CASES | {"submission": "x" * 1_000_000}
    found = judge(RULES, "g18", [CASES, hostile, CASES | {"submission": "S2"}]).accepted.texts
    assert found.column("submission").combine_chunks().dictionary.to_pylist() == ["S1", "S2"]
    assert found.column("submission").to_pylist() == ["S1", "S2"]


@pytest.mark.parametrize("field", ["submission", "indicator", "area", "breakdown", "time_period", "note"])
def test_a_text_of_a_million_characters_is_refused_in_a_short_sentence(field: str) -> None:
    judged = judge(RULES, "g18", [CASES | {field: "é" * 1_000_000}], partition=0, partitions=2)
    (refusal,) = judged.refused
    assert len(refusal.detail) < 600
    assert len(refusal.indicator) <= 256
    assert len(refusal.submission) <= 256


def test_a_hundred_thousand_distinct_texts_take_bounded_time_and_leave_nothing_behind() -> None:
    rules = Rules(CATALOGUE, SCHEMA_IDS)
    said = [CASES | {"time_period": f"{at}", "submission": f"S{at}", "area": f"{at}"} for at in range(5_000)]
    many = [one | {"indicator": f"X{at % 20}"} for at, one in enumerate(said * 20)]
    given = decoded(many)
    where = block("g18", [str(one["indicator"]).encode() for one in many])
    began = time.monotonic()
    judged = rules.judge(where, given)
    assert time.monotonic() - began < 30
    assert len(judged.refused) == 100_000
    assert len(rules._tables._periods) <= 110  # the years 1990 to 2099: texts that mean nothing are not kept


def test_a_catalogue_too_wide_for_one_flat_table_gives_the_same_breakdowns(monkeypatch: pytest.MonkeyPatch) -> None:
    flat = Breakdowns(CATALOGUE)
    monkeypatch.setattr(rules_tables, "DENSE", 0)
    sparse = Breakdowns(CATALOGUE)
    indicators, breakdowns = np.meshgrid(
        np.arange(len(CATALOGUE.indicators) + 1, dtype=np.int32), np.arange(len(flat.ids) + 1, dtype=np.int32)
    )
    expected = flat.ordinals(indicators.ravel(), breakdowns.ravel())
    assert np.array_equal(sparse.ordinals(indicators.ravel(), breakdowns.ravel()), expected)
    assert expected.max() > 1
    assert expected.min() == -1


def test_equal_catalogues_and_ids_have_one_digest_and_others_another() -> None:
    assert Rules(CATALOGUE, SCHEMA_IDS).digest == RULES.digest
    assert Rules(CATALOGUE, SCHEMA_IDS + b" ").digest != RULES.digest
    assert len(RULES.digest) == 16
    assert int(RULES.digest, 16) >= 0
