"""Figures as JSON numbers: digit by digit, rounded half to even, never through a float."""

import json
from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.feed.line import exact, instant, number


@pytest.mark.parametrize(
    ("ticks", "decimals", "text"),
    [
        (None, 2, "null"),
        (0, 0, "0"),
        (0, 2, "0.00"),
        (120000, 0, "12"),
        (125000, 2, "12.50"),
        (5000, 0, "0"),
        (15000, 0, "2"),
        (25000, 0, "2"),
        (25001, 0, "3"),
        (-5000, 0, "0"),
        (-15000, 0, "-2"),
        (-1, 2, "0.00"),
        (-50, 2, "0.00"),
        (-51, 2, "-0.01"),
        (1, 4, "0.0001"),
        (99995000, 3, "9999.500"),
        (999999999999999999, 4, "99999999999999.9999"),
        (999999999999999999, 0, "100000000000000"),
    ],
)
def test_ticks_are_written_with_the_decimals_and_half_goes_to_even(ticks: int | None, decimals: int, text: str) -> None:
    assert number(ticks, decimals) == text


@given(st.integers(-(10**18), 10**18), st.integers(0, 4))
def test_every_number_is_what_decimal_arithmetic_says(ticks: int, decimals: int) -> None:
    expected = (Decimal(ticks) / 10000).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_EVEN)

    written = number(ticks, decimals)

    assert json.loads(written, parse_int=Decimal, parse_float=Decimal) == expected
    assert len(written.partition(".")[2]) == decimals
    assert not written.startswith("-0.") or Decimal(written) < 0


@pytest.mark.parametrize(
    ("ticks", "text"), [(None, "null"), (0, "0"), (1000000, "100"), (12500, "1.25"), (-1, "-0.0001")]
)
def test_an_exact_number_has_no_decimals_more_than_it_needs(ticks: int | None, text: str) -> None:
    assert exact(ticks) == text


def test_an_instant_is_utc_with_milliseconds() -> None:
    assert instant(1_795_413_600_250) == "2026-11-23T06:00:00.250Z"
    assert instant(0) == "1970-01-01T00:00:00.000Z"
