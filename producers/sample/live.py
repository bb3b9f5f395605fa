"""The sample at present time: the running day's figures, told again and again as they grow, until nobody listens.

A running figure is provisional (P) and keeps revision 0: with equal revisions the later statement wins, so the closing
figure of the day, and the corrections of the next, take its place.
"""

import dataclasses
import datetime as dt
import time
from collections.abc import Callable, Iterator

from producers.sample.figures import Figure
from producers.sample.noise import uniform
from producers.sample.statement import Statement
from producers.sample.story import Group, Telling, statements
from producers.sample.week import groups, is_open, sampled
from schemas.catalogue import Catalogue, Indicator, Kind
from schemas.period import LOCAL, Frequency, Period, containing

Clock = Callable[[], dt.datetime]
IDLE = 60.0  # seconds until it is looked again whether anything is open, when nothing is


def live(
    catalogue: Catalogue, seed: int, speed: float, clock: Clock = lambda: dt.datetime.now(LOCAL)
) -> Iterator[list[Statement]]:
    """Give the statements due in each second, ``speed`` of them on average, and sleep between; it never ends."""
    due = time.monotonic()
    batch: list[Statement] = []
    for group in rounds(catalogue, seed, clock):
        if group:
            batch += group
        if batch and (not group or len(batch) >= speed):
            yield batch
            due = max(due, time.monotonic() - 1.0) + len(batch) / speed
            batch = []
            time.sleep(max(0.0, due - time.monotonic()))  # keeping pace, not waiting for anything
        if not group:
            time.sleep(IDLE)


def rounds(catalogue: Catalogue, seed: int, clock: Clock) -> Iterator[list[Statement]]:
    """Tell every open group's figure as it stands, in an order by chance, round after round; [] for an empty round."""
    current: dict[str, Period] = {}
    for number in range(1 << 62):
        due: list[tuple[float, Group, Figure]] = []
        for indicator in sampled(catalogue):
            period = _running(catalogue, indicator, clock())
            before = current.get(indicator.code)
            if before is not None and before != period:
                yield from _closing(catalogue, indicator, before, seed, clock)
                del current[indicator.code]
            if period is None:
                continue
            current[indicator.code] = period
            for group, figure in groups(catalogue, indicator, period, seed):
                due.append((uniform(seed, "turn", number, indicator.code, group.place.code), group, figure))
        due.sort(key=lambda turn: turn[0])
        if not due:
            yield []
        for _, group, figure in due:
            now = clock()
            if now < group.window_end or group.teller.indicator.frequency is Frequency.HOURLY:
                yield list(statements(group, so_far(group, figure, now), Telling(now, 0, "P")))


def so_far(group: Group, figure: Figure, now: dt.datetime) -> Figure:
    """Give a flow as far as its window has come; any other figure stands at any moment."""
    teller, start = group.teller, group.period.start(group.teller.indicator.calendar)
    if teller.indicator.kind is not Kind.FLOW or now >= group.window_end:
        return figure
    done = (now - start) / (group.window_end - start)
    total = teller.clipped(int(figure.total * done))
    return dataclasses.replace(figure, total=total, parts=teller.divided(total, figure.parts))


def _running(catalogue: Catalogue, indicator: Indicator, now: dt.datetime) -> Period | None:
    """Name the period that is open now; of hours the last whole one, which its station has just sent."""
    if indicator.frequency.months:
        return None
    period = containing(now, indicator.frequency)
    if indicator.frequency is Frequency.HOURLY:
        period = period.previous()
    return period if is_open(catalogue, indicator, period.bucket) else None


def _closing(
    catalogue: Catalogue, indicator: Indicator, period: Period, seed: int, clock: Clock
) -> Iterator[list[Statement]]:
    """Tell the final figures of a window that has ended since."""
    if indicator.frequency is Frequency.HOURLY:
        return  # was told whole already
    for group, figure in groups(catalogue, indicator, period, seed):
        yield list(statements(group, figure, Telling(clock(), 0, group.teller.profile.first)))
