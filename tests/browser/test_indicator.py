"""The page of an indicator: every area of its newest bucket, the nation first, kept current."""

import datetime as dt
import json
from decimal import Decimal

from playwright.sync_api import expect

from tests.browser.conftest import Board, OpenTab
from tests.support.pages import NOTHING, figure, shown_day
from tests.support.wait import wait_for
from tests.support.wire import event


def test_every_area_of_the_report_is_shown_the_nation_first_then_regions_then_provinces(
    board: Board, open_tab: OpenTab, yesterday: dt.date
) -> None:
    page = open_tab(f"/indicators/G01.005?day={yesterday}&lang=en").page
    answer = board.stack.get(f"/v1/daily/{yesterday}?indicator=G01.005")
    lines = json.loads(answer.text, parse_float=Decimal)["lines"]
    chart = board.catalogue.map_on(yesterday)
    order = [chart.nation, *chart.regions, *chart.provinces]

    def expected(line: dict[str, list[dict[str, Decimal]]]) -> list[list[str]]:
        found = {area["area"]: area for area in line["areas"]}
        return [
            [
                f"{area.code} {area.name_en}",
                figure(found[area.code]["value"], 0, "en"),
                *(
                    ("", "", "")
                    if area in chart.provinces
                    else (
                        figure(found[area.code]["min"], 0, "en"),
                        figure(found[area.code]["max"], 0, "en"),
                        f"{found[area.code]['areas_reported']}/{found[area.code]['areas_expected']}",
                    )
                ),
            ]
            for area in order
            if area.code in found
        ]

    wait_for(lambda: shown_day(page), "the tables")
    headings = ["Total", *(line["breakdown"] for line in lines[1:])]
    assert headings == ["Total", "gate:AIR", "gate:LAND", "gate:SEA"]
    assert shown_day(page) == list(zip(headings, map(expected, lines), strict=True))


def test_what_the_indicator_is_stands_above_its_figures(open_tab: OpenTab) -> None:
    page = open_tab("/indicators/G18.001?lang=en").page

    expect(page.locator("dt")).to_have_text(["Agency", "Domain", "Kind", "Unit", "Frequency"])
    expect(page.locator("dd")).to_have_text(["Ministry of Health", "Social", "Flow", "cases", "Every six hours"])


def test_a_published_figure_appears_and_a_withdrawn_one_is_shown_as_missing(
    board: Board, open_tab: OpenTab, today: dt.date
) -> None:
    page = open_tab("/indicators/G03.001").page
    expect(page.locator("#state")).to_have_class("live")
    expect(page.locator("#report")).to_have_text("Chưa có số liệu")

    board.publish(event("G03.001", "04", str(today), 1_250))
    row = page.get_by_role("row", name="04 Cao Bằng")
    expect(row.locator(".figure").first).to_have_text("1.250")
    board.publish(event("G03.001", "04", str(today), None, revision=1))
    expect(row.locator(".figure").first).to_have_text(NOTHING)
    expect(page.locator("section > p")).to_contain_text(NOTHING)
    expect(page.locator("section > p")).to_contain_text("Chưa báo cáo")


def test_areas_have_the_names_of_the_map_in_force_on_the_day(board: Board, open_tab: OpenTab) -> None:
    board.publish(event("G01.001", "02", "2025-06-30", 4))
    page = open_tab("/indicators/G01.001?day=2025-06-30&lang=en").page

    expect(page.get_by_role("row", name="02 Ha Giang").locator(".figure").first).to_have_text("4")
    expect(page.get_by_role("row", name="R1 Northern Midlands and Mountains")).to_be_visible()
