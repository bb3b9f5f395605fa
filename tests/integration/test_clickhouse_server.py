"""The local engine's HTTP interface, as curl, urllib and the ordinary driver find it."""

import gzip
import json
import re
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from email.message import Message
from pathlib import Path
from typing import NamedTuple

import clickhouse_connect
import lz4.frame
import pyarrow as pa
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from deploy.local.clickhouse_http import zstd
from tests.support.clickhouse import CHECKOUT, LocalClickHouse
from tests.support.wait import wait_for

FORM = "application/x-www-form-urlencoded"


class Reply(NamedTuple):
    """What came back."""

    status: int
    headers: Message
    body: bytes


def ask(url: str, body: bytes | str | None = None, *, headers: dict[str, str] | None = None, **query: object) -> Reply:
    """Send one request: POST with a body, GET without."""
    sent = body.encode() if isinstance(body, str) else body
    address = f"{url}/?{urllib.parse.urlencode(query)}" if query else url
    request = urllib.request.Request(address, data=sent, headers=headers or {})  # noqa: S310 - our own http address
    try:
        with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
            return Reply(response.status, response.headers, response.read())
    except urllib.error.HTTPError as error:
        with error:
            return Reply(error.code, error.headers, error.read())


@pytest.fixture
def numbers(clickhouse_url: str) -> Iterator[str]:
    """Make a database with an empty table `t (a UInt32, b String)`; gives its name."""
    name = "numbers"
    ask(clickhouse_url, f"CREATE DATABASE {name}")
    ask(clickhouse_url, "CREATE TABLE t (a UInt32, b String) ENGINE = MergeTree ORDER BY a", database=name)
    yield name
    ask(clickhouse_url, f"DROP DATABASE {name} SYNC")


def rows(url: str, database: str) -> bytes:
    return ask(url, "SELECT * FROM t ORDER BY ALL", database=database).body


@pytest.mark.parametrize("path", ["/ping", "/", "/replicas_status"])
def test_health_checks_say_ok(clickhouse_url: str, path: str) -> None:
    assert ask(clickhouse_url + path)[::2] == (200, b"Ok.\n")


def test_an_unknown_path_is_404(clickhouse_url: str) -> None:
    assert ask(f"{clickhouse_url}/metrics").status == 404


def test_sql_comes_in_the_body_whatever_its_type_or_in_the_url(clickhouse_url: str) -> None:
    for content_type in (FORM, "text/plain", "application/octet-stream", "application/json"):
        assert ask(clickhouse_url, "SELECT 1 + 1", headers={"Content-Type": content_type}).body == b"2\n"
    assert ask(clickhouse_url, query="SELECT 'a b', 2").body == b"a b\t2\n"
    assert ask(clickhouse_url, "2", query="SELECT 1 +").body == b"3\n", "the body goes on where the URL ends"
    assert ask(clickhouse_url, "-- a comment\nSELECT 1; ").body == b"1\n"


def test_tab_separated_is_the_default_and_any_format_may_be_asked(clickhouse_url: str) -> None:
    plain = ask(clickhouse_url, "SELECT 'x\ty' AS a, 1 AS b")
    assert plain.body == b"x\\ty\t1\n"
    assert plain.headers["X-ClickHouse-Format"] == "TabSeparated"
    assert json.loads(ask(clickhouse_url, "SELECT 1 AS a FORMAT JSONEachRow").body) == {"a": 1}
    assert ask(clickhouse_url, "SELECT 1, 2", default_format="CSV").body == b"1,2\n"
    assert ask(clickhouse_url, "SELECT 1, 2 FORMAT TSV", default_format="CSV").body == b"1\t2\n"
    stream = ask(clickhouse_url, "SELECT toUInt8(7) AS a FORMAT ArrowStream").body
    assert pa.ipc.open_stream(stream).read_all().to_pylist() == [{"a": 7}]
    assert ask(clickhouse_url, "SELECT 1 FORMAT Null").body == b""


