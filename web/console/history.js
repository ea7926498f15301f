/** The calls of all lines, live and ended: a search, its pages, and the same as CSV. */

import { BridgeError } from "../errors.js";
import { make, say, table } from "./dom.js";
import { grade } from "./live.js";
import { REASONS, STATES, clock, moment, plain } from "./words.js";

const PATH = "/console/api/calls";
const MOMENTS = ["since", "until"];
/** @type {[string, string, Record<string, string | number>][]}  Name in the query, label, attributes of its field. */
const FIELDS = [
  ["q", "Number, identity, tag or id", { type: "search", maxlength: 128 }],
  ["since", "Began from", { type: "datetime-local" }],
  ["until", "Began before", { type: "datetime-local" }],
  ["from", "From", { type: "text", maxlength: 128 }],
  ["to", "To", { type: "text", maxlength: 128 }],
  ["problem", "Problem, by code", { type: "text", placeholder: "far_silent", pattern: "[a-z_]+" }],
  ["max_mos", "MOS at most", { type: "number", min: 1, max: 5, step: 0.1 }],
];
/** @type {[string, string, Record<string, string>][]} */
const CHOICES = [
  ["direction", "Direction", { inbound: "Inbound", outbound: "Outbound" }],
  ["state", "State", STATES],
  ["reason", "Ended", REASONS],
];
const VERDICTS = /** @type {Record<string, string>} */ ({ ok: "good", problem: "bad", watching: "" });

export class HistoryView {
  /** @type {any[]} */ #calls = [];
  /** @type {string | null} */ #next = null;

  /**
   * @param {import("../api.js").BridgeApi} api @param {string} query  Of the address; what the fields begin with.
   * @param {(error: unknown) => void} complain
   */
  constructor(api, query, complain) {
    this.api = api;
    this.complain = complain;
    this.given = new URLSearchParams(query);
    const labelled = (/** @type {string} */ name, /** @type {string} */ text, /** @type {Element} */ field) => make("div", {}, make("label", { for: `by-${name}`, text }), field);
    const fields = FIELDS.map(([name, text, more]) => labelled(name, text, make("input", { id: `by-${name}`, name, value: this.given.get(name) ?? "", autocomplete: "off", ...more })));
    const choices = CHOICES.map(([name, text, options]) => labelled(name, text, make("select", { id: `by-${name}`, name },
      make("option", { value: "", text: "any" }),
      ...Object.entries(options).map(([value, words]) => make("option", { value, text: words, selected: this.given.get(name) === value })))));
    this.form = make("form", { class: "search card", role: "search" }, ...fields, ...choices,
      make("div", { class: "send" }, make("button", { type: "submit", class: "primary", text: "Search" }), make("button", { type: "button", text: "CSV" })));
    this.count = make("p", { class: "quiet", role: "status" });
    this.results = make("div");
    this.more = make("button", { type: "button", text: "More", hidden: true });
    this.element = make("section", { "aria-labelledby": "history-title" },
      make("h2", { id: "history-title", text: "History", tabindex: -1 }), this.form, this.count, this.results, this.more);
    this.form.addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      const wanted = this.#wanted().toString();
      if (location.hash === `#history?${wanted}`) void this.run();
      else location.hash = `history?${wanted}`;
    });
    this.form.querySelector(".send button:last-child").addEventListener("click", () => this.#download().catch(complain));
    this.more.addEventListener("click", () => this.#load().catch(complain));
  }

  /** Search from the beginning. */
  async run() {
    [this.#calls, this.#next] = [[], null];
    await this.#load();
  }

  /** What the fields say. */
  #wanted() {
    const wanted = new URLSearchParams();
    for (const [name, value] of new FormData(this.form)) if (value) wanted.set(name, String(value));
    return wanted;
  }

  /** The query of the bridge, which takes moments with a zone. */
  #query() {
    const query = this.#wanted();
    for (const name of MOMENTS) {
      const at = query.get(name);
      if (at) query.set(name, new Date(at).toISOString());
    }
    return query;
  }

  async #load() {
    const query = this.#query();
    if (this.#next) query.set("cursor", this.#next);
    say(this.count, "Searching …");
    try {
      const page = await this.api.request("GET", `${PATH}?${query}`);
      this.#calls.push(...page.calls);
      this.#next = page.nextCursor;
    } catch (error) {
      say(this.count, "");
      throw error;
    }
    say(this.count, this.#calls.length === 0 ? "No call was found." : `${this.#calls.length} calls${this.#next ? ", and there are more" : ""}`);
    this.more.hidden = !this.#next;
    this.results.replaceChildren(callTable(this.#calls));
  }

  async #download() {
    const query = this.#query();
    query.set("format", "csv");
    const response = await fetch(`${this.api.baseUrl}${PATH}?${query}`, { headers: { token: this.api.key }, cache: "no-store" });
    if (!response.ok) throw new BridgeError("refused", `The bridge replied with HTTP ${response.status}.`, { status: response.status });
    const url = URL.createObjectURL(await response.blob());
    make("a", { href: url, download: "calls.csv" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  }
}

/** @param {any[]} calls */
function callTable(calls) {
  const heads = ["Parties", "Line", "Began", "Talked", "State", "MOS", "Diagnosis"];
  return table("Calls", heads, calls.map((call) => [
    make("a", { href: `#call/${call.callId}`, text: `${call.from || "unknown"} → ${call.to || "unknown"}` }),
    make("span", {}, call.line, call.tag ? make("span", { class: "quiet", text: ` ${call.tag}` }) : ""),
    moment(call.startedAt), clock(call.talkSeconds),
    (call.reason ? REASONS[call.reason] ?? call.reason : STATES[call.state] ?? call.state) + (call.sentToVoicemail ? ", voicemail" : ""),
    make("span", { class: `mos ${grade(call.mos)}`, text: call.mos === null ? "–" : call.mos.toFixed(1) }),
    call.problems.length ? call.problems.map(plain).join(", ") : make("span", { class: `mos ${VERDICTS[call.verdict] ?? ""}`, text: call.verdict }),
  ]));
}
