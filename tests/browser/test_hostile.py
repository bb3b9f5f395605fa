"""Markup in names, units, notes, submissions and addresses is text: nothing of it runs, nothing of it is asked for."""

import datetime as dt
from urllib.parse import quote

from playwright.sync_api import Page, expect

from tests.browser.conftest import Board, OpenTab
from tests.support.pages import HOSTILE, REFERENCE
from tests.support.wait import wait_for

# Each with words that show that it is the answer that was looked for.
ANSWERS = {
    "/v1/observations?indicator=G01.005&from={yesterday}": "onerror",
    f"/v1/submissions/g01/{quote(REFERENCE)}": "BAD_SUBMISSION",
    f"/v1/submissions/{quote(REFERENCE)}/S1": "There is no agency",
    f"/indicators/{quote(REFERENCE)}": "There is no indicator",
    f"/static/{quote(REFERENCE)}": "There is no file",
    f"/?day={quote(HOSTILE)}": "allowed is a day like",
    f"/?lang={quote(HOSTILE)}": "lang",
}


def strangers(page: Page) -> int:
    """Count elements that only markup in a text can have made."""
    count: int = page.evaluate("document.querySelectorAll('img, body script, iframe, svg').length")
    return count


def test_markup_in_the_catalogue_is_shown_as_text(open_tab: OpenTab, yesterday: dt.date) -> None:
    tab = open_tab("/coverage")
    page = tab.page
    for lang in ("vi", "en"):
        tab.go(f"/?day={yesterday}&lang={lang}")
        row = page.locator("tr", has=page.locator('a[href*="G01.001"]'))
        expect(row.locator("th")).to_have_text(f"G01.001 {HOSTILE}")
        expect(row.locator("td").nth(1)).to_have_text(HOSTILE)
        expect(page.get_by_role("heading", level=2).last).to_have_text(HOSTILE)
        assert strangers(page) == 0

        tab.go(f"/indicators/G01.001?day={yesterday}&lang={lang}")
        expect(page.get_by_role("heading", level=1)).to_have_text(f"G01.001 {HOSTILE}")
        expect(page.locator("dd").first).to_have_text(HOSTILE)
        expect(page.locator("tbody th", has_text="01 ").first).to_have_text(f"01 {HOSTILE}")
        assert page.title() == f"G01.001 {HOSTILE}"
        assert strangers(page) == 0

        tab.go(f"/coverage?lang={lang}")
        expect(page.locator("tbody tr").nth(1).locator("th")).to_have_text(f"g01 {HOSTILE}")
        assert strangers(page) == 0


def test_markup_in_notes_submissions_and_addresses_is_shown_as_text(open_tab: OpenTab, yesterday: dt.date) -> None:
    tab = open_tab("/coverage")
    for path, shown in ANSWERS.items():
        tab.go(path.format(yesterday=yesterday))
        expect(tab.page.locator("body")).to_contain_text(shown)
        assert tab.page.title() != "owned", path
        assert strangers(tab.page) == 0, path
    tab.faults = [fault for fault in tab.faults if "Failed to load resource" not in fault]  # 404 and 422 are logged


def test_markup_in_the_address_of_a_page_stays_out_of_its_links(
    board: Board, open_tab: OpenTab, today: dt.date
) -> None:
    page = open_tab(f'/?lang=en&"><img src=x onerror=alert(1)>={quote(HOSTILE)}').page
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Daily indicator report {today}")
    assert strangers(page) == 0
    page.get_by_role("link", name="Tiếng Việt").click()
    expect(page.locator("html")).to_have_attribute("lang", "vi")
    assert page.url.startswith(f"{board.url}/?")


def test_a_script_that_is_not_ours_does_not_run_and_would_be_noticed(open_tab: OpenTab) -> None:
    tab = open_tab("/")
    tab.page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "document.title = 'owned'";
          document.body.append(script);
        }"""
    )

    assert tab.page.title() != "owned"  # an inserted script would have run at once
    # The page hears of it in a task of its own, and this process while it asks the page for something.
    wait_for(
        lambda: tab.page.title() and any("policy: script-src" in fault for fault in tab.faults), "it to be noticed"
    )
    tab.faults.clear()
