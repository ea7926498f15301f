/** The live calls: one row each, keyed by call; only rows on the screen are painted. */

import { drawn, make, say } from "./dom.js";
import { STATES, clock, plain } from "./words.js";

const FLOOR = -60; // dBov: the left end of a meter
const HISTORY = 60; // seconds of MOS in a sparkline
const [LOWEST, HIGHEST] = [1, 4.5]; // MOS
const [WIDTH, HEIGHT] = [96, 22]; // of a sparkline
const CHIPS = 3; // problems shown in a row

/** @param {number | null} level  dBov. @returns {number} 0 to 1 */
function share(level) {
  return level === null ? 0 : Math.min(1, Math.max(0, 1 - level / FLOOR));
}

/** @param {number | null} mos */
export function grade(mos) {
  return mos === null ? "" : mos > 3.6 ? "good" : mos > 3 ? "fair" : "bad";
}

/** @param {{ code: string, severity: string }} problem */
export function chip({ code, severity }) {
  return make("span", { class: `chip ${severity}`, text: plain(code) });
}

/** One call in the table. */
class Row {
  visible = false;
  /** @type {(number | null)[]} */ history = [];

  /** @param {any} call */
  constructor(call) {
    this.call = call;
    this.state = make("span", { class: "state" });
    this.parties = make("a", { href: `#call/${call.callId}` });
    this.about = make("span", { class: "quiet about" });
    this.time = make("span", { class: "time" });
    this.heard = make("i");
    this.said = make("i");
    this.levels = make("div", { class: "levels", role: "img" },
      make("span", { class: "bar" }, this.heard), make("span", { class: "bar" }, this.said));
    this.mos = make("span", { class: "mos" });
    this.line = drawn("polyline", { fill: "none" });
    this.chips = make("div", { class: "chips" });
    const spark = drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "spark", "aria-hidden": "true" }, this.line);
    const cell = (/** @type {string} */ kind, /** @type {Node[]} */ ...inside) => make("div", { role: "cell", class: kind }, ...inside);
    this.element = make("div", { role: "row", class: "call" },
      cell("c-state", this.state), cell("c-who", this.parties, this.about), cell("c-time", this.time),
      cell("c-levels", this.levels), cell("c-mos", this.mos, spark), cell("c-problems", this.chips));
    this.index();
  }

  /** Remember what a filter looks at. */
  index() {
    const { from, to, line, tag, callId, state, direction, legs, problems } = this.call;
    const codes = problems.map((/** @type {any} */ one) => `${one.code} ${one.severity}`);
    this.text = [from, to, line, tag, callId, state, direction, ...legs, ...codes].join(" ").toLowerCase();
  }

  /** @param {any} change  The fields that have changed. */
  update(change) {
    Object.assign(this.call, change);
    if ("problems" in change || "state" in change || "tag" in change || "legs" in change) this.index();
  }

  /** @param {number} now  The bridge's time, ms. */
  tick(now) {
    const { answeredAt, startedAt } = this.call;
    say(this.time, clock((now - (answeredAt ?? startedAt)) / 1000));
    this.line.setAttribute("points", this.#points());
  }

  paint() {
    const { call } = this;
    say(this.state, call.muted ? `${STATES[call.state] ?? call.state}, muted` : STATES[call.state] ?? call.state);
    this.state.className = `state ${call.state}`;
    say(this.parties, `${call.from || "unknown"} → ${call.to || "unknown"}`);
    say(this.about, [call.line, call.direction, call.tag].filter(Boolean).join(" · "));
    this.heard.style.transform = `scaleX(${share(call.heard)})`;
    this.said.style.transform = `scaleX(${share(call.said)})`;
    const level = (/** @type {number | null} */ value) => (value === null ? "nothing" : `${value} dB`);
    this.levels.ariaLabel = `Far party ${level(call.heard)}, this side ${level(call.said)}`;
    say(this.mos, call.mos === null ? "–" : call.mos.toFixed(1));
    this.mos.className = `mos ${grade(call.mos)}`;
    const shown = call.problems.map((/** @type {any} */ one) => `${one.severity} ${one.code}`).join();
    if (this.chips.dataset.shown !== shown) {
      this.chips.dataset.shown = shown;
      const rest = call.problems.length - CHIPS;
      this.chips.replaceChildren(...call.problems.slice(0, CHIPS).map(chip));
      if (rest > 0) this.chips.append(make("span", { class: "quiet", text: `and ${rest} more` }));
    }
  }

  #points() {
    const first = HISTORY - this.history.length;
    return this.history.flatMap((value, index) => {
      if (value === null) return [];
      const x = ((first + index) / (HISTORY - 1)) * WIDTH;
      const y = HEIGHT - 1 - ((value - LOWEST) / (HIGHEST - LOWEST)) * (HEIGHT - 2);
      return [`${x.toFixed(1)},${y.toFixed(1)}`];
    }).join(" ");
  }
}

/** The table of live calls with its filter and figures. */
export class LiveView {
  /** @type {Map<string, Row>} */ #rows = new Map();
  /** @type {WeakMap<Element, Row>} */ #of = new WeakMap();
  #words = "";
  #onlyProblems = false;

