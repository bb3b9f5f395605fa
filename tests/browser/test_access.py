"""Everybody can use the pages: by keyboard, by ear, with weak eyes, in the dark, on a small telephone."""

import datetime as dt
import itertools

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenTab
from tests.support.sight import faint_texts, focused, scrolls_sideways, sticking_out

PATHS = ("/?day={yesterday}", "/coverage", "/indicators/G01.005?day={yesterday}")
STOPS = 18

LANDMARKS = """() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const text = (id) => document.getElementById(id)?.textContent ?? "";
  return {
    headings: all("h1, h2, h3, h4, h5, h6").map((heading) => Number(heading.tagName[1])),
    unlabelled: all("input:not([type=hidden]), select, textarea").filter((input) => !input.labels.length).length,
    nameless: all("a, button").filter((element) => !element.textContent.trim()).length,
    unscoped: all("th:not([scope])").length,
    rowless: all("tbody tr").filter((row) => !row.querySelector("th[scope=row]")).length,
    tables: all("table").map((table) => text(table.getAttribute("aria-labelledby"))),
    navs: all("nav").map((nav) => nav.getAttribute("aria-label") ?? ""),
    ids: all("[id]").map((element) => element.id),
    mains: all("main").length,
  };
}"""


def loaded(page: Page) -> Page:
    """Wait until the page shows its figures."""
    expect(page.locator("tbody tr").first).to_be_visible()
    if page.locator("#state").count():
        expect(page.locator("#state")).to_have_class("live")
    return page


@pytest.mark.parametrize("path", PATHS)
def test_headings_labels_tables_and_landmarks_are_in_order(open_tab: OpenTab, path: str, yesterday: dt.date) -> None:
    page = loaded(open_tab(path.format(yesterday=yesterday)).page)
    found = page.evaluate(LANDMARKS)

    assert found["headings"][0] == 1
    assert found["headings"].count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in itertools.pairwise(found["headings"])), "a level is left out"
    assert found["unlabelled"] == found["nameless"] == found["unscoped"] == found["rowless"] == 0
    assert found["tables"]
    for names in ("tables", "navs", "ids"):
        assert all(found[names]), names
        assert len(set(found[names])) == len(found[names]), names
    assert found["mains"] == 1
    assert page.title() == page.get_by_role("heading", level=1).inner_text()
    expect(page.locator("html")).to_have_attribute("lang", "vi")
    if path != "/coverage":
        expect(page.get_by_role("status")).to_have_text("Đang cập nhật trực tiếp.")


@pytest.mark.parametrize("path", PATHS)
def test_every_text_has_enough_contrast_by_day_and_by_night_also_on_a_row_that_just_changed(
    open_tab: OpenTab, path: str, yesterday: dt.date
) -> None:
    page = loaded(open_tab(path.format(yesterday=yesterday), fresh=True).page)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert faint_texts(page) == [], scheme
    page.evaluate("document.querySelectorAll('tbody tr').forEach((row) => row.classList.add('changed'))")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert faint_texts(page) == [], scheme


def test_too_little_contrast_would_be_noticed(open_tab: OpenTab) -> None:
    page = loaded(open_tab("/coverage").page)
    page.evaluate("document.querySelector('h1').style.setProperty('color', 'rgb(0 0 0 / 30%)')")

    assert [text.split(" ", 1)[1] for text in faint_texts(page)] == ["Mức độ kết nối"]


@pytest.mark.parametrize("path", PATHS)
def test_the_keyboard_reaches_everything_in_order_and_its_place_is_visible(
    open_tab: OpenTab, path: str, yesterday: dt.date
) -> None:
    page = loaded(open_tab(path.format(yesterday=yesterday)).page)
    places: list[int] = []
    for _ in range(STOPS):
        page.keyboard.press("Tab")
        at = focused(page)
        if at["place"] < 0:
            break  # past the last one
        assert at["outlined"], at
        assert at["seen"], at
        if not places or places[-1] != at["place"]:  # a date has several fields
            places.append(at["place"])
    assert places == list(range(len(places)))
    assert len(places) >= 3


def test_a_link_opens_with_the_keyboard(open_tab: OpenTab) -> None:
    page = loaded(open_tab("/").page)
    page.get_by_role("link", name="G18.001").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("G18.001")


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_cut_off_or_scrolls_sideways_at_any_width(open_tab: OpenTab, path: str, yesterday: dt.date) -> None:
    page = loaded(open_tab(path.format(yesterday=yesterday), width=360).page)
    for width in (360, 320, 768, 1024, 1025, 1280, 1920):
        page.set_viewport_size({"width": width, "height": 740})
        assert not scrolls_sideways(page), width
        assert sticking_out(page) == [], width


def test_on_a_telephone_every_figure_stands_after_the_name_of_its_column(open_tab: OpenTab, yesterday: dt.date) -> None:
    page = loaded(open_tab(f"/?day={yesterday}", width=360).page)
    row = page.locator("tbody", has=page.locator('a[href*="G05.003"]')).locator("tr").first

    names = row.locator("td").evaluate_all("(cells) => cells.map((cell) => getComputedStyle(cell, '::before').content)")
    assert names == [f'"{name}: "' for name in ("Giá trị", "Đơn vị", "Kỳ", "Trạng thái", "Địa bàn báo cáo", "Cập nhật")]
    expect(row.locator(".figure")).to_have_text("1.234,5")
