"""What `gris up` says when the machine does not play along: the fault, and what to do about it."""

import errno
import socket
from pathlib import Path

import pytest

from deploy.local.ports import free_port, holder, is_taken
from deploy.local.settings import Address, LocalSettings
from deploy.local.stack import Stack, fetch
from deploy.local.up import FREE_BYTES, check_space, closing_words, disk_errors, only_one
from producers.publisher import listening
from schemas.errors import Fatal
from tests.support.answers import answering


def settings(tmp_path: Path, **values: object) -> LocalSettings:
    return LocalSettings.model_validate({"data": tmp_path, **values})


def test_a_port_that_something_else_holds_is_told_with_who_and_the_variable(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert is_taken(port)
        stack = Stack(settings(tmp_path, kafka=f"127.0.0.1:{port}"))
        with pytest.raises(Fatal, match=rf"Port {port} is taken by .+: stop it, or set GRIS_KAFKA to another port"):
            stack.start_kafka()


def test_the_holder_of_a_port_is_named_with_its_pid() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mine:
        assert "(pid " in holder(mine.getsockname()[1])
    assert holder(free_port()) == "another program"


def test_a_broker_elsewhere_that_does_not_answer_is_never_started_here(tmp_path: Path) -> None:
    stack = Stack(settings(tmp_path, kafka=f"127.0.0.2:{free_port()}"))
    with pytest.raises(Fatal, match=r"Nothing answers at 127\.0\.0\.2:\d+: start it, or correct GRIS_KAFKA"):
        stack.start_kafka()


@pytest.mark.parametrize("host", ["nosuch.invalid", "a..b", f"{'x' * 64}.example"])
def test_at_a_name_that_leads_nowhere_nobody_listens(tmp_path: Path, host: str) -> None:
    assert not is_taken(9092, host)
    assert not listening(f"{host}:9092")
    assert fetch(f"http://{host}:8123/ping") is None
    stack = Stack(settings(tmp_path, kafka=f"{host}:9092", clickhouse=f"http://{host}:8123/gris"))
    assert not stack.kafka_answers()
    with pytest.raises(Fatal, match=rf"Nothing answers at {host}:9092: start it, or correct GRIS_KAFKA"):
        stack.start_kafka()
    with pytest.raises(Fatal, match=rf"Nothing answers at {host}:8123: start it, or correct GRIS_CLICKHOUSE"):
        stack.start_clickhouse()


def test_what_speaks_no_http_is_no_database(tmp_path: Path) -> None:
    with answering(b"SSH-2.0-OpenSSH_9.2\r\n") as port:
        assert not Stack(settings(tmp_path, clickhouse=f"http://127.0.0.1:{port}/gris")).clickhouse_answers()


def test_too_little_disk_is_told_with_how_much_there_is_and_is_needed(tmp_path: Path) -> None:
    check_space(tmp_path, free=FREE_BYTES)
    with pytest.raises(Fatal, match=r"Only 0\.5 GiB are free .* 1 GiB are needed: .*GRIS_DATA"):
        check_space(tmp_path, free=FREE_BYTES // 2)


@pytest.mark.parametrize(
    ("number", "sentence"),
    [(errno.ENOSPC, "is full"), (errno.EACCES, "cannot be written"), (errno.EROFS, "cannot be written")],
)
def test_a_full_or_unwritable_disk_is_a_sentence(tmp_path: Path, number: int, sentence: str) -> None:
    with pytest.raises(Fatal, match=f"{sentence}.*GRIS_DATA"), disk_errors(tmp_path):
        raise OSError(number, "as the system says it")


def test_a_second_up_at_the_same_time_is_told_who_is_at_work(tmp_path: Path) -> None:
    with only_one(tmp_path), pytest.raises(Fatal, match=r"\(pid \d+\) is at work"), only_one(tmp_path):
        pass
    with only_one(tmp_path):
        pass


@pytest.mark.parametrize(
    ("kafka", "address"),
    [
        ("127.0.0.1:9092", Address("127.0.0.1", 9092)),
        ("localhost", Address("localhost", 9092)),
        ("broker-1.example:9094,broker-2.example:9094", Address("broker-1.example", 9094)),
    ],
)
def test_the_first_broker_of_the_list_is_the_address(tmp_path: Path, kafka: str, address: Address) -> None:
    assert settings(tmp_path, kafka=kafka).broker == address


@pytest.mark.parametrize("kafka", ["", ":9092", "127.0.0.1:port", "127.0.0.1:99999999"])
def test_an_address_that_is_none_is_told_with_an_example(tmp_path: Path, kafka: str) -> None:
    with pytest.raises(Fatal, match=r"GRIS_KAFKA must look like 127\.0\.0\.1:9092"):
        _ = settings(tmp_path, kafka=kafka).broker


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://db/gris", "http://db:8123"),
        ("https://db/gris", "https://db:8443"),
        ("https://gris:hidden@db:443/gris", "https://db:443"),
        ("http://[::1]/gris", "http://[::1]:8123"),
    ],
)
def test_the_database_is_at_the_port_that_clients_of_its_scheme_take(tmp_path: Path, url: str, shown: str) -> None:
    assert settings(tmp_path, clickhouse=url).engine_url == shown
    assert shown in closing_words(settings(tmp_path, clickhouse=url), bare=True)
