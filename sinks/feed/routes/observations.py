"""The statements behind the totals, as JSON or CSV, page by page."""

import base64
import csv
import io
from collections.abc import Sequence
from typing import Annotated, Literal
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import ConfigDict, TypeAdapter

from schemas.catalogue import Catalogue
from sinks.feed import models
from sinks.feed.feed import Feed, feed_of
from sinks.feed.line import TICK_DECIMALS, exact, instant, number
from sinks.feed.problem import ProblemError
from sinks.feed.queries import Place, Statement, StatementFilter
from sinks.feed.routes.parameters import Day, Instant, read_day

MOST = 100_000
COLUMNS = Statement._fields
PLACE = TypeAdapter(Place, config=ConfigDict(strict=True))

router = APIRouter(tags=["observations"])


@router.get(
    "/v1/observations",
    response_class=Response,
    responses={
        200: {
            "model": models.Observations,
            "description": "The statements; the header Link names the next page",
            "content": {"text/csv": {"schema": {"type": "string"}}},
        }
    },
)
async def observations(
    request: Request,
    feed: Annotated[Feed, Depends(feed_of)],
    indicator: str | None = None,
    area: str | None = None,
    first: Annotated[Day | None, Query(alias="from", description="first bucket")] = None,
    last: Annotated[Day | None, Query(alias="to", description="last bucket, included")] = None,
    as_of: Annotated[Instant | None, Query(description="only statements received up to this instant")] = None,
    form: Annotated[Literal["json", "csv"] | None, Query(alias="format", description="wins over Accept")] = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 10_000,
    after: Annotated[str | None, Query(description="where the page before ended, from its `next`")] = None,
    accept: Annotated[str, Header(include_in_schema=False)] = "",
) -> Response:
    """List accepted statements, all revisions of them, by indicator, bucket, area, breakdown, period and version."""
    if indicator is not None and feed.catalogue.indicator(indicator) is None:
        raise ProblemError(422, f"indicator: There is no indicator {indicator[:80]!r}; see /v1/indicators.")
    wanted = StatementFilter(indicator, area, first, last, as_of)
    found = await feed.store.statements(wanted, None if after is None else read_place(after), limit + 1)
    page, following = found[:limit], None
    if len(found) > limit:
        query = [(name, value) for name, value in request.query_params.multi_items() if name != "after"]
        following = f"{request.url.path}?{urlencode([*query, ('after', write_place(page[-1]))])}"
    headers = {"Vary": "Accept"} | ({} if following is None else {"Link": f'<{following}>; rel="next"'})
    if form == "csv" or (form is None and accept.startswith("text/csv")):
        return Response(as_csv(page, feed.catalogue), headers=headers, media_type="text/csv")
    return Response(as_json(page, following, feed.catalogue), headers=headers, media_type="application/json")


def as_json(page: Sequence[Statement], following: str | None, catalogue: Catalogue) -> bytes:
    """Write a page as JSON."""
    rows = [
        statement._asdict()
        | {
            "value": orjson.Fragment(number(statement.value, decimals_of(statement, catalogue))),
            "base": orjson.Fragment(exact(statement.base)),
            "observed_at": instant(statement.observed_at),
            "received_at": instant(statement.received_at),
        }
        for statement in page
    ]
    return orjson.dumps({"observations": rows, "next": following})


def as_csv(page: Sequence[Statement], catalogue: Catalogue) -> str:
    """Write a page as CSV (RFC 4180): the members of the JSON as columns, an empty cell for null."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for statement in page:
        cells = statement._asdict() | {
            "value": "" if statement.value is None else number(statement.value, decimals_of(statement, catalogue)),
            "base": "" if statement.base is None else exact(statement.base),
            "note": harmless(statement.note or ""),
            "observed_at": instant(statement.observed_at),
            "received_at": instant(statement.received_at),
        }
        writer.writerow(cells.values())
    return text.getvalue()


def harmless(text: str) -> str:
    """Keep a spreadsheet from running a free text as a formula (OWASP, CSV injection)."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def decimals_of(statement: Statement, catalogue: Catalogue) -> int:
    """Give the decimals of a statement's figure."""
    indicator = catalogue.indicator(statement.indicator)
    return TICK_DECIMALS if indicator is None else indicator.decimals


def write_place(statement: Statement) -> str:
    """Name the place of a statement, for ``after``."""
    place = [getattr(statement, name) for name in Place._fields]
    return base64.urlsafe_b64encode(orjson.dumps(place)).decode().rstrip("=")


def read_place(text: str) -> Place:
    """Read a place back; ProblemError for a text that names none."""
    try:
        parts = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        place = PLACE.validate_python(parts)
        read_day(place.bucket)
    except ValueError:  # of base64, JSON, pydantic and the day alike
        raise ProblemError(
            422, "after: found no place; use the address that `next` of the page before gives."
        ) from None
    return place