def test_database_settings_and_parameters_come_in_the_url(clickhouse_url: str, numbers: str) -> None:
    assert ask(clickhouse_url, "SELECT currentDatabase()", database=numbers).body == b"numbers\n"
    assert ask(clickhouse_url, "SELECT getSetting('max_threads')", max_threads=1).body == b"1\n"
    sql = "SELECT {a:UInt8} + 1, {b:String}, {c:Array(Date)}"
    reply = ask(clickhouse_url, sql, param_a=4, param_b="it's\\ta", param_c="['2026-11-23']")
    assert reply.body == b"5\tit\\'s\\ta\t['2026-11-23']\n"


def test_a_long_parameter_fits(clickhouse_url: str) -> None:
    numbers = ",".join(map(str, range(9_000)))
    reply = ask(clickhouse_url, "SELECT length({a:Array(UInt32)})", param_a=f"[{numbers}]")
    assert reply.body == b"9000\n"


def test_the_driver_may_send_long_parameters_as_a_form(clickhouse_url: str, numbers: str) -> None:
    url = urllib.parse.urlsplit(clickhouse_url)
    with clickhouse_connect.get_client(host=url.hostname, port=url.port, database=numbers) as driver:
        names = [f"name {at} 'quoted' \\ --\r\n" for at in range(3_000)]
        answer = driver.query(
            "SELECT length({names:Array(String)}), {names:Array(String)}[3000], {n:UInt8}",
            parameters={"names": names, "n": 7},
            settings={"max_threads": 1},
        )
    assert answer.result_rows == [(3_000, names[-1], 7)]


def test_a_parameter_beyond_a_servers_limit_is_refused_also_in_a_form(clickhouse_url: str) -> None:
    url = urllib.parse.urlsplit(clickhouse_url)
    with clickhouse_connect.get_client(host=url.hostname, port=url.port) as driver:
        sql = "SELECT length({text:String})"
        assert driver.query(sql, parameters={"text": "a" * (128 << 10)}).result_rows == [(128 << 10,)]
        with pytest.raises(DatabaseError, match="Field value too long") as refused:
            driver.query(sql, parameters={"text": "a" * (1 + (128 << 10))})
        assert refused.value.code == 1000


def test_a_form_with_a_table_in_it_is_refused(clickhouse_url: str) -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="t"; filename="t"\r\n\r\n1\r\n--b--\r\n'
    reply = ask(clickhouse_url, part, headers={"Content-Type": "multipart/form-data; boundary=b"}, query="SELECT 1")
    assert reply.status == 501
    assert b"external tables" in reply.body


def test_nothing_of_a_request_stays_for_the_next(clickhouse_url: str, numbers: str) -> None:
    ask(clickhouse_url, "SELECT 1", max_threads=1, session_id="one", database=numbers)
    ask(clickhouse_url, "SET max_threads = 1")
    ask(clickhouse_url, f"USE {numbers}")
    ask(clickhouse_url, "CREATE TEMPORARY TABLE z (a UInt8)")
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(
            lambda _: ask(clickhouse_url, "SELECT currentDatabase(), getSetting('max_block_size')").body, range(16)
        )
    assert set(answers) == {b"default\t65409\n"}
    assert ask(clickhouse_url, "SELECT * FROM z").status == 404


