"""The work as one writes it event by event in Python: fastavro, dictionaries, no columns. For the loop and for Faust.

It knows the rules as far as the bench's catalogue and mistakes go, in the contract's order.
"""

import datetime as dt
import io
import math
import re
from collections import defaultdict
from fractions import Fraction
from importlib import resources
from typing import Any

import fastavro

from deploy.benchmark.catalogue import NATION
from deploy.benchmark.rivals.job import AREAS, TotalRow
from schemas.catalogue import Catalogue, Indicator

HEADER = 5
OUR_FRAME = b"\x00\x00\x00\x00\x01"
TICKS = 10_000
RANK = {status: rank for rank, status in enumerate("IEPFBAM")}
SUBMISSION = re.compile(r"[A-Za-z0-9._-]{1,64}")
HOUR = re.compile(r"(\d{4}-\d{2}-\d{2})T(\d{2}):00:00/PT1H")
LOCAL = dt.timedelta(hours=7)
MOST = 10**10
MOST_REVISION = 1 << 23
MOST_NOTE = 2_000
LAST_OBSERVED = 4_102_444_800  # seconds since 1970: the end of 2099
TOLERATED = 300  # seconds

Slot = tuple[int, int, int, str]  # version, ticks, base in ticks, status


class Refused(Exception):
    """A record that is not accepted; its text is the reason."""


