"""The feed: one application of routes, pages and the follower of gris.daily."""

import asyncio
import contextlib
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Iterator
from importlib.metadata import version
from types import FrameType
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from schemas.catalogue import load
from sinks.feed import models, problem
from sinks.feed.bodies import Shortcut
from sinks.feed.feed import Feed
from sinks.feed.metrics import FeedMetrics
from sinks.feed.pages import pages
from sinks.feed.routes import completeness, coverage, daily, health, indicators, observations, submissions
from sinks.feed.settings import FeedSettings

GRACE_SECONDS = 5
STOP_SECONDS = 8.0
STOPS = (signal.SIGTERM, signal.SIGINT)
FIRST_ERROR = 400
ROUTERS = (daily, indicators, observations, submissions, coverage, completeness, health)
PROBLEMS: dict[int | str, dict[str, Any]] = {
    422: {"model": models.Problem, "description": "A parameter does not fit; the detail says what is allowed"},
    503: {"model": models.Problem, "description": "Kafka or ClickHouse is away for a moment; ask again"},
}

log = structlog.get_logger("gris.feed")


def create_app(settings: FeedSettings) -> FastAPI:
    """Compose the application. It starts, and answers what it can, while Kafka and ClickHouse are away."""
    feed = Feed.of(settings, load(settings.catalogue))

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        log.info("starting", **settings.masked())
        follower = asyncio.create_task(feed.live.follow(), name="follow gris.daily")
        try:
            yield
        finally:
            feed.live.close()
            follower.cancel()
            await asyncio.gather(follower, return_exceptions=True)
            feed.store.close()

    app = FastAPI(
        title="GRIS feed",
        summary="The daily report of government indicators, live.",
        version=version("gris"),
        lifespan=lifespan,
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
    )
    app.state.feed = feed
    for module in ROUTERS:
        app.include_router(module.router, responses=PROBLEMS)
    app.include_router(pages.router, include_in_schema=False)
    problem.install(app)
    app.add_middleware(Shortcut, bodies=feed.bodies, live=feed.live)
    app.add_middleware(Measured, metrics=feed.metrics)
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]
    return app


def serve(settings: FeedSettings) -> None:
    """Run the feed until SIGTERM or SIGINT."""
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        settings.host,
        settings.port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=GRACE_SECONDS,
        server_header=False,
    )
    FeedServer(config, app.state.feed).run()
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)  # as it ends, the interpreter gives handlers back: the next would kill


class FeedServer(uvicorn.Server):
    """Ends the streams when told to stop: they would never end by themselves."""

    def __init__(self, config: uvicorn.Config, feed: Feed) -> None:
        super().__init__(config)
        self._feed = feed

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Heed SIGTERM and SIGINT to the end of the process, however often they come.

        uvicorn's own gives them back when it has stopped, and raises them again: the process would end by them and not
        with exit code 0.
        """
        if threading.current_thread() is threading.main_thread():
            for number in STOPS:
                signal.signal(number, self.handle_exit)
        yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop in order, but soon: a database that hangs would keep a question's thread for minutes.

        Told again, it goes on stopping: at a SIGINT, uvicorn would leave out what ends the follower and the store.
        """
        if self.should_exit:
            return
        cut = threading.Timer(STOP_SECONDS, os._exit, (0,))
        cut.daemon = True
        cut.start()
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[Any] | None = None) -> None:
        """Stop as uvicorn does, the streams first."""
        self._feed.live.close()
        await super().shutdown(sockets)


class Measured:
    """Middleware: counts every answer by route, and times all but streams."""

    def __init__(self, app: ASGIApp, metrics: FeedMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and measure."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()

        async def measured(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = scope.get("gris.route") or getattr(scope.get("route"), "path", "none")
                self._metrics.requests.labels(route, scope["method"], message["status"]).inc()
                self._metrics.request_seconds.labels(route).observe(time.perf_counter() - began)
            await send(message)

        await self._app(scope, receive, measured)


def _described(app: FastAPI) -> dict[str, Any]:
    """Describe the interface, errors as application/problem+json."""
    if app.openapi_schema is None:
        document = FastAPI.openapi(app)
        for path in document["paths"].values():
            for operation in path.values():
                for status, response in operation["responses"].items():
                    if (
                        status.isdigit()
                        and int(status) >= FIRST_ERROR
                        and "application/json" in response.get("content", {})
                    ):
                        response["content"][problem.MEDIA_TYPE] = response["content"].pop("application/json")
        app.openapi_schema = document
    return app.openapi_schema
