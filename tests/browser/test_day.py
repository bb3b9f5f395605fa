"""The page of a day: what it shows is what the report says, and it keeps up without being loaded again."""

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Board, OpenTab
from tests.support.pages import NOTHING, WIDE, expected_day, moment, shown_day
from tests.support.wait import wait_for
from tests.support.wire import event

LIVE = "Đang cập nhật trực tiếp."
HEADS = ["Chỉ tiêu", "Giá trị", "Đơn vị", "Kỳ", "Trạng thái", "Địa bàn báo cáo", "Cập nhật"]


def report_of(board: Board, day: dt.date) -> Any:
    """Fetch a report with its figures to the last digit."""
    answer = board.stack.get(f"/v1/daily/{day}")
    return json.loads(answer.text, parse_float=Decimal, parse_int=int)


def rows_of(page: Page, code: str) -> Locator:
    """Find the rows of an indicator."""
    return page.locator("tbody", has=page.locator(f'a[href*="/indicators/{code}?"]')).locator("tr")


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_the_page_shows_every_figure_of_the_report_by_domain(
    board: Board, open_tab: OpenTab, lang: str, yesterday: dt.date
) -> None:
    page = open_tab(f"/?day={yesterday}&lang={lang}").page

    def same() -> bool:
        return shown_day(page) == expected_day(board.catalogue, report_of(board, yesterday), lang)

    wait_for(same, "the page to show the report")
    shown = dict(shown_day(page))
    assert sum(len(row) > 2 for rows in shown.values() for row in rows) >= 12
    assert len(shown) == 10


def test_the_columns_are_named(open_tab: OpenTab) -> None:
    page = open_tab("/").page

    heads = page.get_by_role("table", name="Tài chính công").locator("thead th")
    expect(heads).to_have_text(HEADS)


def test_a_figure_with_more_digits_than_a_double_is_shown_to_the_last_one(
    open_tab: OpenTab, yesterday: dt.date
) -> None:
    page = open_tab(f"/?day={yesterday}&lang=en").page

    expect(rows_of(page, WIDE).locator(".figure")).to_have_text("679,999,999,999.9864")


def test_a_flag_a_withdrawn_figure_and_one_never_stated_are_said_in_words(
    open_tab: OpenTab, yesterday: dt.date
) -> None:
    page = open_tab(f"/?day={yesterday}").page

    expect(rows_of(page, "G01.005").first).to_contain_text("Chính thức, Tổng không khớp")
    withdrawn = rows_of(page, "G01.004")
    expect(withdrawn.locator(".figure")).to_have_text(NOTHING)
    expect(withdrawn).to_contain_text("Chưa báo cáo")
    expect(withdrawn).to_contain_text("0/34")
    expect(rows_of(page, "G01.003")).to_contain_text("Chưa có số liệu")


def test_a_published_figure_a_correction_and_a_withdrawal_appear_without_loading_the_page_again(
    board: Board, open_tab: OpenTab, today: dt.date
) -> None:
    page = open_tab("/").page
    expect(page.locator("#state")).to_have_text(LIVE)
    page.evaluate("window.loaded = 'once'")
    row = rows_of(page, "G01.002")
    expect(row).to_contain_text("Chưa có số liệu")

    board.publish(event("G01.002", "01", str(today), 17))
    expect(row.locator(".figure")).to_have_text("17")
    expect(row).to_contain_text("1/34")
    board.publish(event("G01.002", "01", str(today), 16, revision=1, status="B", note="one of them twice"))
    expect(row.locator(".figure")).to_have_text("16")
    expect(row).to_contain_text("Gián đoạn chuỗi")
    board.publish(event("G01.002", "01", str(today), None, revision=2))
    expect(row.locator(".figure")).to_have_text(NOTHING)
    expect(row).to_contain_text("Chưa báo cáo")

    assert page.evaluate("window.loaded") == "once"
    line = next(found for found in report_of(board, today)["lines"] if found["indicator"] == "G01.002")
    expect(row.locator("td").last).to_have_text(moment(line["updated_at"], "vi"))


def test_a_figure_of_another_day_does_not_disturb_the_day_that_is_shown(
    board: Board, open_tab: OpenTab, today: dt.date, yesterday: dt.date
) -> None:
    page = open_tab(f"/?day={yesterday}").page
    expect(page.locator("#state")).to_have_text(LIVE)
    row = rows_of(page, "G02.005")

    board.publish(event("G02.005", "VN", str(yesterday), 88.5))
    expect(row.locator(".figure")).to_have_text("88,5")
    board.publish(
        event("G02.005", "VN", str(today), 11.5),
        event("G02.005", "VN", str(yesterday - dt.timedelta(days=1)), 22.5),
        event("G02.005", "VN", str(yesterday), 99.5, revision=1),
    )
    expect(row.locator(".figure")).to_have_text("99,5")
    expect(row).to_contain_text(str(yesterday))


def test_the_keyboard_s_place_survives_an_update_of_its_row(board: Board, open_tab: OpenTab, today: dt.date) -> None:
    page = open_tab("/").page
    expect(page.locator("#state")).to_have_text(LIVE)
    link = rows_of(page, "G02.002").locator("a")
    link.focus()

    board.publish(event("G02.002", "VN", str(today), 43_210))

    expect(rows_of(page, "G02.002").locator(".figure")).to_have_text("43.210")
    expect(link).to_be_focused()


def test_a_day_is_chosen_with_the_form_and_kept_on_the_way_to_an_indicator_and_back(
    open_tab: OpenTab, yesterday: dt.date
) -> None:
    page = open_tab("/").page
    page.get_by_label("Ngày").fill(str(yesterday))
    page.get_by_role("button", name="Xem").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Báo cáo chỉ tiêu hằng ngày {yesterday}")

    rows_of(page, "G01.005").first.get_by_role("link").click()
    expect(page.locator("#report")).to_contain_text(f"{yesterday}: 123.456 người.")
    page.get_by_role("link", name=f"Về báo cáo ngày {yesterday}").click()
    expect(page.get_by_label("Ngày")).to_have_value(str(yesterday))


def test_a_domain_is_one_click_away(open_tab: OpenTab) -> None:
    page = open_tab("/").page

    page.get_by_role("navigation", name="Các lĩnh vực").get_by_role("link", name="Môi trường", exact=True).click()

    expect(page.get_by_role("heading", name="Môi trường", exact=True)).to_be_in_viewport()
    expect(page.locator("#state")).to_be_in_viewport()  # whether it is live is always in sight
