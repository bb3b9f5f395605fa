"""The page of the coverage: its counts are those of the interface."""

from playwright.sync_api import expect

from sinks.feed.coverage import NAMES
from tests.browser.conftest import Board, OpenTab
from tests.support.wait import wait_for

ROWS = "() => [...document.querySelectorAll('tbody tr')].map((row) => [...row.cells].map((cell) => cell.textContent))"


def test_the_counts_are_those_of_the_interface(board: Board, open_tab: OpenTab) -> None:
    tab = open_tab("/coverage?lang=en")
    page = tab.page
    expect(page.locator("thead th")).to_have_text(
        ["Agency", "Total", "Electronic", "Direct entry", "Connected", "Live", "To connect"]
    )

    def same() -> bool:
        tab.go("/coverage?lang=en")
        counts = board.stack.get("/v1/coverage").json()
        entries = [(f"{code} {entry['name_en']}", entry) for code, entry in counts["by_agency"].items()]
        expected = [
            [name, *(str(entry[column]) for column in NAMES)] for name, entry in [("All agencies", counts), *entries]
        ]
        return bool(page.evaluate(ROWS) == expected)

    wait_for(same, "the page to show the counts")
    expect(page.locator("tbody tr").first.locator("td").first).to_have_text("200")
