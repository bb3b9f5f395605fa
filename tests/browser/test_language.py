"""Vietnamese and English: the switch keeps the page and the day, and changes every word and every figure."""

import datetime as dt

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenTab


@pytest.mark.parametrize(
    ("path", "vietnamese", "english"),
    [
        ("/?day={yesterday}", ["Tài chính công", "1.234,5", "tỷ đồng"], ["Public finance", "1,234.5", "VND billion"]),
        ("/coverage", ["Nhập trực tiếp", "Bộ Y tế"], ["Direct entry", "Ministry of Health"]),
        ("/indicators/G18.001?day={yesterday}", ["6 giờ một lần", "Xã hội"], ["Every six hours", "Social"]),
    ],
)
def test_the_switch_changes_the_words_and_keeps_page_and_day(
    open_tab: OpenTab, path: str, vietnamese: list[str], english: list[str], yesterday: dt.date
) -> None:
    page = open_tab(path.format(yesterday=yesterday)).page
    address = page.url
    expect(page.locator("html")).to_have_attribute("lang", "vi")
    for words in vietnamese:
        expect(page.locator("main")).to_contain_text(words)

    switch = page.get_by_role("link", name="English")
    expect(switch).to_have_attribute("lang", "en")
    switch.click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    for words in english:
        expect(page.locator("main")).to_contain_text(words)
    for words in vietnamese:
        expect(page.locator("main")).not_to_contain_text(words)

    page.get_by_role("link", name="Tiếng Việt").click()
    expect(page.locator("main")).to_contain_text(vietnamese[0])
    assert page.url.split("?")[0] == address.split("?")[0]
    assert (f"day={yesterday}" in page.url) == (f"day={yesterday}" in address)


def test_links_keep_the_language(open_tab: OpenTab, today: dt.date) -> None:
    page = open_tab("/?lang=en").page

    page.get_by_role("link", name="G18.001").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.get_by_role("link", name="Coverage").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.get_by_role("link", name="Daily indicator report").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Daily indicator report {today}")
