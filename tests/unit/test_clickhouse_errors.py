"""What ClickHouse says, sorted by what the caller must do: try again, or stop. Nothing is refused because of it."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pyarrow as pa
import pytest
from clickhouse_connect.driver.exceptions import (
    DatabaseError,
    DataError,
    OperationalError,
    ProgrammingError,
    StreamFailureError,
)
from urllib3.exceptions import IncompleteRead, ProtocolError

from deploy.rebuild.events import beside
from schemas.errors import Fatal, Retry
from sinks.clickhouse.client import REMEDIES, RETRY, Client, connect, sorted_error

DOING = "INSERT INTO observations"


def said(code: int, text: str = "it went wrong") -> DatabaseError:
    return DatabaseError(f"Code: {code}. DB::Exception: {text}", code=code, name="SOME_NAME")


@pytest.mark.parametrize("code", sorted(RETRY))
def test_what_may_pass_is_tried_again_and_named(code: int) -> None:
    error = sorted_error(said(code), DOING)
    assert isinstance(error, Retry)
    assert RETRY[code] in str(error)
    assert DOING in str(error)


@pytest.mark.parametrize("code", [*sorted(REMEDIES), 53, 62, 321, 407, 1001])
def test_what_no_repetition_mends_stops_the_worker(code: int) -> None:
    error = sorted_error(said(code), DOING)
    assert isinstance(error, Fatal)
    assert f"code {code}" in str(error)
    assert REMEDIES.get(code, "it went wrong") in str(error)


@pytest.mark.parametrize("code", [159, 202, 209, 210, 236, 241, 243, 252, 319, 425, 571, 692, 762, 999])
def test_what_passes_by_itself_never_stops_the_worker(code: int) -> None:
    assert isinstance(sorted_error(said(code), DOING), Retry)


@pytest.mark.parametrize(("code", "remedy"), [(243, "make room"), (242, "see Keeper"), (285, "start them")])
def test_an_obstacle_that_somebody_must_remove_says_how(code: int, remedy: str) -> None:
    assert remedy in str(sorted_error(said(code), DOING))


def test_too_many_parts_pass_but_too_many_partitions_in_one_insert_do_not() -> None:
    assert isinstance(sorted_error(said(252, "Too many parts (3000)"), DOING), Retry)
    stopped = sorted_error(said(252, "Too many partitions for single INSERT block (more than 100)"), DOING)
    assert isinstance(stopped, Fatal)
    assert "max_partitions_per_insert_block" in str(stopped)


@pytest.mark.parametrize(
    "cause",
    [ConnectionResetError(104, "reset"), ProtocolError("aborted"), IncompleteRead(7, 9)],
)
def test_a_network_that_fails_is_tried_again_also_below_an_error_of_the_driver(cause: Exception) -> None:
    assert isinstance(sorted_error(cause, DOING), Retry)
    wrapped = OperationalError("Error executing HTTP request")
    wrapped.__cause__ = cause
    error = sorted_error(wrapped, DOING)
    assert isinstance(error, Retry)
    assert "GRIS_CLICKHOUSE" in str(error)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_gateway_before_the_server_is_tried_again(status: int) -> None:
    assert isinstance(sorted_error(DatabaseError(f"HTTPDriver returned response code {status}"), DOING), Retry)


def test_what_the_driver_itself_refuses_stops_the_worker() -> None:
    assert isinstance(sorted_error(ProgrammingError("no such column"), DOING), Fatal)


def test_no_figure_of_a_statement_reaches_the_message() -> None:
    error = DataError("Code: 407. DB::Exception: Value '123456789' of row `secret` 98765432", code=407, name="X")
    assert not {"123456789", "98765432", "secret"} & set(str(sorted_error(error, DOING)).replace("'", " ").split())


class Halved:
    """A driver whose answer breaks off in the middle, with an exception behind it, as the server does it."""

    def __init__(self, answer: bytes) -> None:
        self.database = ""
        self._answer = answer

    def raw_query(self, *_: object, **__: object) -> bytes:
        return self._answer


def test_an_answer_that_breaks_off_is_asked_for_again() -> None:
    table = pa.table({"a": list(range(10_000))})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    whole = sink.getvalue().to_pybytes()
    assert Client(Halved(whole), "gris").arrow("SELECT 1").num_rows == 10_000
    for broken in (whole[:100], whole[: len(whole) // 2] + b"Code: 241. DB::Exception: Memory limit exceeded", b""):
        with pytest.raises(Retry, match="broke off"):
            Client(Halved(broken), "gris").arrow("SELECT 1")


def test_a_server_that_takes_a_connection_and_says_nothing_is_a_retry_within_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sinks.clickhouse.client.GREETING_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(Retry, match="ClickHouse cannot be reached"):
        connect(f"http://127.0.0.1:{silent.getsockname()[1]}/gris")


@pytest.mark.parametrize(
    "url",
    [
        "http://gris:hidden@127.0.0.1:abc/gris",
        "http://gris:hidden@127.0.0.1:99999/gris",
        "http://gris:hidden@[::1/gris",
        "http://gris:hidden@127.0.0.1",
        "clickhouse://gris:hidden@127.0.0.1/gris",
        "127.0.0.1:8123/gris",
    ],
)
def test_an_address_that_is_none_is_told_with_how_one_looks_and_without_the_password(url: str) -> None:
    for tried in (lambda: connect(url), lambda: beside(url, "elsewhere")):
        with pytest.raises(Fatal, match=r"GRIS_CLICKHOUSE must be http\[s\]://\[user:password@\]host") as told:
            tried()
        assert "hidden" not in f"{told.value}{told.value.__cause__}"


def native(type_name: bytes, column: bytes, rows: int = 100) -> bytes:
    """Write a block with one column, as a server sends it."""
    return bytes([1, rows, 1]) + b"a" + bytes([len(type_name)]) + type_name + column


CUT = native(b"UInt64", bytes(8 * 50))
WHOLE = native(b"UInt64", bytes(8 * 100))
# What a server's exception in the middle makes of the next block: a type that is no text, a column more than before.
OVERWRITTEN = (
    WHOLE + native(b"\xff\xfe\xfd", b"Code: 241. DB::Exception: no memory"),
    WHOLE + bytes([2, 1]) + 2 * (b"\1a\6UInt64" + bytes(8)),
)


@contextlib.contextmanager
def breaking_off(answer: bytes, headers: dict[str, str]) -> Iterator[Client]:
    """Connect to a server that answers the driver's first questions, and every other with ``answer`` and no more."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers["Content-Length"]))
            known = b"25.8.1.1\tUTC\n" if b"version()" in asked else b"" if b"system.settings" in asked else None
            self.send_response(200)
            for name, value in ({"Content-Length": str(len(known))} if known is not None else headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer if known is None else known)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        client = connect(f"http://127.0.0.1:{server.server_port}/gris")
        try:
            yield client
        finally:
            client.close()
            server.shutdown()


