// The page of an indicator: its newest bucket in every area, a table per breakdown.

import { Day, figure, head, make, moment, page, said, turn } from "./live.js";

const COLUMNS = ["area", "value", "min", "max", "areas"];
const report = document.getElementById("report");
const [indicator] = page.indicators;

function names(bucket) {
  return page.maps.filter((map) => map.from <= bucket).at(-1).names; // a code alone does not identify a province
}

function table(line) {
  const named = names(line.bucket);
  const rows = line.areas.map((area) => make("tr", [
    make("th", `${area.area} ${named[area.area] ?? ""}`, { scope: "row" }),
    make("td", figure(area.value, indicator.decimals), { class: "figure" }),
    make("td", figure(area.min, indicator.decimals), { class: "figure" }),
    make("td", figure(area.max, indicator.decimals), { class: "figure" }),
    make("td", `${area.areas_reported}/${area.areas_expected}`),
  ]));
  const breakdown = line.breakdown === "_T" ? page.words.total : line.breakdown;
  const caption = `${breakdown}, ${line.time_period}: ${figure(line.value, indicator.decimals)} ${line.unit} (${said(line)}; ${moment(line.updated_at)})`;
  return make("div", [make("table", [make("caption", caption), head(COLUMNS), make("tbody", rows)])], { class: "scroll" });
}

const day = new Day(page.day, `indicator=${encodeURIComponent(indicator.code)}`, () => {
  const lines = day.lines(indicator);
  report.replaceChildren(...(lines.length ? lines.map(table) : [make("p", page.words.missing)]));
});

turn();
day.load();
