"""Whoever is told to stop ends in order and in time, whatever it has not begun yet and whomever it waits for."""

import contextlib
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from signal import SIGINT, SIGTERM

import httpx
import pytest

from deploy.local.ports import free_port
from tests.support.small_catalogue import write_catalogue
from tests.support.stack import START_SECONDS, Process, Stack, running_stack
from tests.support.wait import wait_for

# Only a hang takes longer, on any machine; that they cut themselves off within 10 s, tests/unit adds up.
ENDS_WITHIN = 20.0
AWAY = {"worker": "No Kafka broker answers", "feed": "does not answer"}
TRIES = 5
BOTH = pytest.mark.parametrize("number", [SIGTERM, SIGINT], ids=["SIGTERM", "SIGINT"])
EITHER = pytest.mark.parametrize("what", ["worker", "feed"])


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    with running_stack(folder, write_catalogue(folder / "catalogue")) as running:
        yield running


@contextlib.contextmanager
def silent() -> Iterator["Silent"]:
    """Give a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server, contextlib.ExitStack() as connections:
        yield Silent(server, connections)


class Silent:
    """A server that hears and says nothing."""

    def __init__(self, server: socket.socket, connections: contextlib.ExitStack) -> None:
        self.port = server.getsockname()[1]
        self._server = server
        self._connections = connections

    def asked(self) -> bool:
        """Wait a little for a question; tell whether one came."""
        self._server.settimeout(0.1)
        with contextlib.suppress(TimeoutError, ConnectionError):
            connection = self._connections.enter_context(self._server.accept()[0])
            connection.settimeout(1)
            return bool(connection.recv(1))
        return False


class Started:
    """A worker or a feed that was started with these settings, and where it answers."""

    def __init__(self, folder: Path, what: str, settings: Mapping[str, str]) -> None:
        port = free_port()
        own = {"GRIS_METRICS_PORT": str(port), "GRIS_FEED_PORT": str(port)}
        self.url = f"http://127.0.0.1:{port}"
        self._folder = folder / f"{what}-{port}"
        self._folder.mkdir()
        self.process = Process(folder / f"{what}-{port}.log", {**settings, **own}, what, folder=self._folder)

    def listens(self) -> None:
        """Wait until it answers at all."""
        wait_for(lambda: self._answer("/healthz"), "it to listen", within=START_SECONDS)

    def says(self, words: str) -> None:
        """Wait until it says these words of why it is not ready."""
        wait_for(lambda: words in self._answer("/readyz"), f"/readyz to say: {words}", within=START_SECONDS)

    def _answer(self, path: str) -> str:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(self.url + path, timeout=5).text
        return ""

    def stops(self, *numbers: signal.Signals) -> str:
        """Send signals, a moment apart: it must end in time, with 0 and no trace of a crash. Gives its log."""
        for number in numbers:
            if self.process.alive():
                self.process.tell(number)
            with contextlib.suppress(AssertionError):
                wait_for(lambda: not self.process.alive(), "a moment", within=0.3)
        assert self.process.ended(ENDS_WITHIN) == 0, self.process.tail()
        log = self.process.log.read_text()
        assert "Traceback" not in log, self.process.tail()
        assert not list(self._folder.iterdir()), "it leaves something where it was started"
        return log


Start = Callable[[str, Mapping[str, str]], Started]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start workers and feeds; none survives the test."""
    found: list[Started] = []

    def begin(what: str, settings: Mapping[str, str]) -> Started:
        found.append(Started(tmp_path, what, settings))
        return found[-1]

    yield begin
    for one in found:
        one.process.kill()


def nowhere(port: int) -> dict[str, str]:
    """Point a process at a broker and a database that are not there."""
    return {"GRIS_KAFKA": f"127.0.0.1:{port}", "GRIS_CLICKHOUSE": f"http://127.0.0.1:{port}/gris"}


@EITHER
@BOTH
def test_it_is_told_while_it_still_imports(start: Start, what: str, number: signal.Signals) -> None:
    # Where this process has to wait for its turn, the other may be past its imports: it ends in order then too, and
    # the next is told earlier.
    for _ in range(TRIES):
        one = start(what, nowhere(1))
        wait_for(lambda one=one: one.process.heeds(SIGTERM), "the first handler", within=START_SECONDS, every=0.002)  # type: ignore[misc]
        if "before it was ready" in one.stops(number):
            return
    raise AssertionError(f"none of {TRIES} was told while it still imported")


@EITHER
def test_it_is_told_while_nobody_listens(start: Start, what: str) -> None:
    one = start(what, nowhere(1))
    one.says(AWAY[what])
    one.stops(SIGTERM)


@EITHER
def test_it_is_told_while_nobody_answers(start: Start, what: str) -> None:
    with silent() as broker:
        one = start(what, nowhere(broker.port))
        one.listens()
        wait_for(broker.asked, "a question to the broker", within=START_SECONDS)
        one.stops(SIGTERM)


@EITHER
@BOTH
def test_it_is_told_while_the_database_does_not_answer(
    stack: Stack, start: Start, what: str, number: signal.Signals
) -> None:
    with silent() as database:
        one = start(what, {**stack.environment, "GRIS_CLICKHOUSE": f"http://127.0.0.1:{database.port}/gris"})
        one.listens()
        wait_for(database.asked, "a question to the database", within=START_SECONDS)
        one.stops(number)


@pytest.mark.parametrize("delay", [0.0, 0.1, 0.2, 0.4, 0.8, 1.6])
def test_a_worker_is_told_at_any_moment_of_its_start(stack: Stack, start: Start, delay: float) -> None:
    one = start("worker", stack.environment)
    one.listens()
    time.sleep(delay)  # here the moment is what is tried
    one.stops(SIGTERM)


@EITHER
@pytest.mark.parametrize("numbers", [(SIGINT,), (SIGTERM,) * 4, (SIGTERM, SIGINT, SIGTERM)], ids=str)
def test_it_is_told_when_it_is_ready_and_again_while_it_stops(
    stack: Stack, start: Start, what: str, numbers: tuple[signal.Signals, ...]
) -> None:
    one = start(what, stack.environment)
    stack.wait_ready(one.process, f"{one.url}/readyz")
    log = one.stops(*numbers)
    assert "\x1b" not in log, "control sequences in a file"


def test_without_migrations_a_worker_stops_by_itself_and_names_the_remedy(stack: Stack, start: Start) -> None:
    one = start("worker", {**stack.environment, "GRIS_CLICKHOUSE": f"{stack.engine.url}/nothing_here"})
    assert one.process.ended(60) == 1
    assert "gris migrate" in one.process.tail(3)
