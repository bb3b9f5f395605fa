// The page of an indicator: its newest bucket in every area, a table per breakdown.

import { Day } from "./live.js";
import { cell, figure, make, moment, page, reported, said, section } from "./show.js";

const COLUMNS = ["area", "value", "min", "max", "areas"];
const FIGURES = ["value", "min", "max"];
const report = document.getElementById("report");
const [indicator] = page.indicators;

/** The areas of the map in force on the bucket, by code: a code alone does not identify a province. */
function areas(bucket) {
  return new Map(page.maps.filter((map) => map.from <= bucket).at(-1).areas.map((area, place) => [area.code, { ...area, place }]));
}

function table(line, at) {
  const known = areas(line.bucket);
  const place = (total) => known.get(total.area)?.place ?? known.size;
  const rows = line.areas.toSorted((one, other) => place(one) - place(other)).map((total) => {
    const { name = "", level = "" } = known.get(total.area) ?? {};
    const alone = level === "province"; // its own value is all there is
    const cells = [
      make("th", `${total.area} ${name}`, { scope: "row" }),
      cell("value", figure(total.value, indicator.decimals), { class: "figure" }),
      cell("min", alone ? "" : figure(total.min, indicator.decimals), { class: "figure" }),
      cell("max", alone ? "" : figure(total.max, indicator.decimals), { class: "figure" }),
      cell("areas", alone ? "" : reported(total)),
    ];
    return make("tr", cells, { class: [level, total.value === null ? "missing" : ""].join(" ").trim() });
  });
  const heading = line.breakdown === "_T" ? page.words.total : line.breakdown;
  const sums = make("p", [
    `${line.time_period}: `, make("strong", figure(line.value, indicator.decimals)), ` ${indicator.unit}. ${said(line)}. ${page.words.updated}: ${moment(line.updated_at)}.`,
  ]);
  return section(`line-${at}`, heading, COLUMNS, FIGURES, [make("tbody", rows)], [sums]);
}

const day = new Day(page.day, `indicator=${encodeURIComponent(indicator.code)}`, () => {
  const lines = day.lines(indicator);
  report.replaceChildren(...(lines.length ? lines.map(table) : [make("p", page.words.missing)]));
});

day.start();
