"""What was due on a day, and what of it is there."""

from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Response

from sinks.feed import completeness as judging
from sinks.feed import models
from sinks.feed.feed import Feed, feed_of
from sinks.feed.routes.parameters import Day

router = APIRouter(tags=["catalogue"])


@router.get("/v1/completeness/{day}", response_class=Response, responses={200: {"model": models.Completeness}})
async def completeness(feed: Annotated[Feed, Depends(feed_of)], day: Day) -> Response:
    """List the regimes' windows whose deadline is on the day, with the indicators that have no figure for them."""
    due = judging.duties(feed.catalogue, day)
    codes = sorted({code for duty in due for code in duty.indicators})
    reported = await feed.store.reported(codes, [duty.period.day for duty in due]) if due else set()
    return Response(
        orjson.dumps(judging.completeness(feed.catalogue, day, due, reported)), media_type="application/json"
    )
