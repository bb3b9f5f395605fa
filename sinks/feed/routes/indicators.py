"""The catalogue's indicators."""

from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Query, Response

from schemas.catalogue import Indicator
from sinks.feed import models
from sinks.feed.feed import Feed, feed_of
from sinks.feed.line import exact

router = APIRouter(tags=["catalogue"])


@router.get("/v1/indicators", response_class=Response, responses={200: {"model": models.Indicators}})
async def indicators(
    feed: Annotated[Feed, Depends(feed_of)],
    agency: Annotated[str | None, Query(description="only indicators of this agency")] = None,
    domain: Annotated[str | None, Query(description="only indicators of this domain")] = None,
) -> Response:
    """List the indicators in the catalogue's order."""
    found = (
        entry(indicator)
        for indicator in feed.catalogue.indicators
        if agency in (None, indicator.agency) and domain in (None, indicator.domain)
    )
    return Response(f'{{"indicators":[{",".join(found)}]}}', media_type="application/json")


def entry(indicator: Indicator) -> str:
    """Write an indicator as JSON; its bounds digit by digit, as the catalogue has them."""
    texts = {
        "code": indicator.code,
        "agency": indicator.agency,
        "domain": indicator.domain,
        "name_vi": indicator.name_vi,
        "name_en": indicator.name_en,
        "kind": str(indicator.kind),
        "area_rollup": str(indicator.area_rollup),
        "unit": indicator.unit,
        "decimals": indicator.decimals,
        "min": orjson.Fragment(exact(indicator.min_ticks)),
        "max": orjson.Fragment(exact(indicator.max_ticks)),
        "frequency": str(indicator.frequency),
        "geography": indicator.geography,
        "breakdowns": indicator.breakdowns,
        "channel": indicator.channel,
        "connected_since": indicator.connected_since,
        "regime": indicator.regime,
        "calendar": str(indicator.calendar),
    }
    return orjson.dumps(texts).decode()
