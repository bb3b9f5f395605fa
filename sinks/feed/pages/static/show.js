// How things are written on the pages: figures, instants, statuses, and the elements that hold them.

export const page = JSON.parse(document.getElementById("page").textContent);

const LOCALE = { vi: "vi", en: "en-GB" }[page.lang]; // days before months, 24 hours
const NOTHING = "–";

/** Read JSON, its figures (value, min, max) as the digits that were sent: a double does not hold all of them. */
export function read(text) {
  const figures = new Set(["value", "min", "max"]);
  return JSON.parse(text, (name, value, source) => (typeof value === "number" && figures.has(name) ? source?.source ?? value : value));
}

/** Write a figure with the indicator's decimals. */
export function figure(value, decimals) {
  if (value === null) return NOTHING;
  return new Intl.NumberFormat(LOCALE, { minimumFractionDigits: decimals, maximumFractionDigits: decimals }).format(value);
}

/** Write an instant in Viet Nam's time. */
export function moment(instant) {
  return new Date(instant).toLocaleString(LOCALE, { timeZone: "Asia/Ho_Chi_Minh" });
}

/** Write how many areas have reported, of how many. */
export function reported(total) {
  return total.areas_expected ? `${total.areas_reported}/${total.areas_expected}` : NOTHING;
}

/** The words for a line's status and flags. */
export function said(line) {
  return [page.statuses[line.status] ?? line.status, ...line.flags.map((flag) => page.flags[flag] ?? flag)].join(", ");
}

/** Make an element with a text, or with children. */
export function make(name, content, attributes = {}) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (Array.isArray(content)) element.append(...content);
  else element.textContent = content;
  return element;
}

/** Make a cell of a column; a narrow screen shows the column's name in the cell. */
export function cell(column, content, attributes = {}) {
  return make("td", content, { "data-label": page.words[column], ...attributes });
}

/** Make a table under a heading of its own. `figures` names the columns whose cells are numbers. */
export function section(id, heading, columns, figures, bodies, note = []) {
  const heads = columns.map((name) => make("th", page.words[name], { scope: "col", class: figures.includes(name) ? `${name} figure` : name }));
  const table = make("table", [make("thead", [make("tr", heads)]), ...bodies], { "aria-labelledby": id });
  return make("section", [make("h2", heading, { id }), ...note, table]);
}
