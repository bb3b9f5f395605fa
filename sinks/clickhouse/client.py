"""The one place that speaks to ClickHouse: clickhouse-connect behind five calls, its errors sorted into ours."""

import contextlib
import logging
import re
import struct
import traceback
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

import clickhouse_connect
import pyarrow as pa
from clickhouse_connect.driver.exceptions import ClickHouseError, StreamFailureError
from clickhouse_connect.driver.exceptions import Error as DriverError
from urllib3 import Timeout
from urllib3.exceptions import HTTPError

from schemas.errors import Fatal, GrisError, Retry

Params = Mapping[str, object]
Settings = Mapping[str, str | int]

CONNECT_SECONDS = 5
GREETING_SECONDS = 10  # for the driver's first questions: a server that hangs is told of soon
ANSWER_SECONDS = 300
DATABASE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
PORTS = {"http": 8123, "https": 8443}  # where the URL names none

INSERT_SETTINGS: Settings = {
    "async_insert": 0,  # we batch ourselves, so the server must not; 1 is today's default
    "max_partitions_per_insert_block": 0,  # a replay touches many years at once and would be refused for ever
    "optimize_on_insert": 0,  # folding duplicates is the merges' work, and every reader's: saves 2/3 of an insert's CPU
    "insert_deduplicate": 0,  # a Replicated table would take a rewrite of deleted rows for a retry, and drop it
}

# Codes after which the same call may succeed, and what helps where waiting alone may not. Everything else is Fatal: a
# schema, a type, a right or a bug of ours.
RETRY: Mapping[int, str] = {
    3: "the connection broke off",
    32: "the connection broke off",
    74: "the server could not read from its disk: see its log",
    75: "the server could not write to its disk: make room there",
    76: "the server could not open a file: see its disk, and its limit of open files",
    95: "the connection broke off",
    96: "the connection broke off",
    159: "the query ran out of time: see max_execution_time, and what else the server does",
    173: "memory is short: give the server more, or less to do",
    198: "a name was not found: see the server's DNS",
    201: "the user's quota is used up: raise it, or wait for its next interval",
    202: "too many queries at once: see max_concurrent_queries",
    203: "no free connection",
    209: "the network timed out",
    210: "the network failed",
    225: "Keeper is away: start it",
    234: "no replica has the part yet",
    236: "the server is stopping: start it again",
    241: "memory is short: give the server more, or less to do",
    242: "the replica is read-only until it finds Keeper again: see Keeper",
    243: "the disk is full: make room",
    244: "Keeper failed: see its log",
    252: "too many parts: merges must catch up first",
    254: "no replica is active: start them",
    255: "a part could not be fetched from another replica",
    279: "no replica answered: start them",
    285: "too few replicas are alive for the quorum: start them",
    286: "the quorum of an earlier insert is still open: see the other replicas",
    289: "the replica is behind the quorum",
    297: "no shard answered: start it",
    319: "the insert's fate is unknown",
    341: "the operation is unfinished elsewhere",
    364: "the storage has too many requests",
    369: "all replicas are behind: see what holds them up",
    384: "a part is locked for a moment",
    394: "the query was cancelled",
    416: "the replica's status changed",
    425: "the server's system refused a call: see its log",
    439: "no thread is free: see max_thread_pool_size, and the system's limits",
    473: "a lock was not free in time",
    499: "the object storage failed: see the server's log",
    519: "no shard answered: start it",
    529: "the replica is not the leader at the moment",
    568: "Keeper has no leader: see its log",
    571: "the statement did not reach every replica: see which is away",
    677: "the query was cancelled",
    692: "too many deletions are under way: they must end first",
    696: "the server is stopping: start it again",
    700: "the user has too many sessions at once: see max_sessions_for_user",
    722: "the server is still loading its tables: see its log if it never ends",
    733: "the table is being restarted",
    734: "the server gave up writing: see its log",
    735: "the query was cancelled",
    738: "a part is locked for a moment",
    745: "the server is overloaded: give it more, or less to do",
    749: "the server has too many connections: see max_connections",
    762: "the server has too many connections: see http_connections_hard_limit",
    763: "the server is stopping: start it again",
    777: "memory is short: give the server more, or less to do",
    778: "memory is short: give the server more, or less to do",
    999: "Keeper failed: see its log",
    1019: "no slot was free in time: see the workload's limits",
    1020: "memory is short: give the server more, or less to do",
}
# What to do about the commonest of the rest.
REMEDIES: Mapping[int, str] = {
    8: "the table lacks a column: run `gris migrate`",
    16: "the table lacks a column: run `gris migrate`",
    60: "the table is not there: run `gris migrate`",
    81: "the database is not there: run `gris migrate`",
    164: "the user in GRIS_CLICKHOUSE may only read",
    192: "check the user in GRIS_CLICKHOUSE",
    193: "check the password in GRIS_CLICKHOUSE",
    194: "GRIS_CLICKHOUSE names no password",
    497: "the user in GRIS_CLICKHOUSE lacks the right",
    516: "check user and password in GRIS_CLICKHOUSE",
}
TOO_MANY_PARTS = 252
# What the driver raises, bare, of blocks that an exception of the server's was written into.
UNREADABLE = (struct.error, LookupError, UnicodeDecodeError)
GATEWAY_ERROR = re.compile(r"\b(?:HTTP(?:Driver)?|status|code)\D{0,20}(?:429|502|503|504)\b", re.IGNORECASE)


