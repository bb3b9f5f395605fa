"""Where the fuzzer begins: a few inputs of every kind for each target, drawn from good and spoilt records."""

import random
from collections.abc import Callable, Mapping

from schemas.codec import encode_event
from tests.fuzz import batches, codec, files, periods, rules
from tests.support.hostile import BAD_PERIODS, FAR_FUTURE, OTHER_PERIODS, SPOILERS
from tests.support.judging import NOW, bundled
from tests.support.record_batch import record
from tests.support.small_catalogue import FIGURES
from tests.support.wire import Event, event, frame

TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "codec": codec.check,
    "rules": rules.check,
    "periods": periods.check,
    "files": files.check,
    "cells": files.check_cell,
    "sheets": files.check_sheet,
    "batches": batches.check,
}

LINES = (
    "G18.005,01,2026-11-22,12,,,,,\n",
    'G18.005,1,2026-11-22,,,M,1,2026-11-23T08:30:00+07:00,"Chưa có, ""số"""\n',
    "G18.001;01;2026;1,5\n",
    "\n,,,,\nG18.005,01,2026-13,1e400,nan,Z,x,9999-12-31,\n",
)
JSON_LINE = '{"indicator": "G18.005", "area": "01", "time_period": "2026-11-22", "value": %s}\n'
SHEET = (
    '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
    '<row r="1"><c t="inlineStr"><is><t>indicator</t></is></c><c t="inlineStr"><is><t>area</t></is></c>'
    '<c t="inlineStr"><is><t>time_period</t></is></c><c t="inlineStr"><is><t>value</t></is></c></row>'
    '<row r="2"><c t="str"><v>G18.005</v></c><c><v>1</v></c><c s="1"><v>46348</v></c><c s="2"><v>0.5</v></c></row>'
    '<row r="3"><c t="b"><v>1</v></c><c t="e"><v>#REF!</v></c><c s="1"><v>1e300</v></c><c><f>1+1</f><v>2</v></c></row>'
    '<row r="9"><c r="D9" t="n"><v>nan</v></c><c t="d"><v>2026-11-22T00:00:00</v></c></row></sheetData></worksheet>'
)


def seeds(target: str) -> list[bytes]:
    """Give the inputs to begin with."""
    return {
        "codec": _records,
        "rules": _bodies,
        "periods": _periods,
        "files": _files,
        "cells": _cells,
        "batches": _batches,
        "sheets": lambda: [SHEET.encode(), SHEET.replace(' r="9"', ' r="1048577"').encode(), b"<worksheet/>"],
    }[target]()


def words() -> list[bytes]:
    """List texts that only the catalogue knows, for the fuzzer to put in."""
    catalogue, _ = bundled()
    some = [indicator.code for indicator in catalogue.indicators[::7]]
    some += [name for indicator in catalogue.indicators for name in indicator.breakdowns]
    some += [area.code for area in catalogue.maps[0].areas[::9]] + ["VN", "R7", *OTHER_PERIODS.values()]
    return sorted({text.encode() for text in some} | {b"nan", b"1e308", b"-0.0", b"2099-12-31", b"indicator", b"note"})


def _said() -> list[Event]:
    catalogue, _ = bundled()
    one_of_each = {(i.frequency, i.kind, i.geography): i for i in catalogue.indicators}.values()
    return [
        event(
            indicator.code,
            "VN" if indicator.geography == "nation" else "01",
            OTHER_PERIODS[indicator.frequency],
            indicator.min if indicator.min is not None else 1.0,
            base=2.5 if indicator.needs_base else None,
            breakdown=indicator.breakdowns[-1],
        )
        for indicator in one_of_each
    ] + [event("G18.001", "01", "2026-11-23T06:00:00/PT6H", None, note="rút lại", revision=7)]


def _records() -> list[bytes]:
    rng = random.Random(1)
    figure = FIGURES[0]
    good = event(figure.code, "01", OTHER_PERIODS[figure.frequency], 1.0, note="đã sửa")
    spoilt = [spoiler(figure, good, 0, rng) for spoiler in SPOILERS.values()]
    raw = [one.value for one in spoilt if one is not None and one.value is not None and len(one.value) < 4_000]
    evolved = [bytes((schema_id,)) + bytes(range(0, 2 * length, 2)) for schema_id in (7, 8) for length in (5, 40)]
    return [b"\x00" + one for one in raw] + [b"\x01" + frame(good)[5:], *evolved, _evolved()]


def _evolved() -> bytes:
    """Write a record of schema 7 by hand: observed_at, note, status first; tags, sums, seen, seal and link last."""
    head = b"\x07" + b"\x80\x80\x01" + b"\x02\x04ok" + b"\x00"
    texts = b"".join(bytes((2 * len(text),)) + text for text in (b"S1", b"G18.001", b"01", b"_T", b"2026"))
    added = b"\x02\x02x\x00" + b"\x01\x0a\x02k\x02\x08\x00" + b"\x01" + b"abc" + b"\x02\x04\x02\x06\x00"
    return head + texts + b"\x00\x00" + b"\x04" + added


def _bodies() -> list[bytes]:
    said = _said()
    edges = [{"time_period": period} for period in (*BAD_PERIODS[:9], *FAR_FUTURE.values())] + [
        {"observed_at": NOW + 300_001},
        {"revision": -1},
        {"submission": "a b"},
        {"area": "R7"},
        {"note": "n" * 2_001},
    ]
    changed = [said[at % len(said)] | edge for at, edge in enumerate(edges)]
    return [b"\0\0\0" + encode_event(one)[5:] for one in (*said, *changed)]


def _periods() -> list[bytes]:
    return [text.encode() for text in (*BAD_PERIODS, *FAR_FUTURE.values(), *OTHER_PERIODS.values())]


def _files() -> list[bytes]:
    tables = [b"\xff" + line.encode() for line in LINES] + [files.HEADER + LINES[0].encode()]
    objects = [(JSON_LINE % value).encode() for value in ("1", "null", "NaN", "1e999", "[1]", '"x"', "9" * 400, "true")]
    return [*tables, *objects, b"\xef\xbb\xbf" + files.HEADER.replace(b",", b";"), b"PK\x03\x04", b"\xff\xfe\x00"]


def _cells() -> list[bytes]:
    texts = ["12", "-0.5e3", "1,5", "82%", "nan", "1e999", "9" * 60, "2026-11-23 08:30", "2026-11-23T08:30:00+07:00",
             "0001-01-01", "9999-12-31T23:59:59-23:59", "M", "\u0661", "1_000", " 7 ", "0x10"]  # fmt: skip
    return [text.encode() for text in texts]


def _batches() -> list[bytes]:
    records = [record(0, b"k", b"v"), record(1, None, None, [(b"h", b"x"), (b"", None)]), record(2, b"", bytes(70))]
    packs = [bytes((codec_number, 3)) + b"".join(records) for codec_number in range(6)]
    return [*packs, bytes((0, 1)) + record(0, b"k", b"v", [(b"\xff", b"x")]), bytes((130, 1)) + b"NUMB"]