  constructor() {
    this.total = make("output", { "aria-live": "off", text: "–" });
    this.broken = make("output", { "aria-live": "off", text: "–" });
    this.worst = make("output", { "aria-live": "off", text: "–" });
    this.count = make("p", { class: "quiet", role: "status" });
    this.search = make("input", { id: "filter", type: "search", autocomplete: "off", spellcheck: "false", placeholder: "Number, line, tag, state or problem" });
    this.only = make("input", { id: "only-problems", type: "checkbox" });
    const head = (/** @type {string} */ text) => make("div", { role: "columnheader", text });
    this.body = make("div", { role: "rowgroup", class: "calls" });
    const tile = (/** @type {string} */ text, /** @type {Element} */ value) => make("figure", { class: "tile" }, make("figcaption", { text }), value);
    this.element = make("section", { "aria-labelledby": "live-title" },
      make("h2", { id: "live-title", text: "Live calls", tabindex: -1 }),
      make("div", { class: "figures" }, tile("Calls", this.total), tile("With a problem", this.broken), tile("Lowest MOS", this.worst)),
      make("form", { class: "filters", role: "search" },
        make("label", { for: "filter", text: "Filter" }), this.search,
        make("label", { class: "check" }, this.only, "Only calls with a problem")),
      this.count,
      make("div", { role: "table", class: "table card", "aria-labelledby": "live-title" },
        make("div", { role: "rowgroup", class: "heads" },
          make("div", { role: "row", class: "call" }, head("State"), head("Parties"), head("Time"), head("Far party, this side"), head("MOS"), head("Problems"))),
        this.body));
    this.element.querySelector("form").addEventListener("submit", (/** @type {Event} */ event) => event.preventDefault());
    this.search.addEventListener("input", () => this.filter(this.search.value, this.only.checked));
    this.only.addEventListener("change", () => this.filter(this.search.value, this.only.checked));
    this.watcher = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        const row = this.#of.get(target);
        if (!row) continue;
        row.visible = isIntersecting;
        if (isIntersecting) {
          row.paint();
          row.tick(this.now);
        }
      }
    }, { rootMargin: "300px" });
    this.offset = 0;
    this.clock = setInterval(() => this.tick(), 1000);
  }

  close() {
    clearInterval(this.clock);
    this.watcher.disconnect();
  }

  /** The bridge's time, ms. */
  get now() {
    return Date.now() + this.offset;
  }

  /** @param {any} message  Of `/console/api/live`. */
  take({ all = false, now, calls = [], gone = [] }) {
    this.offset = now - Date.now();
    const listed = new Set(calls.map((/** @type {any} */ { callId }) => callId));
    const left = all ? [...this.#rows.keys()].filter((callId) => !listed.has(callId)) : gone;
    for (const callId of left) this.#remove(callId);
    for (const change of calls) this.#merge(change);
    for (const row of this.#rows.values()) if (row.visible) row.paint();
    this.#sum();
  }

  /** A second has passed. */
  tick() {
    for (const row of this.#rows.values()) {
      row.history = [...row.history, row.call.mos].slice(-HISTORY);
      if (row.visible) row.tick(this.now);
    }
  }

  /** @param {string} words  All must be in a row. @param {boolean} onlyProblems */
  filter(words, onlyProblems) {
    this.#words = words.toLowerCase();
    this.#onlyProblems = onlyProblems;
    for (const row of this.#rows.values()) this.#show(row);
    this.#sum();
  }

  /** @param {any} change */
  #merge({ mosHistory, ...change }) {
    let row = this.#rows.get(change.callId);
    if (!row) {
      row = new Row({ problems: [], legs: [], mos: null, heard: null, said: null, ...change });
      this.#rows.set(change.callId, row);
      this.#of.set(row.element, row);
      this.#insert(row);
      this.watcher.observe(row.element);
    } else row.update(change);
    if (mosHistory) row.history = mosHistory;
    this.#show(row);
  }

  /** Insert a row, the newest call first. @param {Row} row */
  #insert(row) {
    let before = this.body.firstElementChild;
    while (before && (this.#of.get(before)?.call.startedAt ?? 0) > row.call.startedAt) before = before.nextElementSibling;
    this.body.insertBefore(row.element, before);
  }

  /** @param {string} callId */
  #remove(callId) {
    const row = this.#rows.get(callId);
    if (!row) return;
    this.watcher.unobserve(row.element);
    row.element.remove();
    this.#rows.delete(callId);
  }

  /** @param {Row} row */
  #show(row) {
    const found = this.#words.split(/\s+/).every((word) => row.text?.includes(word));
    const hidden = !found || (this.#onlyProblems && !serious(row.call));
    if (row.element.hidden !== hidden) row.element.hidden = hidden;
  }

  #sum() {
    let [shown, broken, worst] = [0, 0, Infinity];
    for (const { call, element } of this.#rows.values()) {
      if (!element.hidden) shown += 1;
      if (serious(call)) broken += 1;
      if (call.mos !== null && call.mos < worst) worst = call.mos;
    }
    const total = this.#rows.size;
    say(this.total, String(total));
    say(this.broken, String(broken));
    say(this.worst, Number.isFinite(worst) ? worst.toFixed(1) : "–");
    say(this.count, total === 0 ? "No call is live." : shown === total ? "" : `${shown} of ${total} calls`);
  }
}

/** Whether a call has a problem that is heard. @param {any} call */
function serious(call) {
  return call.problems.some((/** @type {any} */ one) => one.severity !== "notice");
}