@pytest.mark.parametrize(
    ("sql", "status", "code", "name"),
    [
        ("SELEC 1", 400, 62, "SYNTAX_ERROR"),
        ("SELECT * FROM no_such_table", 404, 60, "UNKNOWN_TABLE"),
        ("SELECT no_such_column", 404, 47, "UNKNOWN_IDENTIFIER"),
        ("SELECT no_such_function(1)", 404, 46, "UNKNOWN_FUNCTION"),
        ("SELECT toUInt8('x')", 400, 6, "CANNOT_PARSE_TEXT"),
        ("SELECT throwIf(1)", 500, 395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"),
        ("SELECT 1 FORMAT NoSuch", 404, 73, "UNKNOWN_FORMAT"),
        ("SELECT 1; SELECT 2", 400, 62, "SYNTAX_ERROR"),
        ("INSERT INTO no_such_table VALUES (1)", 404, 60, "UNKNOWN_TABLE"),
        ("SELECT {a:UInt8}", 500, 456, "UNKNOWN_QUERY_PARAMETER"),
    ],
)
def test_errors_carry_the_real_code_the_servers_status_and_text(
    clickhouse_url: str, sql: str, status: int, code: int, name: str
) -> None:
    reply = ask(clickhouse_url, sql)
    assert reply.status == status
    assert reply.headers["X-ClickHouse-Exception-Code"] == str(code)
    text = reply.body.decode()
    assert text.startswith(f"Code: {code}. DB::Exception: ")
    assert text.count("DB::Exception") == 1
    assert re.search(rf"\({name}\) \(version 26[^)]*\)\n$", text)


def test_an_unknown_setting_or_database_in_the_url_is_an_error(clickhouse_url: str) -> None:
    assert ask(clickhouse_url, "SELECT 1", no_such_setting=1).headers["X-ClickHouse-Exception-Code"] == "115"
    reply = ask(clickhouse_url, "SELECT 1", database="no_such")
    assert (reply.status, reply.headers["X-ClickHouse-Exception-Code"]) == (404, "81")


def test_get_only_reads(clickhouse_url: str, numbers: str) -> None:
    reply = ask(clickhouse_url, query="DROP TABLE t", database=numbers)
    assert reply.headers["X-ClickHouse-Exception-Code"] == "164"
    assert ask(clickhouse_url, query="EXISTS t", database=numbers).body == b"1\n"


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("", "INSERT INTO t VALUES (1, 'a;b'), (2, 'it''s')"),
        ("", "INSERT INTO t (b, a) VALUES ('a;b', 1), ('it\\'s', 2);"),
        ("INSERT INTO t VALUES", "(1, 'a;b'), (2, 'it''s')"),
        ("", "INSERT INTO t FORMAT CSV\n1,a;b\n2,it's\n"),
        ("INSERT INTO t FORMAT CSV", "1,a;b\n2,it's\n"),
        ("", 'INSERT INTO t FORMAT JSONEachRow {"a":1,"b":"a;b"} {"a":2,"b":"it\'s"}'),
        ("INSERT INTO t (a, b) SETTINGS max_threads = 1 FORMAT TabSeparated", "1\ta;b\n2\tit's\n"),
        ("", "insert into table t select * from values('a UInt32, b String', (1, 'a;b'), (2, 'it''s'))"),
        ("INSERT INTO t", "SELECT 1, 'a;b' UNION ALL SELECT 2, 'it\\'s'"),
        ("", "INSERT /* VALUES */ INTO `t` -- FORMAT CSV\n(a, b) VALUES (1, 'a;b') (2, 'it''s')"),
        ("INSERT INTO t FORMAT Values\n", "(1, 'a;b')\n(2, 'it''s')"),
        ("", "INSERT INTO numbers.t VALUES (1, 'a;b') (2, 'it''s')"),
        ("", "INSERT INTO t WITH 1 AS one SELECT one + number, ['a;b', 'it\\'s'][number + 1] FROM numbers(2)"),
    ],
)
def test_inserts_in_every_spelling_store_the_same_rows(
    clickhouse_url: str, numbers: str, query: str, body: str
) -> None:
    reply = ask(clickhouse_url, body, database=numbers, **({"query": query} if query else {}))
    assert (reply.status, reply.body) == (200, b"")
    assert rows(clickhouse_url, numbers) == b"1\ta;b\n2\tit\\'s\n"
    assert json.loads(reply.headers["X-ClickHouse-Summary"])["written_rows"] == "2"


def test_a_table_may_be_called_as_a_keyword_is(clickhouse_url: str, numbers: str) -> None:
    ask(clickhouse_url, "CREATE TABLE values (format UInt8) ENGINE = Memory", database=numbers)
    assert ask(clickhouse_url, "INSERT INTO values (format) VALUES (7)", database=numbers).status == 200
    assert ask(clickhouse_url, "8\n", query="INSERT INTO numbers.values FORMAT CSV").status == 200
    assert ask(clickhouse_url, "SELECT sum(format) FROM values", database=numbers).body == b"15\n"


