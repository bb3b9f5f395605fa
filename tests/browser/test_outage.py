"""While the feed is away, hangs or lacks its broker, the page says so; then it catches up by itself."""

import datetime as dt
import re

from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Board, OpenTab
from tests.support.pages import Tab
from tests.support.sight import faint_texts
from tests.support.wait import wait_for
from tests.support.wire import event

WATCH_MS = 5_000
LIVE = "Đang cập nhật trực tiếp."
NOT_LIVE = re.compile(r"Mất kết nối từ [0-9:]{8} [0-9/]{8,10}; đang thử lại, số liệu có thể đã cũ\.")


def live(page: Page) -> None:
    """Wait until the page says that it is live."""
    expect(page.locator("#state")).to_have_text(LIVE)


def value(code: str) -> str:
    """Select the figure of an indicator's total."""
    return f'tbody:has(a[href*="/indicators/{code}?"]) .figure'


def ticking(open_tab: OpenTab) -> Tab:
    """Open today's page with a clock that a test can put forward."""
    tab = open_tab("/coverage", fresh=True)
    tab.page.clock.install()
    tab.go("/")
    live(tab.page)
    return tab


def live_again(page: Page) -> None:
    """Put the clock forward until the page says that it is live."""

    def says_so() -> bool:
        page.clock.fast_forward(WATCH_MS)
        return page.inner_text("#state") == LIVE

    wait_for(says_so, "the page to be live again", every=0.25)


def forgive(tab: Tab) -> None:
    """Forget the browser's own lines on requests that nobody answered; nothing else may have been said."""
    assert all("Failed to load resource" in fault for fault in tab.faults), tab.faults
    tab.faults.clear()


def test_the_page_says_that_the_feed_is_away_and_shows_what_was_published_meanwhile(
    board: Board, open_tab: OpenTab, today: dt.date
) -> None:
    day, indicator = open_tab("/"), open_tab("/indicators/G01.003")
    for tab in (day, indicator):
        live(tab.page)
        tab.page.evaluate("window.loaded = 'once'")

    board.stop()
    for tab in (day, indicator):
        expect(tab.page.locator("#state")).to_have_text(NOT_LIVE)
        expect(tab.page.locator("#state")).to_have_class("waiting")
    assert faint_texts(day.page) == []
    board.publish(event("G01.003", "01", str(today), 41))
    board.stack.wait_caught_up()
    board.start()

    expect(day.page.locator(value("G01.003"))).to_have_text("41")
    expect(indicator.page.get_by_role("row", name="01").locator(".figure").first).to_have_text("41")
    for tab in (day, indicator):
        live(tab.page)
        assert tab.page.evaluate("window.loaded") == "once"
        forgive(tab)


def test_a_feed_that_hangs_with_its_connections_open_is_not_called_live(
    board: Board, open_tab: OpenTab, today: dt.date
) -> None:
    tab = ticking(open_tab)
    assert board.feed is not None

    board.feed.pause()
    try:
        tab.page.clock.fast_forward(WATCH_MS)
        expect(tab.page.locator("#state")).to_have_text(NOT_LIVE)
    finally:
        board.feed.resume()

    live_again(tab.page)
    board.publish(event("G03.002", "01", str(today), 97.5, base=1_000))
    expect(tab.page.locator(value("G03.002"))).to_have_text("97,5")
    forgive(tab)


def test_a_feed_that_says_it_is_not_ready_is_not_called_live(open_tab: OpenTab) -> None:
    tab = ticking(open_tab)
    page = tab.page

    page.route("**/readyz", lambda route: route.fulfill(status=503, body="Kafka does not answer."))
    page.clock.fast_forward(WATCH_MS)
    expect(page.locator("#state")).to_have_text(NOT_LIVE)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert faint_texts(page) == []
    page.unroute("**/readyz")
    live_again(page)
    forgive(tab)


def test_a_page_that_shows_today_goes_on_to_the_next_day_by_the_feed_s_clock(open_tab: OpenTab, today: dt.date) -> None:
    tab = ticking(open_tab)
    page = tab.page
    page.evaluate("window.loaded = 'once'")
    with page.expect_response("**/readyz"):
        page.clock.fast_forward(WATCH_MS)
    page.evaluate("fetch('/healthz').then(() => null)")  # once this is answered, that one was heard
    assert page.evaluate("window.loaded") == "once"

    def tomorrow(route: Route) -> None:
        answer = route.fetch()
        midnight = dt.datetime.combine(today, dt.time(17, 0, 1), dt.UTC)  # 00:00:01 of the next day in Viet Nam
        route.fulfill(response=answer, headers=answer.headers | {"date": f"{midnight:%a, %d %b %Y %H:%M:%S} GMT"})

    page.route("**/readyz", tomorrow, times=1)
    with page.expect_navigation():
        page.clock.fast_forward(WATCH_MS)
    live(page)
    assert page.evaluate("window.loaded") is None
