"""The ClickHouse of the local stack: chDB (ClickHouse's engine in a wheel) behind ClickHouse's HTTP interface.

``python -m deploy.local.clickhouse --path DIR --port 8123``. One process holds a folder; any number of ordinary clients
speak to it over loopback. Every request has an engine connection of its own (0.2 ms to open): connections run
concurrently, and settings, temporary tables and the current database end with the request, as without a session.
"""

import asyncio
import dataclasses
import os
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import parse_qsl

import chdb
import click
import uvicorn

from deploy.local import clickhouse_http as http
from deploy.local.clickhouse_http import ExceptionResponse, Statement

_chdb: Any = chdb._chdb  # noqa: SLF001 - the wrapper's Connection adds progress bars, and takes no SQL that is not UTF-8
LOOPBACK = "127.0.0.1"
THREADS = 16  # requests inside the engine at once; more wait their turn
# Merges and deletions at once, twice as many: a server's default. chDB's own, one for each core, is so small that each
# part of a deletion waits for the next look at what is to be done, a tenth of a second or more.
POOL = "background_pool_size=16"
DRAIN_SECONDS = 5.0  # what statements get after SIGTERM before they are killed

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """The result of one statement: bytes in the asked format, and the summary of what was done."""

    body: bytes
    summary: str


class Engine:
    """One chDB engine on one folder. Blocking; any thread."""

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        _chdb.set_signal_handlers_enabled(False)  # SIGTERM is the HTTP server's to handle
        self._path = str(path.resolve())
        self._held = _chdb.connect(f"{self._path}?{POOL}")  # the engine lives as long as one connection does
        version, timezone = self._held.query("SELECT version(), timezone()", "TabSeparated").bytes().decode().split()
        self.version: str = version
        self.timezone: str = timezone

    def run(self, statement: Statement) -> Answer:
        """Run one statement; raises ExceptionResponse with ClickHouse's code."""
        connection = _chdb.connect(self._path)
        try:
            self._prepare(connection, statement)
            if statement.rows is not None:
                return _insert(connection, statement)
            result = connection.query(statement.sql, statement.output_format, params=dict(statement.parameters))
            body: bytes = result.bytes()
            did = http.summary(
                result.rows_read(), result.bytes_read(), result.rows_written(), len(body), result.elapsed()
            )
            return Answer(body, did)
        except RuntimeError as error:
            raise http.engine_exception(str(error), self.version) from error
        finally:
            connection.close()

    def _prepare(self, connection: Any, statement: Statement) -> None:
        """Refuse what the server refuses; then set database and settings."""
        if statement.database:
            connection.query(f"USE {_identifier(statement.database)}")
        if settings := statement.settings:
            connection.query("SET " + ", ".join(f"{_identifier(k)} = {_literal(v)}" for k, v in settings.items()))
        seen = connection.classify_query(statement.sql if statement.rows is None else statement.sql + b" VALUES")
        if seen["statement_count"] > 1:
            raise ExceptionResponse(
                http.SYNTAX_ERROR,
                f"Code: {http.SYNTAX_ERROR}. DB::Exception: Syntax error (Multi-statements are not allowed): send one "
                f"statement per request. (SYNTAX_ERROR) (version {self.version})",
            )
        if statement.read_only and seen["query_class"] == _chdb.query_class.MUTATING:
            raise ExceptionResponse(
                http.READONLY,
                f"Code: {http.READONLY}. DB::Exception: Cannot execute query in readonly mode. For queries over HTTP, "
                f"method GET implies readonly. You should use method POST for modifying queries. (READONLY) "
                f"(version {self.version})",
            )

    def cancel(self) -> None:
        """Make the statements that still run give up: they answer with code 394."""
        self._held.query("KILL QUERY WHERE query NOT LIKE 'KILL QUERY%' ASYNC")

    def close(self) -> None:
        """Let go of the folder."""
        self._held.close()


def _insert(connection: Any, statement: Statement) -> Answer:
    """Stream the rows of an INSERT into the engine: no file, no second copy of the whole body."""
    if statement.parameters:
        given = ", ".join(f"{_identifier('param_' + k)} = {_literal(v)}" for k, v in statement.parameters.items())
        connection.query(f"SET {given}")
    rows = statement.rows or b""
    if statement.rows_format == "Values":
        rows = rows.rstrip().removesuffix(b";")
    insert = connection.send_insert(statement.sql.decode(errors="surrogateescape"), statement.rows_format)
    try:
        connection.insert_append(insert, rows)
    except RuntimeError:
        connection.insert_cancel(insert)
        raise
    done = connection.insert_done(insert)
    return Answer(b"", http.summary(0, 0, done.rows_written(), 0, done.elapsed()))


