// The lines of a day, kept current: the report once, then the stream from the report's cursor on.

export const page = JSON.parse(document.getElementById("page").textContent);

const state = document.getElementById("state");
const RETRY_MS = 3000;
const TURN_MS = 30000;

/** Today in Viet Nam, as YYYY-MM-DD. */
const today = () => new Date(Date.now() + 7 * 3600 * 1000).toISOString().slice(0, 10);

export class Day {
  /** `query` narrows the report; `changed(codes)` is called with the codes whose lines are other than before. */
  constructor(day, query, changed) {
    this.day = day;
    this.query = query;
    this.changed = changed;
    this.buckets = new Map(); // code -> {bucket, lines: Map of breakdown -> line}
    this.known = new Set(page.indicators.map((indicator) => indicator.code));
    this.dirty = new Set();
    this.source = null;
  }

  async load() {
    this.source?.close();
    try {
      const answer = await fetch(`/v1/daily/${this.day}?${this.query}`);
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      const report = await answer.json();
      this.buckets.clear();
      report.lines.forEach((line) => this.enter(line));
      this.dirty.clear();
      this.changed(this.known, false);
      this.follow(report.cursor);
    } catch {
      this.wait();
    }
  }

  follow(cursor) {
    this.source = new EventSource(`/v1/daily/stream?after=${cursor}`);
    this.source.addEventListener("open", () => { state.textContent = page.words.live; });
    this.source.addEventListener("line", (event) => {
      const line = JSON.parse(event.data);
      if (this.enter(line)) this.paint(line.indicator);
    });
    this.source.addEventListener("reset", () => this.load());
    this.source.addEventListener("error", () => {
      state.textContent = page.words.waiting;
      if (this.source.readyState === EventSource.CLOSED) this.wait(); // else the browser resumes by itself
    });
  }

  wait() {
    state.textContent = page.words.waiting;
    setTimeout(() => this.load(), RETRY_MS);
  }

  /** Enter a line: the newest bucket up to the day counts, and in it the highest version. True when it is other than before. */
  enter(line) {
    if (!this.known.has(line.indicator) || line.bucket > this.day) return false;
    let held = this.buckets.get(line.indicator);
    if (held && held.bucket > line.bucket) return false;
    if (!held || held.bucket < line.bucket) {
      held = { bucket: line.bucket, lines: new Map() };
      this.buckets.set(line.indicator, held);
    }
    const before = held.lines.get(line.breakdown);
    if (before && before.version > line.version) return false;
    held.lines.set(line.breakdown, line);
    return true;
  }

  paint(code) {
    if (!this.dirty.size) {
      requestAnimationFrame(() => {
        const codes = new Set(this.dirty);
        this.dirty.clear();
        this.changed(codes, true);
      });
    }
    this.dirty.add(code);
  }

  /** The lines of an indicator, the total first, then in the catalogue's order. */
  lines(indicator) {
    const lines = this.buckets.get(indicator.code)?.lines;
    return lines ? indicator.breakdowns.filter((name) => lines.has(name)).map((name) => lines.get(name)) : [];
  }
}

/** Start over when the day in Viet Nam turns, on a page that shows today. */
export function turn() {
  if (page.today) setInterval(() => { if (today() !== page.day) location.reload(); }, TURN_MS);
}

/** Write a figure with the indicator's decimals. */
export function figure(value, decimals) {
  if (value === null) return "–";
  return value.toLocaleString(page.lang, { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}

/** Write an instant in Viet Nam's time. */
export function moment(text) {
  return new Date(text).toLocaleString(page.lang, { timeZone: "Asia/Ho_Chi_Minh" });
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

/** Make a table head of words. */
export function head(names) {
  return make("thead", [make("tr", names.map((name) => make("th", page.words[name], { scope: "col" })))]);
}
