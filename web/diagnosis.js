/** Why nothing is heard: the first problem in the call card, and all of them with the way of the sound. */

import { element, write } from "./draw.js";
import { clock } from "./words.js";

/** @typedef {import("./bridge.js").Diagnosis} Diagnosis */
/** @typedef {import("./api.js").Problem} Problem */
/** @typedef {"ok" | "degraded" | "broken" | "idle" | "unknown"} State */
/** @typedef {{ name: string, state: State }} Station */

const SOON = 1_200; // ms after an event: the bridge judges its calls once a second
const AGAIN = 2_000; // ms, while the bridge has not heard enough to judge
const MAX_PAST = 5; // problems that are over and still shown

/** The worst first. @type {State[]} */
const WORST = ["broken", "degraded", "unknown", "idle", "ok"];
/** @type {Record<State, [string, string]>} */
const LOOKS = { ok: ["✓", "works"], degraded: ["!", "impaired"], broken: ["✕", "broken"], idle: ["‖", "paused"], unknown: ["?", "not known yet"] };
const SERVICES = /^(bot|socket|stream|agent|recording)$/;

/** The view of the current call's diagnosis. */
export class DiagnosisView {
  /** @type {import("./phone.js").Conversation | null} */ #call = null;
  /** @type {Diagnosis | null} */ #shown = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;
  #due = Infinity; // when the timer fires, by the page's clock

  /** @param {import("./bridge.js").BridgeApi} api */
  constructor(api) {
    this.api = api;
    element("diagnosis").addEventListener("toggle", () => this.#ask(0));
  }

  /** @param {import("./phone.js").Conversation} call */
  begin(call) {
    this.#call = call;
    this.#ask(SOON);
  }

  end() {
    this.#call = this.#shown = null;
    clearTimeout(this.#timer);
    this.#due = Infinity;
    element("fault").hidden = true;
    element("diagnosis").open = false;
    for (const id of ["stations", "faults"]) element(id).replaceChildren();
    for (const id of ["diagnosis-summary", "fault-summary", "fault-fix"]) write(id, "");
  }

  /** Take an event of the call. @param {import("./events.js").CallEvent} event */
  take({ type }) {
    this.#ask(type.startsWith("call.problem") ? 0 : SOON);
  }

  /** @returns {Promise<string>} why the call that has ended was not heard, as a sentence or none */
  async ofEnd() {
    const call = this.#call;
    if (!call) return "";
    const before = this.#shown?.problems.find(isOpen);
    return this.ofCall(call.callId, before?.code);
  }

  /** @param {string} callId @param {string} [code]  Counts as a reason besides a provider that refused. @returns {Promise<string>} */
  async ofCall(callId, code) {
    const { problems } = await this.api.diagnosis(callId).catch(() => ({ problems: [] }));
    const why = problems.find((one) => one.severity === "broken" && (one.code === code || one.hop === "provider.signalling"));
    return why ? `${why.summary} ${why.fix}` : "";
  }

  /** Request the diagnosis, unless that is due earlier. @param {number} delay  ms */
  #ask(delay) {
    const due = performance.now() + delay;
    if (!this.#call || due >= this.#due) return;
    clearTimeout(this.#timer);
    this.#due = due;
    this.#timer = setTimeout(() => void this.#refresh(), delay);
  }

  async #refresh() {
    this.#due = Infinity;
    const call = this.#call;
    if (!call) return;
    const found = await this.api.diagnosis(call.callId).catch(() => null); // the state line says that the bridge is gone
    if (!found || call !== this.#call) return;
    this.#shown = found;
    show(found, call.media?.legId ?? null);
    if (found.verdict === "watching" && call.since && element("diagnosis").open) this.#ask(AGAIN);
  }
}

/** @param {Diagnosis} found @param {string | null} legId  Of this page. */
function show(found, legId) {
  const worst = found.problems.find((problem) => isOpen(problem) && problem.severity !== "notice");
  write("fault-summary", worst?.summary ?? "");
  write("fault-fix", worst?.fix ?? "");
  element("fault-more").href = worst ? linkOf(worst) : "";
  element("fault").hidden = !worst;
  element("fault").classList.toggle("broken", worst?.severity === "broken");
  write("diagnosis-summary", worst ? "" : found.summary);
  element("stations").replaceChildren(...stations(found, legId).map(({ name, state }) => {
    const [mark, word] = LOOKS[state];
    const item = document.createElement("li");
    item.className = state;
    item.append(part("span", mark, "mark"), part("strong", name), " ", part("span", word));
    item.querySelector(".mark")?.setAttribute("aria-hidden", "true");
    return item;
  }));
  const open = found.problems.filter((problem) => isOpen(problem) && problem !== worst);
  const past = found.problems.filter((problem) => !isOpen(problem)).slice(-MAX_PAST);
  element("faults").replaceChildren(...open.map(describe), ...past.map(recall));
}

/** The stations between this page's microphone and its speaker. @param {Diagnosis} found @param {string | null} legId @returns {Station[]} */
export function stations({ hops }, legId) {
  const own = (/** @type {string} */ wanted) => hops.filter(({ hop, legID }) => hop === wanted && legID === legId);
  const beyond = hops.filter(({ hop, legID }) => hop.startsWith("provider.") || SERVICES.test(hop) || (hop.startsWith("browser.") && legID !== legId));
  return [
    { name: "Your microphone", state: worstOf(own("browser.microphone")) },
    { name: "Your network", state: worstOf(own("browser.network")) },
    { name: "Bridge", state: worstOf(hops.filter(({ hop }) => hop === "bridge")) },
    { name: nameOf(beyond), state: worstOf(beyond) },
    { name: "Your speaker", state: worstOf(own("browser.speaker")) },
  ];
}

/** @param {{ hop: string }[]} beyond */
function nameOf(beyond) {
  if (beyond.some(({ hop }) => hop.startsWith("provider."))) return "WhatsApp";
  return beyond.some(({ hop }) => hop === "agent") ? "Agent" : "Other side";
}

/** @param {{ state: State }[]} hops @returns {State} */
function worstOf(hops) {
  return WORST.find((state) => hops.some((hop) => hop.state === state)) ?? "unknown";
}

/** @param {Problem} problem */
function isOpen({ until }) {
  return until === null;
}

/** @param {Problem} problem */
function describe(problem) {
  const item = part("li", "", problem.severity);
  const more = Object.assign(document.createElement("a"), { href: linkOf(problem), textContent: "More about this" });
  item.append(part("strong", problem.summary), " ", problem.fix, " ", more);
  return item;
}

/** @param {Problem} problem */
function linkOf({ docs }) {
  return `.${docs}`; // the page may lie below a path
}

/** @param {Problem} problem  One that is over. */
function recall({ since, until, summary }) {
  return part("li", `Over, from ${clock(since)} to ${clock(until ?? since)}: ${summary}`, "quiet");
}

/** @param {string} tag @param {string} text @param {string} [className] */
function part(tag, text, className = "") {
  return Object.assign(document.createElement(tag), { textContent: text, className });
}
