"""The daily report and its stream."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from sinks.feed import models
from sinks.feed.bodies import Body, BodyResponse, question_of
from sinks.feed.feed import Feed, feed_of
from sinks.feed.report import Selection, document
from sinks.feed.routes.parameters import Day, Instant

router = APIRouter(tags=["daily"])
TheFeed = Annotated[Feed, Depends(feed_of)]


@router.get(
    "/v1/daily/stream",
    response_class=Response,
    responses={
        200: {
            "description": (
                "`event: line` has a line of the report as data and its offset in gris.daily as id; `event: reset` "
                "says that the log does not have the id: fetch the report again, its cursor continues. "
                "Comments are heartbeats."
            ),
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        }
    },
)
async def stream(
    feed: TheFeed,
    last_event_id: Annotated[str | None, Header(description="resumes at the next id; wins over `after`")] = None,
    after: Annotated[
        int | None, Query(description="resumes at the next id; without either the stream starts now")
    ] = None,
    accept_encoding: Annotated[str, Header(description="deflate, or none")] = "",
) -> Response:
    """Follow the lines as they change, as server-sent events."""
    return await feed.streams.answer(last_event_id, after, accept_encoding)


@router.get(
    "/v1/daily/{day}",
    response_class=Response,
    responses={
        200: {
            "model": models.DailyReport,
            "description": "The report",
            "headers": {name: {"schema": {"type": "string"}} for name in ("ETag", "Content-Encoding", "Vary")},
        },
        304: {"description": "The report with the ETag of If-None-Match is still the newest"},
    },
)
async def daily(
    request: Request,
    feed: TheFeed,
    day: Day,
    area: Annotated[
        list[str] | None, Query(description="areas to keep in `areas`; repeated or joined by commas")
    ] = None,
    domain: Annotated[str | None, Query(description="only indicators of this domain")] = None,
    indicator: Annotated[str | None, Query(description="only this indicator")] = None,
    fields: Annotated[
        list[str] | None, Query(description="members of a line to keep; repeated or joined by commas")
    ] = None,
    as_of: Annotated[Instant | None, Query(description="only statements received up to this instant")] = None,
    if_none_match: Annotated[str, Header()] = "",  # noqa: ARG001 - described here, read where the body is sent
    accept_encoding: Annotated[str, Header(description="zstd or gzip; each has an ETag of its own")] = "",  # noqa: ARG001
) -> Response:
    """Give the newest bucket of every indicator on or before the day."""
    selection = Selection.read(feed.catalogue, area=area, fields=fields, domain=domain, indicator=indicator)
    codes = [found.code for found in selection.indicators(feed.catalogue)]
    feed.live.require_cursor()
    stamp = feed.live.stamp

    async def make() -> Body:
        view = await (feed.days.now(day, codes) if as_of is None else feed.days.then(day, codes, as_of))
        return Body(stamp or (feed.live.epoch, view.cursor), document(view, feed.catalogue, selection, as_of))

    return BodyResponse(await feed.bodies.made(question_of(request.scope), stamp, make))
