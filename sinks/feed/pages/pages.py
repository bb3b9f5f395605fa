"""The pages: small HTML documents; scripts of our own fill in the figures and follow the stream."""

import datetime as dt
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response

from schemas.catalogue import Indicator
from schemas.period import LOCAL
from sinks.feed.coverage import NAMES, coverage
from sinks.feed.feed import Feed, feed_of
from sinks.feed.pages.texts import DOMAINS, FLAGS, FREQUENCIES, KINDS, LANGUAGES, STATUSES, WORDS, chosen
from sinks.feed.pages.units import UNITS
from sinks.feed.problem import ProblemError
from sinks.feed.routes.parameters import Day

FOLDER = Path(__file__).with_name("static")
TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}
STATIC = {path.name: path.read_bytes() for path in sorted(FOLDER.iterdir()) if path.suffix in TYPES}
HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
}

Language = Literal["vi", "en"]
TheFeed = Annotated[Feed, Depends(feed_of)]
router = APIRouter()


@router.get("/")
async def day_page(
    request: Request, feed: TheFeed, day: Annotated[Day | None, Query()] = None, lang: Language = "vi"
) -> Response:
    """Show the newest figures of a day by domain, VN's, and keep them current."""
    words, names = chosen(WORDS, lang), chosen(DOMAINS, lang)
    shown = day or dt.datetime.now(LOCAL).date()
    codes = sorted({indicator.domain for indicator in feed.catalogue.indicators})
    domains = [{"id": f"domain-{at}", "code": code, "name": names.get(code, code)} for at, code in enumerate(codes)]
    links = "".join(f'<li><a href="#{domain["id"]}">{escape(domain["name"])}</a></li>' for domain in domains)
    body = f"""
<form method="get"><label>{words["day"]} <input type="date" name="day" value="{shown}" required></label>
<input type="hidden" name="lang" value="{lang}"><button>{words["show"]}</button></form>
<nav aria-label="{words["domains"]}"><ul>{links}</ul></nav>
{_report(words)}"""
    data = {
        "day": str(shown),
        "today": day is None,
        "domains": domains,
        "indicators": [_short(indicator, lang) for indicator in feed.catalogue.indicators],
    }
    return _page(request, lang, f"{words['title']} {shown}", body, data, "day.js")


@router.get("/indicators/{code}")
async def indicator_page(
    request: Request, feed: TheFeed, code: str, day: Annotated[Day | None, Query()] = None, lang: Language = "vi"
) -> Response:
    """Show one indicator's newest figures in every area, and keep them current."""
    indicator = feed.catalogue.indicator(code)
    if indicator is None:
        raise ProblemError(404, f"There is no indicator {code[:80]!r}; see /v1/indicators.")
    words = chosen(WORDS, lang)
    shown = day or dt.datetime.now(LOCAL).date()
    agency = feed.catalogue.agency(indicator.agency)
    facts = {
        "agency": "" if agency is None else agency.name_vi if lang == "vi" else agency.name_en,
        "domain": chosen(DOMAINS, lang).get(indicator.domain, indicator.domain),
        "kind": chosen(KINDS, lang)[indicator.kind],
        "unit": chosen(UNITS, lang).get(indicator.unit, indicator.unit),
        "frequency": chosen(FREQUENCIES, lang)[indicator.frequency],
    }
    rows = "".join(f"<dt>{words[name]}</dt><dd>{escape(text)}</dd>" for name, text in facts.items())
    back = f'<p><a href="/?lang={lang}&amp;day={shown}">{words["back"]} {shown}</a></p>' if day else ""
    body = f"{back}<dl>{rows}</dl>{_report(words)}"
    data = {
        "day": str(shown),
        "today": day is None,
        "indicators": [_short(indicator, lang)],
        "maps": [
            {
                "from": "" if chart.valid_from is None or chart.ordinal == 0 else str(chart.valid_from),
                "areas": [
                    {"code": area.code, "level": area.level, "name": area.name_vi if lang == "vi" else area.name_en}
                    for area in (chart.nation, *chart.regions, *chart.provinces)
                ],
            }
            for chart in feed.catalogue.maps
        ],
    }
    name = indicator.name_vi if lang == "vi" else indicator.name_en
    return _page(request, lang, f"{indicator.code} {name}", body, data, "indicator.js")


