"""The daily report: the newest bucket of every indicator on or before a day, as one JSON document."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from schemas.catalogue import Catalogue, Indicator
from sinks.feed.line import FIELDS, LineText, date_of, instant, period_text, quoted


class SelectionError(ValueError):
    """A ``parameter`` of the report names something that is not there; the text says what is allowed."""

    def __init__(self, parameter: str, sentence: str) -> None:
        super().__init__(sentence)
        self.parameter = parameter


@dataclass(frozen=True, slots=True)
class Selection:
    """What of a report is asked for; None means everything."""

    areas: tuple[str, ...] | None = None
    fields: tuple[str, ...] | None = None
    domain: str | None = None
    indicator: str | None = None

    @classmethod
    def read(
        cls,
        catalogue: Catalogue,
        *,
        area: Sequence[str] | None = None,
        fields: Sequence[str] | None = None,
        domain: str | None = None,
        indicator: str | None = None,
    ) -> "Selection":
        """Check the parameters of a request; lists may be repeated or joined by commas.

        Raises SelectionError for what is not there.
        """
        areas = _listed(area)
        known = {found.code for areas_map in catalogue.maps for found in areas_map.areas}
        for code in areas or ():
            if code not in known:
                raise SelectionError(
                    "area", f"There is no area {code[:80]!r} in any map; use VN, a region or a province code."
                )
        names = _listed(fields)
        for name in names or ():
            if name not in FIELDS:
                raise SelectionError("fields", f"A line has no field {name[:80]!r}; it has {', '.join(FIELDS)}.")
        domains = {found.domain for found in catalogue.indicators}
        if domain is not None and domain not in domains:
            raise SelectionError(
                "domain", f"There is no domain {domain[:80]!r}; there are {', '.join(sorted(domains))}."
            )
        if indicator is not None and catalogue.indicator(indicator) is None:
            raise SelectionError("indicator", f"There is no indicator {indicator[:80]!r}; see /v1/indicators.")
        return cls(areas, names, domain, indicator)

    def indicators(self, catalogue: Catalogue) -> list[Indicator]:
        """Give the catalogue's indicators that the report is about, in the catalogue's order."""
        return [
            found
            for found in catalogue.indicators
            if self.domain in (None, found.domain) and self.indicator in (None, found.code)
        ]


@dataclass(frozen=True, slots=True)
class View:
    """What a report shows: per indicator its newest bucket and that bucket's lines by breakdown.

    ``cursor`` was known before any line was read, so nothing is left out by following gris.daily after it.
    """

    day: dt.date
    cursor: int
    lines: Mapping[str, Mapping[str, LineText]]


def document(view: View, catalogue: Catalogue, selection: Selection, as_of: dt.datetime | None = None) -> bytes:
    """Write the report. Without ``as_of`` the document says how new its newest line is; null when it has none."""
    lines: list[str] = []
    missing: list[str] = []
    newest = ""
    for indicator in selection.indicators(catalogue):
        texts = view.lines.get(indicator.code)
        if not texts:
            missing.append(quoted(indicator.code))
            continue
        for text in in_order(indicator, texts):
            newest = max(newest, text.fields["updated_at"])
            lines.append(text.select(selection.fields, selection.areas))
    said = newest or "null" if as_of is None else f'"{instant(round(as_of.timestamp() * 1000))}"'
    return (
        f'{{"day":"{view.day}","as_of":{said},"cursor":{view.cursor},'
        f'"lines":[{",".join(lines)}],"missing":[{",".join(missing)}]}}'
    ).encode()


def in_order(indicator: Indicator, texts: Mapping[str, LineText]) -> Iterable[LineText]:
    """Give the lines of one bucket in the catalogue's order of breakdowns, the total first."""
    known = [texts[breakdown] for breakdown in indicator.breakdowns if breakdown in texts]
    return known + [texts[breakdown] for breakdown in sorted(texts) if breakdown not in indicator.breakdowns]


def bucket_name(indicator: Indicator, day: int) -> str:
    """Name a bucket for people: its period in the indicator's frequency, with the date where they differ."""
    text = period_text(indicator, day)
    return text if text == str(date_of(day)) else f"{text} ({date_of(day)})"


def _listed(values: Sequence[str] | None) -> tuple[str, ...] | None:
    if values is None:
        return None
    return tuple(dict.fromkeys(part for value in values for part in value.split(",") if part))