def test_binary_inserts_keep_every_byte(clickhouse_url: str, numbers: str) -> None:
    texts = [bytes(range(256)), b"\n) FORMAT CSV;\n", b""]
    table = pa.table({"a": pa.array([1, 2, 3], pa.uint32()), "b": pa.array(texts, pa.binary())})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    query = "INSERT INTO t FORMAT ArrowStream"
    ask(clickhouse_url, sink.getvalue().to_pybytes(), query=query, database=numbers)
    native = ask(clickhouse_url, "SELECT a + 10 AS a, b FROM t FORMAT Native", database=numbers).body
    ask(clickhouse_url, b"INSERT INTO t FORMAT Native\n" + native, database=numbers)
    answer = ask(clickhouse_url, "SELECT hex(b) FROM t ORDER BY a", database=numbers).body.decode().splitlines()
    assert answer == [text.hex().upper() for text in texts] * 2


def test_an_insert_that_fails_says_why_and_stores_nothing(clickhouse_url: str, numbers: str) -> None:
    reply = ask(clickhouse_url, "INSERT INTO t FORMAT CSV\n1,a\nzz,b\n", database=numbers)
    assert (reply.status, reply.headers["X-ClickHouse-Exception-Code"]) == (400, "27")
    reply = ask(clickhouse_url, b"garbage", query="INSERT INTO t FORMAT ArrowStream", database=numbers)
    assert reply.headers["X-ClickHouse-Exception-Code"] == "117"
    assert rows(clickhouse_url, numbers) == b""


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("lz4", lz4.frame.compress), ("zstd", zstd.compress)],
)
def test_requests_may_be_compressed(
    clickhouse_url: str, numbers: str, encoding: str, compress: Callable[[bytes], bytes]
) -> None:
    headers = {"Content-Encoding": encoding}
    body = compress(b"1,a\n2,b\n")
    ask(clickhouse_url, body, headers=headers, query="INSERT INTO t FORMAT CSV", database=numbers)
    assert rows(clickhouse_url, numbers) == b"1\ta\n2\tb\n"
    assert ask(clickhouse_url, b"not " + encoding.encode(), headers=headers).status >= 400


@pytest.mark.parametrize(
    ("encoding", "decompress"),
    [("gzip", gzip.decompress), ("deflate", zlib.decompress), ("lz4", lz4.frame.decompress), ("zstd", zstd.decompress)],
)
def test_answers_are_compressed_when_asked(
    clickhouse_url: str, encoding: str, decompress: Callable[[bytes], bytes]
) -> None:
    headers = {"Accept-Encoding": f"br, {encoding};q=0.5"}
    reply = ask(clickhouse_url, "SELECT 'long' FROM numbers(99)", headers=headers, enable_http_compression=1)
    assert reply.headers["Content-Encoding"] == encoding
    assert decompress(reply.body) == b"long\n" * 99
    assert ask(clickhouse_url, "SELECT 1", headers=headers).headers["Content-Encoding"] is None


@pytest.mark.parametrize("compress", [False, True, "lz4", "zstd", "gzip"])
def test_the_ordinary_driver_works(clickhouse_url: str, numbers: str, compress: bool | str) -> None:
    port = int(clickhouse_url.rpartition(":")[2])
    client = clickhouse_connect.get_client(host="127.0.0.1", port=port, database=numbers, compress=compress)
    client.insert("t", [[1, "một"], [2, "hai"]], column_names=["a", "b"])
    client.insert_arrow("t", pa.table({"a": pa.array([3], pa.uint32()), "b": ["ba"]}))
    assert client.query("SELECT * FROM t ORDER BY a").result_rows == [(1, "một"), (2, "hai"), (3, "ba")]
    found = client.query("SELECT b FROM t WHERE b = {b:String} AND a IN {a:Array(UInt32)}", {"b": "hai", "a": [1, 2]})
    assert found.result_rows == [("hai",)]
    assert client.query_arrow("SELECT sum(a) AS s FROM t").to_pylist() == [{"s": 6}]
    assert client.command("SELECT count() FROM t", settings={"max_threads": 1}) == 3
    with pytest.raises(DatabaseError) as caught:
        client.query("SELECT * FROM no_such_table")
    assert caught.value.code == 60
    client.close()


