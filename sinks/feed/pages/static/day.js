// The page of a day: VN's figures by domain.

import { Day, figure, head, make, moment, page, said, turn } from "./live.js";

const COLUMNS = ["indicator", "period", "value", "unit", "status", "areas", "updated"];
const bodies = new Map(); // code -> the indicator's tbody
const report = document.getElementById("report");

for (const [domain, name] of Object.entries(page.domains)) {
  const table = make("table", [make("caption", name), head(COLUMNS)]);
  for (const indicator of page.indicators.filter((found) => found.domain === domain)) {
    bodies.set(indicator.code, table.appendChild(make("tbody", [])));
  }
  report.append(make("div", [table], { class: "scroll" }));
}

function rows(indicator, lines) {
  const name = () => make("a", `${indicator.code} ${indicator.name}`, { href: `/indicators/${encodeURIComponent(indicator.code)}?lang=${page.lang}` });
  if (!lines.length) {
    const empty = make("td", page.words.missing, { colspan: COLUMNS.length - 1 });
    return [make("tr", [make("th", [name()], { scope: "row" }), empty])];
  }
  return lines.map((line) => {
    const total = line.breakdown === "_T";
    const cells = [
      make("th", total ? [name()] : line.breakdown, { scope: "row" }),
      make("td", line.time_period),
      make("td", figure(line.value, indicator.decimals), { class: "figure" }),
      make("td", line.unit),
      make("td", said(line)),
      make("td", line.areas_expected ? `${line.areas_reported}/${line.areas_expected}` : "–"),
      make("td", moment(line.updated_at)),
    ];
    return make("tr", cells, total ? {} : { class: "part" });
  });
}

const day = new Day(page.day, "area=VN", (codes, live) => {
  for (const indicator of page.indicators) {
    if (!codes.has(indicator.code)) continue;
    const made = rows(indicator, day.lines(indicator));
    bodies.get(indicator.code).replaceChildren(...made);
    if (live) {
      made.forEach((row) => row.classList.add("changed"));
      setTimeout(() => made.forEach((row) => row.classList.remove("changed")), 1500);
    }
  }
});

turn();
day.load();
