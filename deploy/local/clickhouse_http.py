"""What ClickHouse's HTTP interface says: requests to statements, engine errors to answers. Pure, no engine, no sockets.

Source: https://clickhouse.com/docs/interfaces/http and the server's own behaviour (HTTPHandler, ParserInsertQuery,
exceptionCodeToHTTPStatus), as far as one loopback user without sessions can see it.
"""

import dataclasses
import email.parser
import email.policy
import gzip
import json
import re
import sys
import uuid
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import cast

import lz4.frame

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd  # comes with clickhouse-connect

# Parameters of the URL that are not settings. Sessions, users and progress headers are accepted, without effect.
RESERVED = frozenset(
    {
        "query",
        "database",
        "default_format",
        "query_id",
        "user",
        "password",
        "quota_key",
        "role",
        "client_protocol_version",
    }
    | {"compress", "decompress", "enable_http_compression", "http_zlib_compression_level", "buffer_size", "stacktrace"}
    | {"session_id", "session_timeout", "session_check", "close_session", "wait_end_of_query"}
    | {"send_progress_in_http_headers", "http_headers_progress_interval_ms"}
)
NOT_IMPLEMENTED = 48
SYNTAX_ERROR = 62
READONLY = 164
POCO_EXCEPTION = 1000
UNKNOWN_EXCEPTION = 1002
FIELD_BYTES = 128 << 10  # a server's http_max_field_value_size: of a parameter, in the URL or in a form
_BAD_REQUEST = (
    6,
    8,
    15,
    25,
    26,
    27,
    36,
    37,
    38,
    41,
    44,
    53,
    62,
    72,
    117,
    123,
    167,
    168,
    223,
    321,
    376,
    427,
    441,
    675,
    676,
)
_NOT_FOUND = (46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511)
STATUS_OF_CODE = (  # all others are 500
    dict.fromkeys(_BAD_REQUEST, 400)
    | dict.fromkeys(_NOT_FOUND, 404)
    | {192: 403, 193: 403, 497: 403, 512: 403, 516: 403, 194: 401}
    | {48: 501, 76: 503, 209: 503, 439: 503, 159: 408, 229: 413, 381: 411, 779: 415}
)
CONTENT_TYPES = {
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "TabSeparatedWithNames": "text/tab-separated-values; charset=UTF-8",
    "TabSeparatedWithNamesAndTypes": "text/tab-separated-values; charset=UTF-8",
    "CSV": "text/csv; charset=UTF-8; header=absent",
    "CSVWithNames": "text/csv; charset=UTF-8; header=present",
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "JSONCompactEachRow": "application/x-ndjson; charset=UTF-8",
    "Native": "application/octet-stream",
    "RowBinary": "application/octet-stream",
    "RowBinaryWithNamesAndTypes": "application/octet-stream",
    "Arrow": "application/octet-stream",
    "ArrowStream": "application/octet-stream",
    "Parquet": "application/octet-stream",
}
DECODERS: Mapping[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "lz4": lz4.frame.decompress,
    "zstd": zstd.decompress,
}
ENCODERS: Mapping[str, Callable[[bytes], bytes]] = {  # in the order of our preference
    "lz4": lz4.frame.compress,
    "zstd": zstd.compress,
    "gzip": lambda data: gzip.compress(data, compresslevel=3),
    "deflate": lambda data: zlib.compress(data, level=3),
}
TOKEN = re.compile(
    rb"\s+|--[^\n]*|\#[ !][^\n]*|/\*.*?\*/|'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.)*\"|`(?:[^`\\]|\\.)*`|\w+|.",
    re.DOTALL,
)
FORMAT_NAME = re.compile(rb"\s+(\w+)[ \t\f]*\r?\n?")
BEFORE_A_NAME = (b"", b"INSERT", b"INTO", b"TABLE", b"FUNCTION", b".")
FORMAT_AT_END = re.compile(rb"\bFORMAT\s+(\w+)\s*(?:SETTINGS\s[^'`\"]*)?;?\s*$", re.IGNORECASE)
ENGINE_PREFIX = re.compile(r"(?:Code: \d+\. )?DB::\w*Exception: ")
ENGINE_CODE = re.compile(r"Code: (\d+)\. ")


