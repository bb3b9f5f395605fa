"""The pages: small HTML documents; scripts of our own fill in the figures and follow the stream."""

import datetime as dt
from html import escape
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response

from schemas.catalogue import Indicator
from schemas.period import LOCAL
from sinks.feed.coverage import NAMES, coverage
from sinks.feed.feed import Feed, feed_of
from sinks.feed.pages.texts import DOMAINS, FLAGS, STATUSES, WORDS, chosen
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
    words = chosen(WORDS, lang)
    shown = day or dt.datetime.now(LOCAL).date()
    domains = dict.fromkeys(indicator.domain for indicator in feed.catalogue.indicators)
    names = chosen(DOMAINS, lang)
    body = f"""
<form method="get"><label>{words["day"]} <input type="date" name="day" value="{shown}" required></label>
<input type="hidden" name="lang" value="{lang}"><button>{words["show"]}</button></form>
<p id="state" role="status">{words["loading"]}</p>
<noscript><p>{words["script"]}</p></noscript>
<div id="report"></div>"""
    data = {
        "day": str(shown),
        "today": day is None,
        "domains": {code: names.get(code, code) for code in sorted(domains)},
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
        "kind": str(indicator.kind),
        "unit": indicator.unit,
        "frequency": str(indicator.frequency),
    }
    rows = "".join(f"<dt>{words[name]}</dt><dd>{escape(text)}</dd>" for name, text in facts.items())
    body = f"""
<p><a href="/?lang={lang}">{words["back"]}</a></p>
<dl>{rows}</dl>
<p id="state" role="status">{words["loading"]}</p>
<noscript><p>{words["script"]}</p></noscript>
<div id="report"></div>"""
    place = 0 if lang == "vi" else 1
    data = {
        "day": str(shown),
        "today": day is None,
        "indicators": [_short(indicator, lang)],
        "maps": [
            {
                "from": "" if chart.valid_from is None or chart.ordinal == 0 else str(chart.valid_from),
                "names": {area.code: (area.name_vi, area.name_en)[place] for area in chart.areas},
            }
            for chart in feed.catalogue.maps
        ],
    }
    name = indicator.name_vi if lang == "vi" else indicator.name_en
    return _page(request, lang, f"{indicator.code} {name}", body, data, "indicator.js")


@router.get("/coverage")
async def coverage_page(request: Request, feed: TheFeed, lang: Language = "vi") -> Response:
    """Show how many indicators are connected and live, by agency."""
    counts = coverage(feed.catalogue, await feed.store.received(), dt.datetime.now(dt.UTC))
    words = chosen(WORDS, lang)
    heads = "".join(f'<th scope="col">{words["live_count" if name == "live" else name]}</th>' for name in NAMES)
    agencies: Any = counts["by_agency"]
    rows = [_count_row(words["all_agencies"], counts)]
    rows += [_count_row(f"{code} {entry[f'name_{lang}']}", entry) for code, entry in agencies.items()]
    body = f"""
<p><a href="/?lang={lang}">{words["back"]}</a></p>
<table><caption>{words["coverage"]}</caption>
<thead><tr><th scope="col">{words["agency"]}</th>{heads}</tr></thead>
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
    document = f"""<!doctype html>
<html lang="{lang}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title><link rel="icon" href="data:,"><link rel="stylesheet" href="/static/gris.css">
{scripts}</head>
<body><header><nav><a href="/?lang={lang}">{words["title"]}</a> <a href="/coverage?lang={lang}">{words["coverage"]}</a>
<a href="{switch}" lang="{other}" hreflang="{other}">{"English" if other == "en" else "Tiếng Việt"}</a></nav></header>
<main><h1>{escape(title)}</h1>{body}</main></body></html>
"""
    return Response(document, headers=HEADERS, media_type="text/html; charset=utf-8")


def _short(indicator: Indicator, lang: Language) -> dict[str, Any]:
    return {
        "code": indicator.code,
        "name": indicator.name_vi if lang == "vi" else indicator.name_en,
        "domain": indicator.domain,
        "decimals": indicator.decimals,
        "breakdowns": indicator.breakdowns,
    }


def _count_row(name: str, counts: Any) -> str:
    cells = "".join(f"<td>{counts[column]}</td>" for column in NAMES)
    return f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>'
