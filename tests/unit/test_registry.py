import base64
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from schemas.codec import EventCodec, UnknownSchema
from schemas.errors import Fatal, Retry
from schemas.reasons import Reason
from schemas.registry import BundledSchemas, RegistrySchemas
from schemas.spans import Spans
from tests.support.schema_shelf import version
from tests.support.wire import event, frame

GOOD = event("G18.001", "01", "2026-11-23", 12.5)


class Registry(ThreadingHTTPServer):
    """A schema registry: answers by path, and the requests it got."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, tuple[int, Any]] = {}
        self.asked: list[tuple[str, str | None]] = []

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"

    def hold(self, schema_id: int, schema: Any, **more: Any) -> None:
        """Register a schema, with what else the answer says."""
        self.answers[f"/schemas/ids/{schema_id}"] = (200, {"schema": json.dumps(schema), **more})


class _Handler(BaseHTTPRequestHandler):
    server: Registry

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers["Authorization"]))
        status, answer = self.server.answers.get(self.path, (404, {"error_code": 40403, "message": "Schema not found"}))
        sent = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def registry() -> Iterator[Registry]:
    with _serving(Registry()) as server:
        yield server


@contextmanager
def _serving(server: Registry) -> Iterator[Registry]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_records_of_a_registered_schema_are_decoded_and_the_registry_is_asked_once(registry: Registry) -> None:
    registry.hold(301, version())
    codec = EventCodec(RegistrySchemas(registry.url + "/"))
    for _ in range(3):
        decoded = codec.decode(Spans.of([frame(GOOD, 301)] * 5))
        assert decoded.batch.num_rows == 5
        assert decoded.schema_ids.tolist() == [301] * 5
    assert registry.asked == [("/schemas/ids/301", None)]


def test_an_id_that_the_registry_does_not_hold_is_unknown_and_not_asked_for_every_record(registry: Registry) -> None:
    codec = EventCodec(RegistrySchemas(registry.url))
    for _ in range(3):
        refused = codec.decode(Spans.of([frame(GOOD, 302)] * 5)).refused
        assert [(each.reason, each.schema_id) for each in refused] == [(Reason.UNKNOWN_SCHEMA, 302)] * 5
    assert len(registry.asked) == 1


def test_an_absence_is_forgotten_soon(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    schemas = RegistrySchemas(registry.url)
    with pytest.raises(UnknownSchema):
        schemas.writer(303)
    registry.hold(303, version())
    with pytest.raises(UnknownSchema):
        schemas.writer(303)
    monkeypatch.setattr("schemas.registry.UNKNOWN_SECONDS", 0.0)
    assert schemas.writer(303).schema_id == 303


@pytest.mark.parametrize("schema_id", [0, 2**31, 2**32 - 1])
def test_an_id_that_no_registry_gives_is_unknown_without_asking(registry: Registry, schema_id: int) -> None:
    with pytest.raises(UnknownSchema, match=str(schema_id)):
        RegistrySchemas(registry.url).writer(schema_id)
    assert registry.asked == []


@pytest.mark.parametrize(
    "answer",
    [
        (500, {"error_code": 50001, "message": "backend"}),
        (503, b"down"),
        (401, {"error_code": 40101}),
        (429, b""),
        (200, b"<html>a proxy's page</html>"),
        (200, {"unexpected": 1}),
    ],
)
def test_a_registry_that_does_not_answer_the_question_is_a_retry(registry: Registry, answer: tuple[int, Any]) -> None:
    registry.answers["/schemas/ids/5"] = answer
    schemas = RegistrySchemas(registry.url)
    with pytest.raises(Retry, match="GRIS_REGISTRY"):
        schemas.writer(5)
    registry.hold(5, version())
    assert schemas.writer(5).schema_id == 5


def test_a_registry_that_cannot_be_reached_is_a_retry_and_never_an_unknown_schema() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://user:secret@127.0.0.1:{unused.getsockname()[1]}"
    with pytest.raises(Retry) as caught:
        EventCodec(RegistrySchemas(url)).decode(Spans.of([frame(GOOD, 5)]))
    assert "secret" not in str(caught.value)


def test_a_registry_that_accepts_and_stays_silent_is_a_retry() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(Retry):
            RegistrySchemas(url, timeout=0.1).writer(5)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"schemaType": "PROTOBUF"}, "not an Avro schema"),
        ({"references": [{"name": "x", "subject": "x", "version": 1}]}, "one piece"),
    ],
)
def test_a_schema_of_another_kind_is_unknown(registry: Registry, more: dict[str, Any], says: str) -> None:
    registry.hold(6, version(), **more)
    with pytest.raises(UnknownSchema, match=says):
        RegistrySchemas(registry.url).writer(6)


def test_the_password_goes_into_the_header_and_not_into_the_request_line(registry: Registry) -> None:
    registry.hold(7, version())
    RegistrySchemas(registry.url.replace("//", "//reader:p%40ss@")).writer(7)
    assert registry.asked == [("/schemas/ids/7", "Basic " + base64.b64encode(b"reader:p@ss").decode())]


@pytest.mark.parametrize("url", ["", "registry:8081", "file:///etc/passwd", "http://", "http://[::1"])
def test_a_setting_that_is_no_url_stops_the_process(url: str) -> None:
    with pytest.raises(Fatal, match="GRIS_REGISTRY"):
        RegistrySchemas(url)


def test_the_bundled_ids_are_those_of_the_package() -> None:
    bundled = BundledSchemas()
    assert bundled.writer(1).schema["name"] == "vn.gov.gris.IndicatorEvent"
    assert bundled.writer(1) is bundled.writer(1)
    with pytest.raises(UnknownSchema, match="99"):
        bundled.writer(99)
