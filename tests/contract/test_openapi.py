"""The feed's interface as a document, and its errors as problem details; with neither broker nor database in reach."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from deploy.local.ports import free_port
from tests.support.feed import RunningFeed, settings_for

PATHS = {
    "/v1/daily/{day}", "/v1/daily/stream", "/v1/indicators", "/v1/observations", "/v1/coverage",
    "/v1/submissions/{agency}/{submission}", "/v1/completeness/{day}", "/healthz", "/readyz", "/metrics",
}  # fmt: skip


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """Give a client of a feed whose broker and database are not there."""
    nowhere = f"127.0.0.1:{free_port()}"
    with RunningFeed(settings_for(nowhere, f"http://{nowhere}/gris")) as feed:
        yield feed.http


@pytest.fixture(scope="module")
def document(client: httpx.Client) -> Any:
    """Give the document as it is served."""
    return client.get("/openapi.json").json()


def test_the_document_has_every_path_and_nothing_else(document: Any) -> None:
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) == PATHS


def test_every_reference_in_the_document_leads_somewhere(document: Any) -> None:
    references = set(re.findall(r"'\$ref': '#/components/schemas/(\w+)'", str(document)))

    assert references
    assert references <= set(document["components"]["schemas"])


def test_every_json_answer_has_a_schema_of_its_own(document: Any) -> None:
    for path in PATHS - {"/v1/daily/stream", "/metrics"}:
        schema = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        assert schema["$ref"], path


def test_errors_are_described_as_problem_details(document: Any) -> None:
    for path, operations in document["paths"].items():
        for status in ("422", "503"):
            content = operations["get"]["responses"][status]["content"]
            assert set(content) == {"application/problem+json"}, path


def test_every_operation_says_what_it_does(document: Any) -> None:
    assert all(operations["get"]["description"] for operations in document["paths"].values())


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/v1/submissions/nobody/x", 404),
        ("GET", "/indicators/nothing", 404),
        ("GET", "/static/nothing.js", 404),
        ("POST", "/v1/indicators", 405),
        ("DELETE", "/v1/daily/2026-11-23", 405),
        ("GET", "/v1/daily/2026-13-01", 422),
        ("GET", "/v1/daily/20261123", 422),
        ("GET", "/v1/daily/1795413600", 422),
        ("GET", "/v1/daily/2026-11-23?area=ZZZ", 422),
        ("GET", "/v1/daily/2026-11-23?fields=valeu", 422),
        ("GET", "/v1/daily/2026-11-23?domain=77", 422),
        ("GET", "/v1/daily/2026-11-23?as_of=yesterday", 422),
        ("GET", "/v1/daily/2026-11-23?as_of=2026-11-23T00:00:00", 422),
        ("GET", "/v1/daily/stream?after=x", 422),
        ("GET", "/v1/observations?limit=0", 422),
        ("GET", "/v1/observations?after=x", 422),
        ("GET", "/v1/observations?indicator=x", 422),
        ("GET", "/v1/observations?format=xml", 422),
        ("GET", "/v1/completeness/today", 422),
        ("GET", "/v1/daily/2026-11-23", 503),
        ("GET", "/v1/daily/stream", 503),
        ("GET", "/v1/observations", 503),
        ("GET", "/v1/submissions/g18/x", 503),
        ("GET", "/v1/coverage", 503),
        ("GET", "/v1/completeness/2026-11-24", 503),
        ("GET", "/readyz", 503),
    ],
)
def test_every_error_is_a_problem_with_a_sentence(client: httpx.Client, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == "about:blank"
    assert problem["status"] == status
    assert problem["instance"] == path.partition("?")[0]
    assert len(problem["detail"]) > 20
    assert ("errors" in problem) <= (status == 422)
    assert ("retry-after" in answer.headers) <= (status == 503)
    assert answer.headers.get("allow") == ("GET, HEAD" if status == 405 else None)


def test_a_parameter_that_does_not_fit_is_named_with_what_is_allowed(client: httpx.Client) -> None:
    problem = client.get("/v1/daily/2026-02-30").json()

    assert problem["errors"][0]["parameter"] == "day"
    assert "2026-02-30" in problem["detail"]
    assert "allowed is a day like" in problem["detail"]


def test_what_needs_no_outside_system_is_answered_without_any(client: httpx.Client) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    entries = client.get("/v1/indicators").json()["indicators"]
    assert len(entries) == 200
    assert entries[0]["breakdowns"][0] == "_T"
    assert all(entry["domain"] == "7" for entry in client.get("/v1/indicators?domain=7").json()["indicators"])


@pytest.mark.parametrize(
    "path", ["/", "/?lang=en&day=2026-11-23", "/indicators/G18.001", "/indicators/G18.001?lang=en"]
)
def test_pages_load_nothing_from_elsewhere(client: httpx.Client, path: str) -> None:
    answer = client.get(path)

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", answer.text)
    for found in re.findall(r'(?:src|href)="(/static/[^"]+)"', answer.text):
        assert client.get(found).status_code == 200


def test_a_page_is_in_the_language_asked_for(client: httpx.Client) -> None:
    assert '<html lang="vi">' in client.get("/").text
    assert '<html lang="en">' in client.get("/?lang=en").text
    assert client.get("/?lang=fr").status_code == 422