@router.get("/coverage")
async def coverage_page(request: Request, feed: TheFeed, lang: Language = "vi") -> Response:
    """Show how many indicators are connected and live, by agency."""
    now = dt.datetime.now(dt.UTC)
    counts = coverage(feed.catalogue, await feed.store.received(), now)
    words = chosen(WORDS, lang)
    columns = {name: words["live_count" if name == "live" else name] for name in NAMES}
    heads = "".join(f'<th scope="col" class="figure">{word}</th>' for word in columns.values())
    agencies: Any = counts["by_agency"]
    rows = [_count_row(words["all_agencies"], counts, columns, "all")]
    rows += [_count_row(f"{code} {entry[f'name_{lang}']}", entry, columns) for code, entry in agencies.items()]
    body = f"""
<p>{words["counted"].format(when=f"{now.astimezone(LOCAL):%H:%M:%S %d/%m/%Y}")}</p>
<table aria-labelledby="title"><thead><tr><th scope="col">{words["agency"]}</th>{heads}</tr></thead>
<tbody>{"".join(rows)}</tbody></table>"""
    return _page(request, lang, words["coverage"], body, None, None)


@router.get("/static/{name}")
async def static(name: str) -> Response:
    """Give a script or the style sheet."""
    if name not in STATIC:
        raise ProblemError(404, f"There is no file {name[:80]!r} here.")
    return Response(STATIC[name], headers=HEADERS, media_type=TYPES[Path(name).suffix])


def _page(
    request: Request, lang: Language, title: str, body: str, data: dict[str, Any] | None, script: str | None
) -> Response:
    other: Language = "en" if lang == "vi" else "vi"
    switch = escape(str(request.url.include_query_params(lang=other).replace(scheme="", netloc="")).removeprefix("//"))
    words = chosen(WORDS, lang)
    scripts = ""
    if data is not None:
        known = {
            **data,
            "lang": lang,
            "words": words,
            "statuses": chosen(STATUSES, lang),
            "flags": chosen(FLAGS, lang),
        }
        text = orjson.dumps(known).decode().replace("<", "\\u003c")  # no text may end the element
        scripts = (
            f'<script type="application/json" id="page">{text}</script>\n'
            f'<script type="module" src="/static/{script}"></script>\n'
        )
    links = "".join(
        f'<a href="{path}?lang={lang}"{" aria-current=page" if path == request.url.path else ""}>{words[name]}</a>'
        for path, name in (("/", "title"), ("/coverage", "coverage"))
    )
    document = f"""<!doctype html>
<html lang="{lang}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title><link rel="icon" href="data:,"><link rel="stylesheet" href="/static/gris.css">
{scripts}</head>
<body><header><nav aria-label="{words["pages"]}">{links}
<a href="{switch}" lang="{other}" hreflang="{other}">{"English" if other == "en" else "Tiếng Việt"}</a></nav></header>
<main><h1 id="title">{escape(title)}</h1>{body}</main></body></html>
"""
    return Response(document, headers=HEADERS, media_type="text/html; charset=utf-8")


def _report(words: Mapping[str, str]) -> str:
    return f"""
<p id="state" role="status">{words["loading"]}</p>
<noscript><p>{words["script"]}</p></noscript>
<div id="report"></div>"""


def _short(indicator: Indicator, lang: Language) -> dict[str, Any]:
    unit = UNITS.get(indicator.unit)
    return {
        "code": indicator.code,
        "name": indicator.name_vi if lang == "vi" else indicator.name_en,
        "domain": indicator.domain,
        "unit": indicator.unit if unit is None else unit[LANGUAGES.index(lang)],
        "decimals": indicator.decimals,
        "breakdowns": indicator.breakdowns,
    }


def _count_row(name: str, counts: Any, columns: Mapping[str, str], kind: str = "") -> str:
    cells = "".join(f'<td class="figure" data-label="{word}">{counts[column]}</td>' for column, word in columns.items())
    return f'<tr class="{kind}"><th scope="row">{escape(name)}</th>{cells}</tr>'
