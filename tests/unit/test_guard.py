"""The guard trips when many agencies are refused at once, and never because of one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import Fatal
from streams.guard import Guard

verdicts = st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, 40), st.integers(0, 40)), max_size=40)


def trips(guard: Guard, *counted: tuple[str, int, int]) -> bool:
    try:
        for agency, accepted, refused in counted:
            guard.count(agency, accepted, refused)
    except Fatal:
        return True
    return False


def test_it_trips_when_the_last_of_enough_agencies_has_its_run_refused() -> None:
    guard = Guard(0.9, 1_000, 3)
    assert not trips(guard, ("a", 0, 5_000), ("b", 100, 900), ("c", 0, 999))
    assert trips(guard, ("c", 0, 1))


def test_one_agency_that_sends_garbage_never_stops_the_worker() -> None:
    assert not trips(Guard(0.9, 1_000, 3), *[("a", 0, 100_000)] * 50, *[("b", 1_000, 0), ("c", 900, 100)] * 50)


def test_a_run_that_is_too_short_is_no_evidence() -> None:
    assert not trips(Guard(0.9, 1_000, 3), *((agency, 0, 999) for agency in "abcdefgh"))


def test_a_ratio_just_below_the_limit_does_not_trip() -> None:
    assert not trips(Guard(0.9, 1_000, 1), ("a", 101, 899))
    assert trips(Guard(0.9, 1_000, 1), ("a", 100, 900))


def test_an_agency_that_began_well_does_not_count_until_its_whole_run_is_bad() -> None:
    assert not trips(Guard(0.9, 100, 1), ("a", 100, 0), ("a", 0, 899))
    assert trips(Guard(0.9, 100, 1), ("a", 100, 0), ("a", 0, 900))


def test_a_good_block_never_trips_it() -> None:
    assert not trips(Guard(0.5, 10, 2), ("a", 0, 10), ("b", 1, 5), ("b", 4, 0))


@pytest.mark.parametrize(("ratio", "agencies"), [(0.0, 3), (0.9, 0), (0.0, 0)])
def test_a_ratio_or_a_number_of_agencies_of_zero_switches_it_off(ratio: float, agencies: int) -> None:
    assert not trips(Guard(ratio, 1, agencies), *((agency, 0, 10_000) for agency in "abcdefgh"))


def test_the_sentence_names_the_agencies_the_settings_and_the_remedy() -> None:
    guard = Guard(0.9, 10, 6)
    for agency in "abcde":
        guard.count(agency, 0, 10)
    with pytest.raises(Fatal) as stopped:
        guard.count("f", 1, 9)
    said = str(stopped.value)
    for needed in (
        "6 agencies (a 10 of 10, b 10 of 10, c 10 of 10, d 10 of 10, e 10 of 10 and 1 more)",
        "GRIS_CATALOGUE",
        "GRIS_REGISTRY",
        "GRIS_GUARD_RATIO=0 (it is 0.9;",
        "GRIS_GUARD_AGENCIES (6)",
        "GRIS_GUARD_EVENTS (10)",
        "`gris rejects count`",
        "`gris replay`",
    ):
        assert needed in said, said


@given(verdicts, st.floats(0.01, 1.0), st.integers(1, 100), st.integers(1, 5))
def test_it_trips_exactly_when_enough_agencies_have_a_long_run_nearly_all_refused(
    counted: list[tuple[str, int, int]], ratio: float, events: int, agencies: int
) -> None:
    guard = Guard(ratio, events, agencies)
    judged, refused = dict.fromkeys("abcde", 0), dict.fromkeys("abcde", 0)
    for agency, good, bad in counted:
        judged[agency] += good + bad
        refused[agency] += bad
        failing = [a for a in "abcde" if judged[a] >= events and refused[a] >= ratio * judged[a]]
        assert trips(guard, (agency, good, bad)) == (bad > 0 and len(failing) >= agencies)