class OneByOne:
    """The newest statement of every cell, and how many records were accepted by topic."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._schema = fastavro.parse_schema(
            fastavro.schema.load_schema(str(resources.files("schemas").joinpath("indicator_event.v1.avsc")))
        )
        self._indicators = catalogue.by_code
        self._provinces = {area.code for area in catalogue.maps[0].provinces}
        self._periods: dict[str, tuple[str, int, int] | None] = {}
        self.accepted: dict[str, int] = defaultdict(int)
        self.rejected: dict[str, int] = defaultdict(int)
        # By indicator and day, by area, by slot.
        self.cells: dict[tuple[str, str], dict[str, dict[int, Slot]]] = defaultdict(lambda: defaultdict(dict))

    def take(self, topic: str, offset: int, timestamp: int, key: bytes | None, value: bytes | None) -> None:
        """Judge one record and keep it if it is the newest of its cell."""
        try:
            event, indicator, (day, slot, _) = self._judged(topic, timestamp, key, value)
        except Refused as refused:
            self.rejected[str(refused)] += 1
            return
        self.accepted[topic] += 1
        version = (event["revision"] << 40) + offset + 1
        slots = self.cells[indicator.code, day][event["area"]]
        if slot not in slots or slots[slot][0] < version:
            scale = 10**indicator.decimals
            missing = event["status"] == "M"
            ticks = 0 if missing else round(event["value"] * scale) * (TICKS // scale)
            base = round(event["base"] * TICKS) if indicator.needs_base and not missing else 0
            slots[slot] = (version, ticks, base, event["status"])

    def _judged(  # noqa: C901 - a chain of checks in the order of the rules
        self, topic: str, timestamp: int, key: bytes | None, value: bytes | None
    ) -> tuple[Any, Indicator, tuple[str, int, int]]:
        event = self._decoded(value)
        code = event["indicator"]
        if key != code.encode():
            raise Refused("KEY_MISMATCH")
        indicator = self._indicators.get(code)
        if indicator is None:
            raise Refused("UNKNOWN_INDICATOR")
        if indicator.agency != topic.rpartition(".")[2]:
            raise Refused("NOT_OWNER")
        period = self._period(event["time_period"])
        status = event["status"]
        if period[2] > timestamp and status != "F":
            raise Refused("FUTURE_PERIOD")
        if event["area"] not in self._provinces and event["area"] != NATION:
            raise Refused("UNKNOWN_AREA")
        if event["breakdown"] != "_T":
            raise Refused("UNKNOWN_BREAKDOWN")
        _values(event, indicator)
        if not 0 <= event["revision"] < MOST_REVISION:
            raise Refused("BAD_REVISION")
        if not SUBMISSION.fullmatch(event["submission"]):
            raise Refused("BAD_SUBMISSION")
        observed = event["observed_at"].timestamp()
        if not 0 <= observed < LAST_OBSERVED:
            raise Refused("BAD_OBSERVED_AT")
        if observed > timestamp / 1000 + TOLERATED:
            raise Refused("OBSERVED_IN_FUTURE")
        if event["note"] is not None and len(event["note"]) > MOST_NOTE:
            raise Refused("BAD_NOTE")
        return event, indicator, period

    def _decoded(self, value: bytes | None) -> Any:
        if value is None:
            raise Refused("TOMBSTONE")
        if len(value) < HEADER:
            raise Refused("SHORT_FRAME")
        if value[:HEADER] != OUR_FRAME:
            raise Refused("UNKNOWN_SCHEMA" if value[0] == 0 else "BAD_MAGIC")
        body = io.BytesIO(value)
        body.seek(HEADER)
        try:
            event = fastavro.schemaless_reader(body, self._schema, None)
        except UnicodeDecodeError as error:
            raise Refused("BAD_TEXT") from error
        except (EOFError, IndexError, ValueError, OverflowError) as error:
            raise Refused("UNDECODABLE") from error
        if body.tell() != len(value):
            raise Refused("TRAILING_BYTES")
        return event

    def _period(self, text: str) -> tuple[str, int, int]:
        if text not in self._periods:
            self._periods[text] = _hour(text)
        found = self._periods[text]
        if found is None:
            raise Refused("BAD_PERIOD")
        return found

    def totals(self) -> list[TotalRow]:
        """Total every line of which something was said, in the areas that are compared."""
        rows: list[TotalRow] = []
        for (code, day), areas in self.cells.items():
            indicator = self._indicators[code]
            reduced = {area: _reduced(indicator, slots) for area, slots in areas.items()}
            rows.append((day, code, NATION, *_rolled_up(indicator, list(reduced.values()))))
            rows += [(day, code, area, reduced[area][0], reduced[area][2]) for area in AREAS[1:] if area in reduced]
        return rows


def _hour(text: str) -> tuple[str, int, int] | None:
    """Give day, slot and beginning (ms since 1970) of an hour; None for what is none."""
    found = HOUR.fullmatch(text)
    if found is None:
        return None
    try:
        begin = dt.datetime.fromisoformat(f"{found[1]}T{found[2]}:00:00+00:00") - LOCAL
    except ValueError:
        return None
    return found[1], int(found[2]), round(begin.timestamp() * 1000)


def _values(event: Any, indicator: Indicator) -> None:
    value, status = event["value"], event["status"]
    if value is None:
        if status != "M":
            raise Refused("VALUE_MISSING")
        return
    if status == "M":
        raise Refused("VALUE_UNEXPECTED")
    if not math.isfinite(value):
        raise Refused("NOT_FINITE")
    low, high = indicator.min, indicator.max
    if abs(value) >= MOST or (low is not None and value < low) or (high is not None and value > high):
        raise Refused("OUT_OF_RANGE")
    scale = 10**indicator.decimals
    if round(value * scale) / scale != value:
        raise Refused("TOO_PRECISE")
    if indicator.needs_base:
        base = event["base"]
        if base is None:
            raise Refused("BASE_REQUIRED")
        if not math.isfinite(base) or not 0 < base < 10 * MOST or round(base * TICKS) / TICKS != base:
            raise Refused("BAD_BASE")


def _reduced(indicator: Indicator, slots: dict[int, Slot]) -> tuple[int | None, int, int]:
    """Reduce an area's slots: value and base in ticks, and how many cells have a value."""
    valued = {slot: said for slot, said in slots.items() if said[3] != "M"}
    if not valued:
        return None, 0, 0
    if indicator.kind == "flow":
        return sum(said[1] for said in valued.values()), 0, len(valued)
    _, ticks, base, _ = valued[max(valued)]
    return ticks, base, len(valued)


def _rolled_up(indicator: Indicator, provinces: list[tuple[int | None, int, int]]) -> tuple[int | None, int]:
    valued = [(ticks, base) for ticks, base, _ in provinces if ticks is not None]
    cells = sum(cells for _, _, cells in provinces)
    if not valued:
        return None, cells
    total = sum(ticks for ticks, _ in valued)
    if indicator.area_rollup == "mean":
        total = round(Fraction(total, len(valued)))
    elif indicator.area_rollup == "weighted_mean":
        total = round(Fraction(sum(ticks * base for ticks, base in valued), sum(base for _, base in valued)))
    return total, cells
