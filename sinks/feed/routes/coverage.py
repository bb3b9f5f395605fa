"""How many indicators are connected and live."""

import datetime as dt
from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Response

from sinks.feed import coverage as counting
from sinks.feed import models
from sinks.feed.feed import Feed, feed_of

router = APIRouter(tags=["catalogue"])


@router.get("/v1/coverage", response_class=Response, responses={200: {"model": models.Coverage}})
async def coverage(feed: Annotated[Feed, Depends(feed_of)]) -> Response:
    """Count indicators: connected since a date or by an accepted event, live by one within the frequency."""
    document = counting.coverage(feed.catalogue, await feed.store.received(), dt.datetime.now(dt.UTC))
    return Response(orjson.dumps(document), media_type="application/json")
