"""What browser tests share: one system with figures in it, one browser, and tabs in which nothing may go wrong."""

import contextlib
import datetime as dt
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

from deploy.local.ports import free_port
from schemas.catalogue import Catalogue
from tests.support.day import day_lasting
from tests.support.pages import HOSTILE, REFERENCE, WIDE, Tab, chromium, write_board_catalogue
from tests.support.sending import of_event, send
from tests.support.stack import Process, Stack, running_stack
from tests.support.wire import Event, event

SHOWN_WITHIN_MS = 15_000
TESTS_SECONDS = 300  # what all tests of this folder take at most; 50 without other work on the machine
OpenTab = Callable[..., Tab]


class Board:
    """The system, and its feed at one address for good: it may be stopped and started again."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.feed: Process | None = None
        stack.feed_url = self.url

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue everything runs with."""
        return self.stack.catalogue

    def start(self) -> None:
        """Start the feed and wait until it is ready."""
        self.feed = Process(
            self.stack.folder / "feed.log", {**self.stack.environment, "GRIS_FEED_PORT": str(self.port)}, "feed"
        )
        self.stack.wait_ready(self.feed, f"{self.url}/readyz")

    def stop(self) -> None:
        """Stop the feed."""
        if self.feed is not None:
            self.feed.stop()

    def publish(self, *events: Event) -> None:
        """Send figures as their agencies do; returns when the broker has them."""
        send(self.stack.bootstrap, [of_event(said) for said in events])


def figures(yesterday: str) -> list[Event]:
    """State figures of every kind of looks: with and without decimals, thousands, codes, flags, notes, withdrawn."""
    month, year = yesterday[:7], yesterday[:4]
    return [
        *(event("G01.001", area, yesterday, value) for area, value in (("01", 12), ("04", 0), ("08", 3))),
        event("G01.005", "01", yesterday, 123_456, note=HOSTILE, submission="BOARD-1"),
        *(event("G01.005", "01", yesterday, 7, breakdown=f"gate:{gate}") for gate in ("AIR", "LAND", "SEA")),
        event("G01.005", "04", yesterday, 5, submission=REFERENCE),  # refused, with the name quoted in the reason
        event("G01.004", "01", yesterday, 4),
        event("G01.004", "01", yesterday, None, note="withdrawn"),
        event("G02.001", "VN", yesterday, 612.5, status="P"),
        event("G02.003", "VN", yesterday, 21_590, status="E"),
        event("G05.003", "01", month, 1_234.5),
        event("G05.005", "VN", month, 103.47, status="F"),
        event("G05.010", "01", f"{year}-S1", -12.34, base=1_000),
        *(event("G18.001", "01", f"{yesterday}T{hour}:00:00/PT6H", 5) for hour in ("00", "06")),
    ]


def wide_figures(catalogue: Catalogue, day: dt.date) -> list[Event]:
    """State figures whose sum has sixteen digits."""
    return [
        event(WIDE, province.code, f"{day}T{hour}:00:00/PT1H", 9_999_999_999.9998)
        for province in catalogue.map_on(day).provinces
        for hour in ("01", "02")
    ]


@pytest.fixture(scope="package")
def today() -> dt.date:
    """Give the day in Viet Nam, which does not end before these tests do: the pages go on to the next by themselves."""
    return day_lasting(TESTS_SECONDS)


@pytest.fixture(scope="package")
def yesterday(today: dt.date) -> dt.date:
    """Give the day of the figures above."""
    return today - dt.timedelta(days=1)


@pytest.fixture(scope="package")
def board(tmp_path_factory: pytest.TempPathFactory, yesterday: dt.date) -> Iterator[Board]:
    """Run broker, database, worker and feed, with the figures above in the report."""
    folder = tmp_path_factory.mktemp("board")
    with running_stack(folder, write_board_catalogue(folder / "catalogue")) as stack:
        worker = stack.worker(ready=False)
        board = Board(stack)
        try:
            board.start()
            board.publish(*figures(yesterday.isoformat()), *wide_figures(stack.catalogue, yesterday))
            stack.wait_caught_up(alive=[worker])
            yield board
        finally:
            board.stop()


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Run the machine's own Chromium."""
    expect.set_options(timeout=SHOWN_WITHIN_MS)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium())
        yield running
        running.close()


def new_context(browser: Browser) -> BrowserContext:
    """Make a profile of its own, far from Viet Nam and from its language."""
    return browser.new_context(locale="de-DE", timezone_id="Pacific/Auckland", reduced_motion="reduce")


@pytest.fixture(scope="package")
def first_tab(board: Board, browser: Browser) -> Iterator[Tab]:
    """Keep one tab for all tests: a new one costs a process."""
    with new_context(browser) as context:
        yield Tab(context.new_page(), board.url)


@pytest.fixture
def open_tab(board: Board, browser: Browser, first_tab: Tab) -> Iterator[OpenTab]:
    """Open tabs, ``fresh`` ones where a test changes more than the window; in the end none may have a fault."""
    tabs: list[Tab] = []
    with contextlib.ExitStack() as closing:

        def opened(path: str, *, width: int = 1280, fresh: bool = False) -> Tab:
            if fresh or first_tab in tabs:
                tab = Tab(closing.enter_context(new_context(browser)).new_page(), board.url)
            else:
                tab = first_tab
                tab.faults.clear()
            tabs.append(tab)
            tab.page.set_viewport_size({"width": width, "height": 900})
            tab.go(path)
            return tab

        yield opened
        assert [fault for tab in tabs for fault in tab.faults] == []
