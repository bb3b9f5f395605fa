"""What `gris rejects` and `gris replay` ask alike: which rejects are meant."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import click

from schemas.period import LOCAL
from schemas.reasons import Reason
from sinks.clickhouse.rejects import Place, Selection, State


class Moment(click.ParamType):
    """A date or an instant of ISO 8601; without an offset it is Viet Nam's time, a date alone its beginning."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dt.datetime:
        """Read it as an aware datetime."""
        if isinstance(value, dt.datetime):
            return value
        try:
            moment = dt.datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no moment; write 2026-11-23 or 2026-11-23T06:30 (Viet Nam's time).", param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=LOCAL)


class PlaceOf(click.ParamType):
    """Where a record lies."""

    name = "topic:partition:offset"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Place:
        """Read it as a Place."""
        if isinstance(value, Place):
            return value
        try:
            return Place.parse(value)
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


REASONS = click.Choice([reason.name for reason in Reason], case_sensitive=False)
FILTERS = (
    click.option(
        "--agency", "agencies", multiple=True, help="Of this agency: g18. May be repeated, as the next three."
    ),
    click.option("--reason", "reasons", multiple=True, type=REASONS, metavar="REASON", help="Refused for this reason."),
    click.option("--indicator", "indicators", multiple=True, help="Of this indicator, where it could be read."),
    click.option("--submission", "submissions", multiple=True, help="Of this submission, where it could be read."),
    click.option("--since", type=Moment(), help="Received at or after this moment (Viet Nam's time)."),
    click.option("--until", type=Moment(), help="Received before this moment."),
)
STATES = {State.OPEN: "Not yet replayed", State.CLOSED: "A replay of it was accepted", State.ALL: "Both"}


def filters(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the filters to a command; it hands what it is given to ``selected``."""
    for option in reversed(FILTERS):
        command = option(command)
    return command


def states(usual: State) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add --open, --closed and --all to a command; ``usual`` is meant where none of them is given."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for state, text in reversed(STATES.items()):
            help_ = f"{text} (the default)." if state is usual else f"{text}."
            command = click.option(f"--{state}", "state", flag_value=state, default=usual, help=help_)(command)
        return command

    return add


def selected(places: tuple[Place, ...] = (), state: State = State.OPEN, **given: Any) -> Selection:
    """Make the selection of a command's filters."""
    return Selection(places=places, state=State(state), **given)
