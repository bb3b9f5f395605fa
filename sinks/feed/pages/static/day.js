// The page of a day: VN's figures by domain.

import { Day } from "./live.js";
import { cell, figure, make, moment, page, reported, said, section } from "./show.js";

const COLUMNS = ["indicator", "value", "unit", "period", "status", "areas", "updated"];
const FIGURES = ["value"];
const CHANGED_MS = 1500;
const bodies = new Map(); // code -> the indicator's tbody
const report = document.getElementById("report");

for (const { id, code, name } of page.domains) {
  const own = page.indicators.filter((indicator) => indicator.domain === code);
  own.forEach((indicator) => bodies.set(indicator.code, make("tbody", rows(indicator, []))));
  report.append(section(id, name, COLUMNS, FIGURES, own.map((indicator) => bodies.get(indicator.code))));
}

function rows(indicator, lines) {
  const when = page.today ? "" : `&day=${page.day}`;
  const link = make("a", `${indicator.code} ${indicator.name}`, { href: `/indicators/${encodeURIComponent(indicator.code)}?lang=${page.lang}${when}` });
  if (!lines.length) {
    const empty = make("td", page.words.missing, { colspan: COLUMNS.length - 1 });
    return [make("tr", [make("th", [link], { scope: "row" }), empty], { class: "missing" })];
  }
  return lines.map((line) => {
    const total = line.breakdown === "_T";
    const cells = [
      make("th", total ? [link] : line.breakdown, { scope: "row" }),
      cell("value", figure(line.value, indicator.decimals), { class: "figure" }),
      cell("unit", indicator.unit),
      cell("period", line.time_period, { class: "whole" }),
      cell("status", said(line), line.flags.length ? { class: "flagged" } : {}),
      cell("areas", reported(line)),
      cell("updated", moment(line.updated_at), { class: "whole" }),
    ];
    return make("tr", cells, { class: [total ? "total" : "part", line.value === null ? "missing" : ""].join(" ").trim() });
  });
}

const day = new Day(page.day, "area=VN", (codes, live) => {
  for (const indicator of page.indicators) {
    if (!codes.has(indicator.code)) continue;
    const body = bodies.get(indicator.code);
    const focused = body.contains(document.activeElement);
    const made = rows(indicator, day.lines(indicator));
    body.replaceChildren(...made);
    if (focused) body.querySelector("a")?.focus({ preventScroll: true });
    if (live) {
      made.forEach((row) => row.classList.add("changed"));
      setTimeout(() => made.forEach((row) => row.classList.remove("changed")), CHANGED_MS);
    }
  }
});

day.start();
