"""What became of a submission."""

from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Path, Response

from sinks.feed import models
from sinks.feed.feed import Feed, feed_of
from sinks.feed.line import instant
from sinks.feed.problem import ProblemError

router = APIRouter(tags=["submissions"])


@router.get(
    "/v1/submissions/{agency}/{submission}",
    response_class=Response,
    responses={200: {"model": models.Submission}, 404: {"model": models.Problem, "description": "No such agency"}},
)
async def submission(
    feed: Annotated[Feed, Depends(feed_of)],
    agency: str,
    submission: Annotated[str, Path(description="the agency's own reference")],
) -> Response:
    """Count what was accepted of a submission and list what was rejected: nothing, for one not heard of (yet)."""
    if feed.catalogue.agency(agency) is None:
        raise ProblemError(404, f"There is no agency {agency[:80]!r}; /v1/coverage lists them.")
    accepted, refused = await feed.store.submission(agency, submission)
    document = {
        "agency": agency,
        "submission": submission,
        "accepted": accepted,
        "rejected": [record._asdict() | {"received_at": instant(record.received_at)} for record in refused],
    }
    return Response(orjson.dumps(document), media_type="application/json")