def _identifier(name: str) -> str:
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _literal(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


class Interface:
    """The ASGI application."""

    def __init__(self, engine: Engine, threads: ThreadPoolExecutor) -> None:
        self._engine = engine
        self._threads = threads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        query = parse_qsl(scope["query_string"].decode(), keep_blank_values=True, errors="surrogateescape")
        body = await _body(receive)
        if scope["path"] in ("/ping", "/replicas_status") or (
            scope["path"] == "/" and not body and not dict(query).get("query")
        ):
            await _respond(send, 200, {"Content-Type": "text/html; charset=UTF-8"}, b"Ok.\n")
        elif scope["path"] != "/":
            text = f"There is no handle {scope['path']}\nUse / or /ping for health checks.\n"
            await _respond(send, 404, {"Content-Type": "text/plain; charset=UTF-8"}, text.encode())
        else:
            work = asyncio.get_running_loop().run_in_executor(
                self._threads, self._answer, scope["method"], query, headers, body
            )
            await _respond(send, *(await work))

    def _answer(
        self, method: str, query: list[tuple[str, str]], headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """Run in a thread: the whole of one request but the sockets."""
        said = {
            "X-ClickHouse-Server-Display-Name": socket.gethostname(),
            "X-ClickHouse-Timezone": self._engine.timezone,
        }
        try:
            statement = http.statement(method, query, headers, body)
            said["X-ClickHouse-Query-Id"] = statement.query_id
            answer = self._engine.run(statement)
        except ExceptionResponse as error:
            said |= {"X-ClickHouse-Exception-Code": str(error.code), "Content-Type": "text/plain; charset=UTF-8"}
            text = str(error) if str(error).startswith("Code: ") else f"Code: {error.code}. DB::Exception: {error}"
            status, out = http.STATUS_OF_CODE.get(error.code, 500), text.encode(errors="surrogateescape") + b"\n"
        else:
            named = http.format_named(statement)
            said |= {
                "X-ClickHouse-Summary": answer.summary,
                "X-ClickHouse-Format": named,
                "Content-Type": http.CONTENT_TYPES.get(named, "text/plain; charset=UTF-8"),
            }
            status, out = 200, answer.body
        out, encoding = http.compressed(out, dict(query), headers)
        if encoding:
            said["Content-Encoding"] = encoding
        return status, said, out


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def _respond(send: Send, status: int, headers: Mapping[str, str], body: bytes) -> None:
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    pairs.append((b"Content-Length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


def _socket(port: int) -> socket.socket:
    """Listen on loopback; only the operator of this machine may speak to a database without a password."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((LOOPBACK, port))
    except OSError as error:
        listening.close()
        sys.exit(
            f"ClickHouse: port {port} on {LOOPBACK} cannot be used ({error.strerror}): stop what holds it or set --port"
        )
    return listening


def _engine(path: Path) -> Engine:
    try:
        return Engine(path)
    except (RuntimeError, OSError) as error:
        sys.exit(
            f"ClickHouse: the data folder {path} cannot be opened: another engine holds it (stop that one first), or "
            f"it cannot be written to. The engine said: {str(error).splitlines()[0]}"
        )


class Server(uvicorn.Server):
    """Uvicorn, but a statement that outlives the drain is killed by the engine and answered (code 394), not dropped."""

    def __init__(self, config: uvicorn.Config, engine: Engine) -> None:
        super().__init__(config)
        self._patience = threading.Timer(DRAIN_SECONDS, engine.cancel)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop, at the first signal."""
        if not self.should_exit:
            self._patience.start()
        super().handle_exit(sig, frame)

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal comes."""
        super().run(sockets)
        self._patience.cancel()


def _leave_quietly(_number: int, _frame: FrameType | None) -> None:
    """Uvicorn drains on SIGTERM and SIGINT, then raises the signal again: the second time it means nothing more."""


@click.command()
@click.option("--path", type=click.Path(file_okay=False, path_type=Path), required=True, help="The data folder.")
@click.option("--port", type=click.IntRange(0, 65535), default=8123, show_default=True, help="0 takes a free one.")
def main(path: Path, port: int) -> None:
    """Serve ClickHouse's HTTP interface over the engine in the folder PATH, on loopback, until SIGTERM or SIGINT."""
    listening = _socket(port)
    engine = _engine(path)
    threads = ThreadPoolExecutor(THREADS, thread_name_prefix="engine")
    config = uvicorn.Config(
        Interface(engine, threads),
        http="httptools",
        loop="uvloop",
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="warning",
        server_header=False,
        date_header=False,
        timeout_keep_alive=60,
        timeout_graceful_shutdown=round(2 * DRAIN_SECONDS),
        proxy_headers=False,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave_quietly)
    print(
        f"ClickHouse {engine.version}: http://{LOOPBACK}:{listening.getsockname()[1]}, data in {path}, "
        f"process {os.getpid()}",
        flush=True,
    )
    Server(config, engine).run([listening])
    threads.shutdown(wait=True, cancel_futures=True)
    engine.close()


if __name__ == "__main__":
    main()
