"""Whether the process is up, whether it can answer, and what it measures."""

import contextlib
from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Response

from schemas.errors import GrisError
from sinks.feed import models
from sinks.feed.feed import Feed, feed_of
from sinks.feed.problem import ProblemError

router = APIRouter(tags=["health"])


@router.get("/healthz", response_class=Response, responses={200: {"model": models.Health}})
async def healthz() -> Response:
    """Answer as long as the process runs."""
    return Response(orjson.dumps({"status": "ok"}), media_type="application/json")


@router.get("/readyz", response_class=Response, responses={200: {"model": models.Readiness}})
async def readyz(feed: Annotated[Feed, Depends(feed_of)]) -> Response:
    """Answer 200 when ClickHouse answers and gris.daily is taken in; else 503, saying what is wrong."""
    with contextlib.suppress(GrisError):  # the store remembers it
        await feed.store.ping()
    if wrong := troubles(feed):
        raise ProblemError(503, " ".join(wrong), ready=False)
    return Response(orjson.dumps({"ready": True, "cursor": feed.live.cursor}), media_type="application/json")


@router.get(
    "/metrics", response_class=Response, responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}
)
async def metrics(feed: Annotated[Feed, Depends(feed_of)]) -> Response:
    """Give the feed's metrics in Prometheus' text format."""
    feed.metrics.ready.set(not troubles(feed))
    return Response(feed.metrics.exposed(), headers={"Content-Type": feed.metrics.content_type})


def troubles(feed: Feed) -> list[str]:
    """Say what keeps the feed from answering in full, a sentence each."""
    wrong = [trouble for trouble in (feed.live.trouble, feed.store.trouble) if trouble is not None]
    if not wrong and not feed.live.caught_up:
        wrong.append("The feed is still taking in gris.daily; ask again in a moment.")
    return list(dict.fromkeys(wrong))