# The driver logs every refused connection as an error of its own; ours says the same, and the caller decides.
logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())


def connect(url: str, answer_seconds: float = ANSWER_SECONDS) -> "Client":
    """Connect to ``http[s]://[user[:password]@]host[:port]/database``; the database need not exist yet.

    A server that says nothing for ``answer_seconds`` is given up later on.
    Raises Fatal for a URL that says something else or a refused user, Retry when nobody answers.
    """
    parts = parted(url)
    with _mapped_errors(f"{parts.hostname}:{parts.port or ''}"):
        driver: Any = clickhouse_connect.get_client(
            host=parts.hostname,
            port=parts.port or PORTS[parts.scheme],
            username=unquote(parts.username) if parts.username else "default",
            password=unquote(parts.password or ""),
            secure=parts.scheme == "https",
            autogenerate_session_id=False,  # a session would serialise the threads of this process
            connect_timeout=CONNECT_SECONDS,
            send_receive_timeout=GREETING_SECONDS,
            compress=False,  # 1 Gbit/s and more between neighbours: the CPU is the scarcer thing
            query_retries=0,  # the caller decides whether and when to repeat
            client_name="gris",
        )
        driver.timeout = Timeout(connect=CONNECT_SECONDS, read=answer_seconds)
    return Client(driver, parts.path.strip("/"))


def parted(url: str) -> SplitResult:
    """Part a URL as ``connect`` takes it: scheme, host and database are there, the port is a number or None.

    Raises Fatal for one that says something else.
    """
    with contextlib.suppress(ValueError):  # of a port that is no number or too high, of a bracket that is not closed
        parts = urlsplit(url)
        _ = parts.port
        if parts.scheme in PORTS and parts.hostname and DATABASE.fullmatch(parts.path.strip("/")):
            return parts
    raise Fatal("GRIS_CLICKHOUSE must be http[s]://[user:password@]host[:port]/database, a database of A-Z a-z 0-9 _")


class Client:
    """Blocking calls, safe from several threads at once. They raise Retry or Fatal."""

    def __init__(self, driver: Any, database: str) -> None:
        self._driver = driver
        self.database = database
        driver.database = database  # set here, not at connecting: `gris migrate` comes before the database exists

    def command(
        self, sql: str, params: Params | None = None, settings: Settings | None = None, *, in_database: bool = True
    ) -> object:
        """Run a statement for its effect; returns the text of its one-line answer, if it has any."""
        with _mapped_errors(sql):
            return self._driver.command(
                sql, parameters=_sent(params), settings=dict(settings or {}), use_database=in_database
            )

    def query(self, sql: str, params: Params | None = None, settings: Settings | None = None) -> list[tuple[Any, ...]]:
        """Return rows of Python values. ``{name:Type}`` in the SQL takes ``params[name]``."""
        with _mapped_errors(sql):
            try:
                answer = self._driver.query(sql, parameters=_sent(params), settings=dict(settings or {}))
                return list(answer.result_rows)
            except UNREADABLE as error:
                raise _broke_off(_quoted(sql)) from error

    def arrow(self, sql: str, params: Params | None = None, settings: Settings | None = None) -> pa.Table:
        """Return columns. LowCardinality texts come as dictionary<int32, string>, one dictionary a column."""
        asked = {
            "output_format_arrow_string_as_string": 1,
            "output_format_arrow_low_cardinality_as_dictionary": 1,
            "output_format_arrow_use_signed_indexes_for_dictionary": 1,
            "output_format_arrow_compression_method": "none",
            **(settings or {}),
        }
        with _mapped_errors(sql):
            answer = self._driver.raw_query(sql, parameters=_sent(params), settings=asked, fmt="ArrowStream")
        try:
            return _plain(pa.ipc.open_stream(pa.py_buffer(answer)).read_all())
        except (pa.ArrowInvalid, OSError) as error:
            # The server had said 200 before it failed.
            raise _broke_off(_quoted(sql)) from error

    def insert(self, table: str, rows: pa.Table, settings: Settings | None = None) -> None:
        """Insert columns by name, as one INSERT; nothing is sent for a table without rows."""
        if rows.num_rows == 0:
            return
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, rows.schema) as stream:
            stream.write_table(rows)
        asked = {**INSERT_SETTINGS, **(settings or {})}
        with _mapped_errors(f"INSERT INTO {table}"):
            self._driver.raw_insert(
                table,
                column_names=rows.schema.names,
                insert_block=memoryview(sink.getvalue()),
                settings=asked,
                fmt="ArrowStream",
            )

    def close(self) -> None:
        """Close the connections to the server."""
        self._driver.close()