def test_a_long_insert_does_not_hold_up_reads(clickhouse_url: str, numbers: str) -> None:
    sql = "INSERT INTO t SELECT number, sleepEachRow(0.1) FROM numbers(600)"
    limits = {"max_block_size": 1, "function_sleep_max_microseconds_per_block": 10**8}
    running = "SELECT count() FROM system.processes WHERE query LIKE 'INSERT INTO t SELECT%'"
    inserting = threading.Thread(target=ask, args=(clickhouse_url, sql), kwargs={"database": numbers, **limits})
    inserting.start()
    # Asked before the insert has reached the engine, even one that takes a request at a time would answer.
    wait_for(lambda: ask(clickhouse_url, running).body == b"1\n", "the insert to run")
    assert ask(clickhouse_url, "SELECT 1").body == b"1\n"
    assert inserting.is_alive(), "the insert must still run, or the test proves nothing"
    ask(clickhouse_url, "KILL QUERY WHERE query LIKE 'INSERT INTO t SELECT%'")
    inserting.join(60)
    assert not inserting.is_alive(), "the insert does not end"


@pytest.mark.usefixtures("clickhouse_url")
def test_a_second_engine_on_the_folder_is_refused_with_a_sentence(clickhouse_path: Path) -> None:
    command = [sys.executable, "-m", "deploy.local.clickhouse", "--path", str(clickhouse_path), "--port", "0"]
    ended = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 1
    assert "another engine holds it" in ended.stderr


def test_a_taken_port_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = str(holder.getsockname()[1])
        command = [sys.executable, "-m", "deploy.local.clickhouse", "--path", str(tmp_path), "--port", port]
        ended = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 1
    assert f"port {port}" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_it_listens_on_loopback_only(clickhouse_url: str) -> None:
    port = int(clickhouse_url.rpartition(":")[2])
    listening = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    addresses = {fields[1] for fields in listening if fields[3] == "0A" and fields[1].endswith(f":{port:04X}")}
    assert addresses == {f"0100007F:{port:04X}"}
    assert f":{port:04X} " not in Path("/proc/net/tcp6").read_text()


def test_what_was_answered_survives_kill_and_sigterm_ends_it_cleanly(tmp_path: Path) -> None:
    with LocalClickHouse(tmp_path / "data") as server:
        ask(server.url, "CREATE DATABASE d")
        ask(server.url, "CREATE TABLE d.t (a UInt32, b String) ENGINE = ReplacingMergeTree ORDER BY a")
        for at in range(5):
            assert ask(server.url, f"INSERT INTO d.t VALUES ({at}, 'x')").status == 200
        server.kill()
        server.start()
        assert ask(server.url, "SELECT count() FROM d.t").body == b"5\n"
        assert server.stop() == 0
        server.start()
        assert ask(server.url, "SELECT count() FROM d.t").body == b"5\n"
        assert server.stop() == 0


def test_sigterm_kills_what_still_runs_after_a_while_and_answers_it(tmp_path: Path) -> None:
    sql = "SELECT sum(sleepEachRow(0.1)) FROM numbers(6000)"
    limits = {"max_block_size": 1, "function_sleep_max_microseconds_per_block": 10**12}
    running = "SELECT count() FROM system.processes WHERE query LIKE 'SELECT sum(sleepEachRow%'"
    with LocalClickHouse(tmp_path / "data") as server, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(lambda: ask(server.url, sql, **limits))
        wait_for(lambda: ask(server.url, running).body == b"1\n", "the statement to run")
        assert server.stop() == 0
        assert answer.result(30).headers["X-ClickHouse-Exception-Code"] == "394"
