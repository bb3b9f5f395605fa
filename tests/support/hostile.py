"""Ways to spoil a good event: for every reason, what a careless or hostile client may send and must be refused for."""

import dataclasses
import datetime as dt
import random
from collections.abc import Callable, Sequence

from tests.support.oracle import bucket_and_slot
from tests.support.small_catalogue import (
    FIGURES,
    NEW_PROVINCES,
    OLD_PROVINCES,
    PARTITIONS,
    Figure,
    provinces_on,
    regions_on,
)
from tests.support.wire import Event, body, frame, text, varint

OTHER_PERIODS = {
    "hourly": "2024-05-07T05:00:00/PT1H",
    "six_hourly": "2024-05-07T06:00:00/PT6H",
    "daily": "2024-05-07",
    "monthly": "2024-05",
    "quarterly": "2024-Q1",
    "semiannual": "2024-S1",
    "annual": "2023",
}
BAD_PERIODS = (
    "", "garbage", "2024-5", "2024-13", "2024-00", "2024-02-30", "2024-05-01 ", " 2024-05-01", "2024-05-01\n",
    "2024-Q5", "2024-Q0", "2024-S3", "2024-W10", "24", "20240501", "2024-05-01T24:00:00/PT1H",
    "2024-05-01T07:00:00/PT6H", "2024-05-01T06:30:00/PT1H", "2024-05-01T06:00:00/PT2H", "2024-05-01T06:00:00",
    "2024-05-01T6:00:00/PT1H", "2024-05-01T06:00:00+07:00/PT1H", "\uff12\uff10\uff12\uff14", "1965", "1989-12-31",
    "1989-Q4", "2100", "2100-01-01", "9999-12",
)  # fmt: skip
FAR_FUTURE = {
    "hourly": "2098-03-01T05:00:00/PT1H",
    "six_hourly": "2098-03-01T06:00:00/PT6H",
    "daily": "2098-03-01",
    "monthly": "2098-03",
    "quarterly": "2098-Q2",
    "semiannual": "2098-S2",
    "annual": "2099",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Spoiled:
    """A record to send: ``partition`` is None where the client's partitioner chooses by the key."""

    key: bytes | None
    value: bytes | None
    partition: int | None = None


Spoiler = Callable[[Figure, Event, int, random.Random], Spoiled | None]


def changed(said: Event, **fields: object) -> Spoiled:
    """Send the event with some fields replaced, under the key that its indicator asks for."""
    spoiled = said | fields
    return Spoiled(str(spoiled["indicator"]).encode(), frame(spoiled))


def raw(said: Event, value: bytes | None) -> Spoiled:
    """Send other bytes under the event's key."""
    return Spoiled(str(said["indicator"]).encode(), value)


def pick(name: str, choices: Sequence[object]) -> Spoiler:
    """Replace one field by one of ``choices``."""
    return lambda _figure, said, _home, rng: changed(said, **{name: rng.choice(choices)})


def short_frame(_figure: Figure, said: Event, _home: int, rng: random.Random) -> Spoiled:
    return raw(said, rng.choice((b"", b"\x00", b"\x00\x00\x00\x00", b"\x01\x02")))


def bad_magic(_figure: Figure, said: Event, _home: int, rng: random.Random) -> Spoiled:
    return raw(said, rng.choice((b"\x01" + frame(said)[1:], b'{"indicator": "Z01.001"}', b"\xff" * 40, body(said))))


def unknown_schema(_figure: Figure, said: Event, _home: int, rng: random.Random) -> Spoiled:
    return raw(said, frame(said, rng.choice((0, 2, 3, 999, 0xFFFFFFFF))))


def undecodable(_figure: Figure, said: Event, _home: int, rng: random.Random) -> Spoiled:
    whole = frame(said)
    head, prefix = whole[:5], text(said["submission"])
    upto_status = body(said | {"status": 0, "revision": 0, "observed_at": 0, "note": None})[:-4]
    return raw(
        said,
        rng.choice(
            (
                whole[: rng.randrange(5, len(whole))],  # cut short anywhere, down to no body at all
                head + varint(-1) + whole[6:],  # a negative length
                head + varint(1 << 40) + whole[6:],  # a length far beyond the record
                head + prefix + b"\xff" * 11 + whole[5 + len(prefix) :],  # a number that does not end
                head + upto_status + varint(7) + b"\x00\x00\x00",  # a symbol too high
                head + upto_status + varint(-1) + b"\x00\x00\x00",  # a negative symbol
                head + upto_status + b"\x00" + varint(1 << 31) + b"\x00\x00",  # a revision wider than 32 bits
                head + upto_status + b"\x00" + varint((1 << 32) + 5) + b"\x00\x00",  # one that wraps to 5 when cut
                head + upto_status + b"\x00\x00\x00" + varint(2),  # a branch of note that does not exist
                head + upto_status + b"\x00\x00\x00" + varint(-1),
                head + text(b"\xff\xfe") + b"\x00",  # cut short, whatever the texts hold
            )
        ),
    )


def bad_text(_figure: Figure, said: Event, _home: int, rng: random.Random) -> Spoiled:
    field = rng.choice(("submission", "indicator", "area", "breakdown", "time_period", "note"))
    wrong = rng.choice((b"\xff", b"abc\x80", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"ok \xe1\xbb"))
    return raw(said, frame(said | {field: wrong}) + rng.choice((b"", b"\x00")))


def trailing_bytes(_figure: Figure, said: Event, _home: int, rng: random.Random) -> Spoiled:
    return raw(said, frame(said) + rng.choice((b"\x00", b"\n", body(said))))


def key_mismatch(_figure: Figure, said: Event, home: int, rng: random.Random) -> Spoiled:
    own = str(said["indicator"])
    wrong = rng.choice(
        (None, b"", own.lower().encode(), own.encode() + b" ", b"\xff\xfe", b"Z01.999", own[:-1].encode())
    )
    return Spoiled(wrong, frame(said), home)


def wrong_partition(figure: Figure, said: Event, home: int, rng: random.Random) -> Spoiled | None:
    others = [partition for partition in range(PARTITIONS[figure.agency]) if partition != home]
    return Spoiled(raw(said, None).key, frame(said), rng.choice(others)) if others else None


def not_owner(figure: Figure, said: Event, _home: int, rng: random.Random) -> Spoiled:
    return changed(said, indicator=rng.choice([other.code for other in FIGURES if other.agency != figure.agency]))


def wrong_frequency(figure: Figure, said: Event, _home: int, rng: random.Random) -> Spoiled:
    return changed(said, time_period=rng.choice([OTHER_PERIODS[f] for f in OTHER_PERIODS if f != figure.frequency]))


def future_period(figure: Figure, said: Event, _home: int, rng: random.Random) -> Spoiled | None:
    status = rng.choice("ABEIP")
    return changed(said, time_period=FAR_FUTURE[figure.frequency], status=status) if said["value"] is not None else None


def unknown_area(figure: Figure, said: Event, _home: int, rng: random.Random) -> Spoiled:
    known = provinces_on(bucket_of(said))
    strange = sorted({*OLD_PROVINCES, *NEW_PROVINCES} - set(known)) if figure.geography == "province" else ["98"]
    return changed(said, area=rng.choice(("", "99", "vn", "VN ", "1", "Hà Nội", *strange)))


def area_not_allowed(figure: Figure, said: Event, _home: int, rng: random.Random) -> Spoiled:
    bucket = bucket_of(said)
    wrong = regions_on(bucket) if figure.geography == "province" else regions_on(bucket) + provinces_on(bucket)
    return changed(said, area=rng.choice(wrong))


def value_missing(_figure: Figure, said: Event, _home: int, rng: random.Random) -> Spoiled:
    return changed(said, value=None, status=rng.choice("ABEIP"))


def value_unexpected(_figure: Figure, said: Event, _home: int, _rng: random.Random) -> Spoiled:
    return changed(said, value=0.0 if said["value"] is None else said["value"], status="M")


def not_finite(_figure: Figure, said: Event, _home: int, rng: random.Random) -> Spoiled:
    return changed(said, value=float(rng.choice(("nan", "inf", "-inf"))), status="A")


def out_of_range(figure: Figure, said: Event, _home: int, rng: random.Random) -> Spoiled:
    wrong = [1e10, -1e10, 1e17, 1.7e308, -1e300]
    if figure.low is not None:
        wrong.append(figure.low - 1.0)
    nation_sums = said["area"] == "VN" and figure.geography == "province" and figure.rollup == "sum"
    if figure.high is not None and not nation_sums:
        wrong.append(figure.high + 1.0)
    return changed(said, value=rng.choice(wrong), status="A")


def too_precise(figure: Figure, said: Event, _home: int, rng: random.Random) -> Spoiled:
    inside = (figure.low or 0) + rng.choice((0.5, 0.25, 1 / 3, 1e-3, 1e-6)) / 10**figure.decimals
    return changed(said, value=inside, status="A")


def base_required(figure: Figure, said: Event, _home: int, _rng: random.Random) -> Spoiled | None:
    return changed(said, base=None) if figure.needs_base and said["value"] is not None else None


def bad_base(figure: Figure, said: Event, _home: int, rng: random.Random) -> Spoiled | None:
    wrong = rng.choice((0.0, -0.0, -1.0, float("nan"), float("inf"), float("-inf"), 1e11, 1e18, 1.00001, 1e-5))
    return changed(said, base=wrong) if figure.needs_base and said["value"] is not None else None


def bucket_of(said: Event) -> dt.date:
    """Read the bucket of a good event."""
    return bucket_and_slot(str(said["time_period"]))[0]


SPOILERS: dict[str, Spoiler] = {
    "TOMBSTONE": lambda _figure, said, _home, _rng: raw(said, None),
    "SHORT_FRAME": short_frame,
    "BAD_MAGIC": bad_magic,
    "UNKNOWN_SCHEMA": unknown_schema,
    "UNDECODABLE": undecodable,
    "BAD_TEXT": bad_text,
    "TRAILING_BYTES": trailing_bytes,
    "KEY_MISMATCH": key_mismatch,
    "WRONG_PARTITION": wrong_partition,
    "UNKNOWN_INDICATOR": pick("indicator", ("Z99.999", "z01.001", "Z01.0011", "G18.001", "Z01.001 ", "chỉ tiêu")),
    "NOT_OWNER": not_owner,
    "BAD_PERIOD": pick("time_period", BAD_PERIODS),
    "WRONG_FREQUENCY": wrong_frequency,
    "FUTURE_PERIOD": future_period,
    "UNKNOWN_AREA": unknown_area,
    "AREA_NOT_ALLOWED": area_not_allowed,
    "UNKNOWN_BREAKDOWN": pick("breakdown", ("", "_t", "T", "sex:X", "sex:f", "SEX:F", "sex", "sex:F;sex:M", "_T ")),
    "VALUE_MISSING": value_missing,
    "VALUE_UNEXPECTED": value_unexpected,
    "NOT_FINITE": not_finite,
    "OUT_OF_RANGE": out_of_range,
    "TOO_PRECISE": too_precise,
    "BASE_REQUIRED": base_required,
    "BAD_BASE": bad_base,
    "BAD_REVISION": pick("revision", (-1, 1 << 23, (1 << 31) - 1, -(1 << 31))),
    "BAD_SUBMISSION": pick("submission", ("", "a" * 65, "a b", "a/b", "báo-cáo", "S1\n", "\u0000", "S1 ")),
    "BAD_OBSERVED_AT": pick("observed_at", (-1, -(1 << 63), (1 << 63) - 1, 4_102_531_200_000, 253_402_300_800_000)),
    "OBSERVED_IN_FUTURE": pick("observed_at", (3_786_912_000_000, 4_070_908_800_000)),
    "BAD_NOTE": pick("note", ("x" * 2_001, "đ" * 2_001, "x" * 70_000)),
}
