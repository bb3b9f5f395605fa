"""Agencies whose schemas evolve: the worker asks the registry, waits for it, and never refuses because it is away."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

import schemas
from deploy.local.ports import free_port
from tests.support.sending import Record, send
from tests.support.stack import Stack, running_stack
from tests.support.wait import wait_for
from tests.support.wire import body, event, text

OURS = json.loads((Path(schemas.__file__).parent / "indicator_event.v1.avsc").read_text(encoding="utf-8"))
EVOLVED = OURS | {"fields": [*OURS["fields"], {"name": "clerk", "type": "string", "default": ""}]}
SHORTER = OURS | {"fields": [field for field in OURS["fields"] if field["name"] != "note"]}
FOREIGN = OURS | {"fields": [field for field in OURS["fields"] if field["name"] != "indicator"]}
SCHEMAS = {101: OURS, 102: EVOLVED, 103: SHORTER, 104: FOREIGN}
DAY = "2026-10-02"


class Registry(BaseHTTPRequestHandler):
    """Answers `GET /schemas/ids/{id}` as Confluent's registry does."""

    def do_GET(self) -> None:
        """Answer a schema, or 404."""
        _, _, number = self.path.partition("/schemas/ids/")
        known = SCHEMAS.get(int(number)) if number.isdigit() else None
        answer = (
            {"error_code": 40403, "message": "Schema not found"} if known is None else {"schema": json.dumps(known)}
        )
        content = json.dumps(answer).encode()
        self.send_response(404 if known is None else 200)
        self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """Run broker and database on the bundled catalogue."""
    with running_stack(tmp_path) as running:
        yield running


def framed(schema_id: int, packed: bytes) -> Record:
    return Record("gris.events.g01", b"G01.001", b"\x00" + schema_id.to_bytes(4, "big") + packed)


def test_events_wait_for_the_registry_and_are_read_as_it_says(stack: Stack) -> None:
    port = free_port()
    worker = stack.worker(settings={"GRIS_REGISTRY": f"http://127.0.0.1:{port}"})
    packed = [body(event("G01.001", area, DAY, 3)) for area in ("01", "04", "08", "11", "12")]
    records = [
        framed(101, packed[0]),
        framed(102, packed[1] + text("Nguyễn Văn A")),
        framed(103, packed[2][:-1]),
        framed(104, packed[3]),
        framed(999, packed[4]),
    ]
    send(stack.bootstrap, records)
    ready = f"{stack.metrics['worker-1']}/readyz"

    def waits() -> bool:
        with contextlib.suppress(httpx.TransportError):
            answer = httpx.get(ready)
            return answer.status_code != httpx.codes.OK and "registry" in answer.text.lower()
        return False

    wait_for(waits, "the worker to say that it waits for the registry", within=60)
    assert stack.stored() == 0
    assert stack.query("SELECT count() FROM rejected") == [[0]]

    server = ThreadingHTTPServer(("127.0.0.1", port), Registry)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        stack.wait_caught_up(alive=[worker])
    finally:
        server.shutdown()
        server.server_close()
    accepted = stack.query("SELECT offset, area, toFloat64(value) FROM observations FINAL ORDER BY offset")
    assert accepted == [[0, "01", 3], [1, "04", 3], [2, "08", 3]]
    rejected = stack.query("SELECT offset, reason, schema_id FROM rejected FINAL ORDER BY offset")
    assert rejected == [[3, "UNKNOWN_SCHEMA", 104], [4, "UNKNOWN_SCHEMA", 999]]
    stack.run("check")