def _sent(params: Params | None) -> dict[str, object] | None:
    return dict(params) if params else None


def _plain(table: pa.Table) -> pa.Table:
    """Give every text column one dictionary with int32 indexes, whatever the blocks of the answer had."""
    table = table.unify_dictionaries().combine_chunks()
    for at, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            texts = pa.dictionary(pa.int32(), pa.string())
            table = table.set_column(at, pa.field(field.name, texts), table.column(at).cast(texts))
    return table


@contextlib.contextmanager
def _mapped_errors(doing: str) -> Iterator[None]:
    """Turn the driver's errors into ours; ``doing`` is the statement, of which the first words are quoted."""
    try:
        yield
    except (ClickHouseError, HTTPError, OSError) as error:
        _let_go(error)
        raise sorted_error(error, _quoted(doing)) from error


def _quoted(sql: str) -> str:
    return " ".join(sql.split())[:60]


def _broke_off(doing: str) -> Retry:
    return Retry(f"ClickHouse's answer broke off: {doing}. Try again; if that does not help, see the server's log")


def _let_go(error: BaseException | None) -> None:
    """Empty the frames that an error came through.

    urllib3 keeps errors in variables of frames that are in these errors' own tracebacks: what was to be sent would stay
    in memory with them, insert by insert, until a full garbage collection, to which an idle process hardly ever comes.
    """
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def sorted_error(error: Exception, doing: str) -> GrisError:
    """Sort one error of the driver into Retry or Fatal. The text holds no figures: only the server's code and name."""
    code = error.code if isinstance(error, DriverError) else None
    name = (error.name if isinstance(error, DriverError) else None) or ""
    if code is None:
        # Without a code nobody at ClickHouse judged the statement: the network, a proxy, or the driver's own check.
        if isinstance(error, StreamFailureError):
            return _broke_off(doing)  # what the driver says of it may be rows
        text = str(error)
        if _is_network(error) or GATEWAY_ERROR.search(text):
            return Retry(
                f"ClickHouse cannot be reached ({type(error).__name__}) for: {doing}. Is it up? See GRIS_CLICKHOUSE"
            )
        return Fatal(f"ClickHouse's driver refused: {doing}: {text}")
    if code == TOO_MANY_PARTS and "partitions" in str(error):
        return Fatal(
            f"ClickHouse refused: {doing}: too many partitions in one insert: allow max_partitions_per_insert_block=0"
        )
    if code in RETRY:
        return Retry(f"ClickHouse could not yet: {doing}: {RETRY[code]} (code {code} {name})")
    return Fatal(f"ClickHouse refused: {doing}: {REMEDIES.get(code, _first_sentence(error))} (code {code} {name})")


def _is_network(error: BaseException | None) -> bool:
    """Tell whether an error of the network is at the bottom of this one."""
    while error is not None:
        if isinstance(error, (HTTPError, OSError)):
            return True
        error = error.__cause__ or error.__context__
    return False


def _first_sentence(error: Exception) -> str:
    """Take the reason from the server's message, without what it quotes: a figure must not reach a log."""
    text = re.sub(r"^.*?DB::\w*Exception: ", "", str(error).splitlines()[0])
    return re.sub(r"'[^']*'|`[^`]*`|\d{5,}", "…", text)[:200]
