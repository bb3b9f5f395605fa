"""The day in Viet Nam for tests that would fail if it ended meanwhile: midnight there is 17:00 UTC."""

import datetime as dt

from schemas.period import LOCAL
from tests.support.wait import wait_for


def day_lasting(seconds: float) -> dt.date:
    """Give the day, which goes on for so long at least; where midnight is nearer, wait for the next."""

    def day() -> dt.date | None:
        now = dt.datetime.now(LOCAL)
        return now.date() if (now + dt.timedelta(seconds=seconds)).date() == now.date() else None

    return wait_for(day, "midnight in Viet Nam to pass", within=seconds + 5, every=0.2)