class ExceptionResponse(Exception):
    """A statement that failed: ``code`` is ClickHouse's, the text is the server's form of it."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclasses.dataclass(frozen=True, slots=True)
class Statement:
    """One request: ``sql`` with the rows of an INSERT split off into ``rows`` (None when there are none to read)."""

    sql: bytes
    rows: bytes | None
    rows_format: str
    output_format: str
    database: str
    settings: Mapping[str, str]
    parameters: Mapping[str, str]
    query_id: str
    read_only: bool


def statement(method: str, query: Sequence[tuple[str, str]], headers: Mapping[str, str], body: bytes) -> Statement:
    """Read one request; ``headers`` have lower-case names, ``body`` is as it came."""
    given = dict(query)
    if given.get("compress") == "1" or given.get("decompress") == "1":
        raise ExceptionResponse(NOT_IMPLEMENTED, "compress=1 and decompress=1 are not supported, use Content-Encoding")
    body = decompressed(body, headers.get("content-encoding", ""))
    if headers.get("content-type", "").startswith("multipart/form-data"):
        fields = form_fields(headers["content-type"], body)  # the driver sends long parameters so
        given |= fields | {"query": given.get("query", "") + fields.get("query", "")}
        body = b""
    for name, value in given.items():
        if len(value.encode(errors="surrogateescape")) > FIELD_BYTES:
            raise ExceptionResponse(POCO_EXCEPTION, f"HTML Form Exception: Field value too long: {name}")
    text = given.get("query", "").encode(errors="surrogateescape")
    sql, rows, rows_format = split_insert(text + b"\n")
    if rows is not None and not rows.strip():
        rows = body  # the driver's way; not copied, it may be large
    else:
        sql, rows, rows_format = split_insert(text + b"\n" + body if text else body)
    return Statement(
        sql=sql,
        rows=rows,
        rows_format=rows_format,
        output_format=given.get("default_format", headers.get("x-clickhouse-format", "TabSeparated")),
        database=given.get("database", headers.get("x-clickhouse-database", "")),
        settings={k: v for k, v in given.items() if k not in RESERVED and not k.startswith("param_")},
        parameters={k.removeprefix("param_"): v for k, v in given.items() if k.startswith("param_")},
        query_id=given.get("query_id") or str(uuid.uuid4()),
        read_only=method != "POST",
    )


def form_fields(content_type: str, body: bytes) -> dict[str, str]:
    """Read the fields of a body in multipart/form-data."""
    form = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(
        b"Content-Type: " + content_type.encode("latin-1") + b"\r\n\r\n" + body
    )
    fields = {}
    for part in form.iter_parts():
        if part.get_filename() is not None:
            raise ExceptionResponse(NOT_IMPLEMENTED, "external tables in a form are not supported, insert them first")
        value = cast("bytes", part.get_payload(decode=True))
        fields[str(part.get_param("name", header="content-disposition"))] = value.decode(errors="surrogateescape")
    return fields


def split_insert(text: bytes) -> tuple[bytes, bytes | None, str]:
    """Split ``INSERT … VALUES rows`` and ``INSERT … FORMAT x rows`` into head, rows and format; others stay whole."""
    at, depth, before = 0, 0, b""
    while match := TOKEN.match(text, at):
        token, start, at = match.group(), match.start(), match.end()
        if token[:2] in (b"--", b"/*", b"# ", b"#!") or token.isspace():
            continue
        word, last, before = token.upper(), before, token.upper()
        depth += (token == b"(") - (token == b")")
        if not last and word != b"INSERT":
            break
        if depth or last in BEFORE_A_NAME:
            continue
        if word in (b"SELECT", b"WITH", b"FROM"):
            break
        if word == b"VALUES":
            return text[:start], text[at:], "Values"
        if word == b"FORMAT" and (named := FORMAT_NAME.match(text, at)):
            return text[:start], text[named.end() :], named.group(1).decode()
    return text, None, ""


def decompressed(body: bytes, encoding: str) -> bytes:
    """Undo ``Content-Encoding``."""
    if encoding in ("", "identity"):
        return body
    if encoding not in DECODERS:
        raise ExceptionResponse(NOT_IMPLEMENTED, f"Unknown compression method: {encoding}")
    try:
        return DECODERS[encoding](body)
    except (OSError, EOFError, RuntimeError, zlib.error, zstd.ZstdError) as error:
        raise ExceptionResponse(354, f"{encoding} decode failed: {error}") from error


def compressed(body: bytes, query: Mapping[str, str], headers: Mapping[str, str]) -> tuple[bytes, str]:
    """Compress an answer when the request allows it; returns the bytes and the ``Content-Encoding``, empty for none."""
    if query.get("enable_http_compression") != "1" or not body:
        return body, ""
    accepted = {part.split(";")[0].strip() for part in headers.get("accept-encoding", "").split(",")}
    for name, encode in ENCODERS.items():
        if name in accepted:
            return encode(body), name
    return body, ""


def format_named(statement: Statement) -> str:
    """Name the output format: the statement's own FORMAT, else the default of the request."""
    named = FORMAT_AT_END.search(statement.sql[-200:])
    return named.group(1).decode() if named else statement.output_format


def engine_exception(message: str, version: str) -> ExceptionResponse:
    """Turn an engine's message into the server's: one prefix, the real code, the version at the end."""
    found = ENGINE_CODE.search(message)
    code = int(found.group(1)) if found else UNKNOWN_EXCEPTION
    text = ENGINE_PREFIX.sub("", message).strip()
    text = re.sub(r" \(version [^()]*\)\.?", "", text)
    text = re.sub(r"( \([A-Z0-9_]+\))\.?\1$", r"\1", text)
    return ExceptionResponse(code, f"Code: {code}. DB::Exception: {text} (version {version})")


def summary(read_rows: int, read_bytes: int, written_rows: int, result_bytes: int, seconds: float) -> str:
    """Say what a statement did, as ``X-ClickHouse-Summary`` does: JSON of decimal strings."""
    said = {
        "read_rows": read_rows,
        "read_bytes": read_bytes,
        "written_rows": written_rows,
        "written_bytes": 0,
        "total_rows_to_read": 0,
        "result_rows": 0,
        "result_bytes": result_bytes,
        "elapsed_ns": int(seconds * 1e9),
    }
    return json.dumps({name: str(number) for name, number in said.items()}, separators=(",", ":"))
