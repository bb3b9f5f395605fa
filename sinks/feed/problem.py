"""Every error as RFC 9457 problem details."""

import http
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from schemas.errors import Fatal, Retry
from sinks.feed.report import SelectionError

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = "1"
FAULT = "The feed failed to answer, which is a fault on its side; its log says more."

log = structlog.get_logger("gris.feed")


class ProblemError(Exception):
    """An answer that is a problem: a status, a sentence, and members of its own."""

    def __init__(self, status: int, detail: str, **members: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.members = members


def answer(
    request: Request, status: int, detail: str, headers: Mapping[str, str] | None = None, **members: Any
) -> Response:
    """Write a problem of type about:blank: the title is the status' own phrase, the detail a sentence for people."""
    document = {
        "type": "about:blank",
        "title": http.HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": request.url.path,
        **members,
    }
    kept = {name: value for name, value in (headers or {}).items() if name.lower() != "content-length"}
    return Response(orjson.dumps(document), status, {**kept, "Cache-Control": "no-store"}, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make every error of the application a problem."""
    app.add_exception_handler(ProblemError, _problem)
    app.add_exception_handler(SelectionError, _selection)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Retry, _retry)
    app.add_exception_handler(Fatal, _fatal)
    app.add_exception_handler(Exception, _unexpected)


async def _problem(request: Request, error: Exception) -> Response:
    if not isinstance(error, ProblemError):
        raise error
    return answer(request, error.status, error.detail, **error.members)


async def _selection(request: Request, error: Exception) -> Response:
    if not isinstance(error, SelectionError):
        raise error
    return _refused(request, [{"parameter": error.parameter, "detail": str(error)}])


async def _invalid(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    faults = [{"parameter": str(fault["loc"][-1]), "detail": str(fault["msg"])} for fault in error.errors()]
    return _refused(request, faults)


async def _http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    sentences = {
        http.HTTPStatus.NOT_FOUND: "There is nothing at this address; /openapi.json lists what there is.",
        http.HTTPStatus.METHOD_NOT_ALLOWED: f"{request.method} is not possible here; the header Allow says what is.",
    }
    detail = sentences.get(http.HTTPStatus(error.status_code), str(error.detail))
    headers = dict(error.headers or {})
    if headers.get("Allow") == "GET":  # what the router knows; each GET can be asked for as a HEAD
        headers["Allow"] = "GET, HEAD"
    return answer(request, error.status_code, detail, headers)


async def _retry(request: Request, error: Exception) -> Response:
    return answer(request, http.HTTPStatus.SERVICE_UNAVAILABLE, str(error), {"Retry-After": RETRY_AFTER_SECONDS})


async def _fatal(request: Request, error: Exception) -> Response:
    log.error("fatal_answer", path=request.url.path, detail=str(error))
    return answer(request, http.HTTPStatus.INTERNAL_SERVER_ERROR, FAULT)


async def _unexpected(request: Request, error: Exception) -> Response:
    log.error("unexpected", path=request.url.path, error=type(error).__name__)
    return answer(request, http.HTTPStatus.INTERNAL_SERVER_ERROR, FAULT)


def _refused(request: Request, faults: Sequence[Mapping[str, str]]) -> Response:
    detail = " ".join(f"{fault['parameter']}: {fault['detail'].rstrip('.')}." for fault in faults)
    return answer(request, http.HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=list(faults))