CALLS: dict[str, Callable[[Client], object]] = {
    "query": lambda client: client.query("SELECT a FROM t"),
    "arrow": lambda client: client.arrow("SELECT a FROM t"),
}
# The length was said, or chunks were, or the end of the connection is all there is.
FRAMES = ({"Content-Length": "1000"}, {"Transfer-Encoding": "chunked"}, {"Connection": "close"})


@pytest.mark.parametrize("headers", FRAMES, ids=lambda headers: next(iter(headers)))
@pytest.mark.parametrize("call", CALLS)
def test_a_server_that_closes_in_the_middle_of_its_answer_is_asked_again(call: str, headers: dict[str, str]) -> None:
    chunked = "Transfer-Encoding" in headers
    answer = b"%x\r\n%b\r\n" % (len(CUT), CUT) if chunked else CUT
    with breaking_off(answer, headers) as client, pytest.raises(Retry, match="SELECT a FROM t"):
        CALLS[call](client)


@pytest.mark.parametrize("answer", OVERWRITTEN)
def test_an_answer_that_nobody_can_read_any_more_is_asked_for_again(answer: bytes) -> None:
    headers = {"Content-Length": str(len(answer))}
    with breaking_off(answer, headers) as client, pytest.raises(Retry, match=r"broke off.*SELECT a FROM t"):
        client.query("SELECT a FROM t")


def test_a_stream_that_fails_is_tried_again_unless_the_server_says_why() -> None:
    ended = StreamFailureError("Stream ended unexpectedly (connection closed by server)")
    assert isinstance(sorted_error(ended, DOING), Retry)
    assert isinstance(sorted_error(StreamFailureError("no memory", code=241), DOING), Retry)
    assert isinstance(sorted_error(StreamFailureError("no such table", code=60), DOING), Fatal)


def test_a_statement_that_cannot_be_written_is_no_answer_that_broke_off() -> None:
    with breaking_off(b"", {"Content-Length": "0"}) as client, pytest.raises(UnicodeEncodeError):
        client.query("SELECT '\ud800'")
