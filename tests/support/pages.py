"""The pages in a real browser: a tab that hears every fault, and what the pages should say of a report."""

import csv
import datetime as dt
import os
import shutil
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from playwright.sync_api import ConsoleMessage, Page, Request

from schemas import catalogue as bundled
from schemas.catalogue import Catalogue, Indicator
from schemas.period import LOCAL
from sinks.feed.pages.texts import DOMAINS, FLAGS, STATUSES, WORDS, chosen
from sinks.feed.pages.units import UNITS
from tests.support.catalogue_folders import change

BROWSERS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
HOSTILE = "<img src=x onerror=\"document.title='owned'\">&lt;<script>document.title='owned'</script>'\\"
REFERENCE = HOSTILE.replace("/", "")  # an address can hold it
WIDE = "G05.004"  # in the tests' catalogue its total has more digits than a double holds
NOTHING = "\N{EN DASH}"
HEARD = """document.addEventListener('securitypolicyviolation',
  (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));"""

Rows = list[list[str]]


class Tab:
    """A page in the browser; ``faults`` has what must not happen: errors, refused content, strangers' addresses."""

    def __init__(self, page: Page, home: str) -> None:
        self.page = page
        self.home = home
        self.faults: list[str] = []
        page.add_init_script(HEARD)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.faults.append(f"uncaught: {error}"))
        page.on("dialog", lambda dialog: self.faults.append(f"dialog: {dialog.message}"))
        page.on("request", self._request)

    def go(self, path: str) -> Page:
        """Open a path of the feed."""
        self.page.goto(f"{self.home}{path}")
        return self.page

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning", "assert"}:
            self.faults.append(f"{message.type}: {message.text}")

    def _request(self, request: Request) -> None:
        if not request.url.startswith((f"{self.home}/", "data:")):
            self.faults.append(f"asks elsewhere: {request.url}")


def chromium() -> str:
    """Name the browser's program: GRIS_CHROMIUM, or the first of this machine's own."""
    named = os.environ.get("GRIS_CHROMIUM")
    found = named or next((path for path in map(shutil.which, BROWSERS) if path), None)
    assert found is not None, (
        "No Chromium: install it (Debian: apt-get install chromium fonts-dejavu-core; Fedora: dnf install chromium;"
        " macOS: brew install --cask chromium), or name one in GRIS_CHROMIUM."
    )
    return found


def write_board_catalogue(folder: Path) -> Path:
    """Write the bundled catalogue with markup in its names, and with one indicator of very large figures."""
    folder.mkdir()
    for file in Path(bundled.__file__).parent.glob("*.csv"):
        shutil.copy(file, folder)
    name = {"name_vi": HOSTILE, "name_en": HOSTILE}
    change(folder, "agencies.csv", _row(folder / "agencies.csv", "g01"), **name)
    change(folder, "areas_2025.csv", _row(folder / "areas_2025.csv", "01"), **name)
    indicators = folder / "indicators.csv"
    change(folder, indicators.name, _row(indicators, "G01.001"), unit=HOSTILE, **name)
    change(folder, indicators.name, _row(indicators, "G01.006"), domain=HOSTILE)
    change(folder, indicators.name, _row(indicators, WIDE), frequency="hourly", decimals="4", max="")
    return folder


def _row(file: Path, code: str) -> int:
    with file.open(encoding="utf-8", newline="") as lines:
        return next(number for number, cells in enumerate(csv.reader(lines), 1) if cells[0] == code)


def expected_day(catalogue: Catalogue, report: Any, lang: str) -> list[tuple[str, Rows]]:
    """Say what the page of a day must show of a report: per domain its name and the texts of its rows."""
    names, words = chosen(DOMAINS, lang), chosen(WORDS, lang)
    said: dict[str, list[Any]] = {}
    for line in report["lines"]:
        said.setdefault(line["indicator"], []).append(line)
    shown = []
    for domain in sorted({indicator.domain for indicator in catalogue.indicators}):
        rows: Rows = []
        for indicator in catalogue.indicators:
            if indicator.domain == domain:
                lines = said.get(indicator.code, [])
                rows += [_line(indicator, line, lang) for line in lines] or [[named(indicator, lang), words["missing"]]]
        shown.append((names.get(domain, domain), rows))
    return shown


def _line(indicator: Indicator, line: Any, lang: str) -> list[str]:
    return [
        named(indicator, lang) if line["breakdown"] == "_T" else line["breakdown"],
        figure(line["value"], indicator.decimals, lang),
        unit(indicator, lang),
        line["time_period"],
        ", ".join([chosen(STATUSES, lang)[line["status"]], *(chosen(FLAGS, lang)[flag] for flag in line["flags"])]),
        f"{line['areas_reported']}/{line['areas_expected']}" if line["areas_expected"] else NOTHING,
        moment(line["updated_at"], lang),
    ]


def named(indicator: Indicator, lang: str) -> str:
    """Say an indicator's code and name."""
    return f"{indicator.code} {indicator.name_vi if lang == 'vi' else indicator.name_en}"


def unit(indicator: Indicator, lang: str) -> str:
    """Say an indicator's unit."""
    return chosen(UNITS, lang).get(indicator.unit, indicator.unit)


def figure(value: Decimal | None, decimals: int, lang: str) -> str:
    """Write a figure as people do: 1.234,5 in Vietnamese, 1,234.5 in English."""
    if value is None:
        return NOTHING
    text = f"{value:,.{decimals}f}"
    return text if lang == "en" else text.translate(str.maketrans(",.", ".,"))


def moment(text: str, lang: str) -> str:
    """Write an instant in Viet Nam's time."""
    local = dt.datetime.fromisoformat(text).astimezone(LOCAL)
    return f"{local:%d/%m/%Y, %H:%M:%S}" if lang == "en" else f"{local:%H:%M:%S} {local.day}/{local.month}/{local.year}"


def shown_day(page: Page) -> list[tuple[str, Rows]]:
    """Read what the page shows: per section its heading and the texts of its table's rows."""
    sections: Sequence[Any] = page.evaluate(
        """() => [...document.querySelectorAll("#report section")].map((section) => [
          section.querySelector("h2").textContent,
          [...section.querySelectorAll("tbody tr")].map((row) => [...row.children].map((cell) => cell.textContent)),
        ])"""
    )
    return [(heading, rows) for heading, rows in sections]
