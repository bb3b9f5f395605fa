// The lines of a day, kept current: the report once, then the stream from the report's cursor on.

import { moment, page, read } from "./show.js";

const state = document.getElementById("state");
const RETRY_MS = 3000;
const WATCH_MS = 5000;

/** The day in Viet Nam at an instant, as YYYY-MM-DD. */
const localDay = (instant) => new Date(new Date(instant).getTime() + 7 * 3600 * 1000).toISOString().slice(0, 10);

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
    this.ready = true; // what the feed says of itself
    this.reached = true; // whether it answers at all
    this.lost = null; // since when the figures may be old
  }

  /** Show the day, and keep it current from now on. */
  start() {
    this.load();
    setTimeout(() => this.watch(), WATCH_MS);
  }

  async load() {
    clearTimeout(this.timer);
    this.source?.close();
    try {
      const answer = await fetch(`/v1/daily/${this.day}?${this.query}`);
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      const report = read(await answer.text());
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
    this.source?.close(); // of a load that ran beside this one
    this.source = new EventSource(`/v1/daily/stream?after=${cursor}`);
    this.source.addEventListener("open", () => this.tell());
    this.source.addEventListener("line", (event) => {
      const line = read(event.data);
      if (this.enter(line)) this.paint(line.indicator);
    });
    this.source.addEventListener("reset", () => this.load());
    this.source.addEventListener("error", () => {
      if (this.source.readyState === EventSource.CLOSED) this.wait(); // else the browser resumes by itself
      else this.tell();
    });
  }

  wait() {
    this.tell();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.load(), RETRY_MS);
  }

  /** Ask the feed how it is: an open stream alone may be one whose other end is gone, or a feed without its broker. */
  async watch() {
    try {
      const answer = await fetch("/readyz", { cache: "no-store", signal: AbortSignal.timeout(WATCH_MS) });
      const now = answer.headers.get("date");
      if (page.today && answer.ok && now && localDay(now) !== page.day) location.reload(); // the day turned
      this.ready = answer.ok;
      if (!this.reached) this.load(); // what came meanwhile may have been sent to nobody
      this.reached = true;
    } catch {
      this.ready = false;
      this.reached = false;
    }
    this.tell();
    setTimeout(() => this.watch(), WATCH_MS);
  }

  /** Say whether what is shown is current, and if not, since when. */
  tell() {
    const live = this.ready && this.source?.readyState === EventSource.OPEN;
    this.lost = live ? null : this.lost ?? Date.now();
    const text = live ? page.words.live : page.words.waiting.replace("{since}", moment(this.lost));
    if (state.textContent !== text) state.textContent = text; // a screen reader reads every change
    state.className = live ? "live" : "waiting";
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
