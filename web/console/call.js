/** One call: what is wrong with it, its course, its legs and events, and hanging up. */

import { TurnStrip } from "../turn-strip.js";
import { make, say, table } from "./dom.js";
import { picture } from "./hops.js";
import { follow } from "./stream.js";
import { FIGURES, column, draw, extend } from "./timeline.js";
import { KINDS, REASONS, STATES, STEPS, TAPS, clock, moment, plain } from "./words.js";

const VERDICTS = /** @type {Record<string, [string, string]>} */ ({
  ok: ["No problem", "good"], problem: ["Problem", "bad"], watching: ["Watching", ""],
});
const SURE_FOR = 4_000; // ms that the second press on "Hang up" may take
const TROUBLE = /^(leg\.silent|.*failed|call\.problem)$/;
const STEP = /^(call\.(ringing|connecting|answered|active|held|resumed|ended)|leg\.(joined|connected|left|restarted|resumed))$/;
const KIND_WORDS = { trouble: "Trouble", step: "Step", event: "Event" };

/** @param {string} type @returns {"trouble" | "step" | "event"} */
function markKind(type) {
  return TROUBLE.test(type) ? "trouble" : STEP.test(type) ? "step" : "event";
}

export class CallView {
  /** @type {any} */ details = null;
  #figure = "mos";
  /** @type {number | null} */ #cursor = null;
  #sure = 0;
  #leaving = new AbortController();

  /** @param {import("../api.js").BridgeApi} api @param {string} callId @param {(error: unknown) => void} complain */
  constructor(api, callId, complain) {
    this.api = api;
    this.path = `/console/api/calls/${encodeURIComponent(callId)}`;
    this.complain = complain;
    this.title = make("h2", { text: "Call", tabindex: -1 });
    this.state = make("p", { class: "badge", role: "status" });
    this.hangup = make("button", { type: "button", class: "danger", text: "Hang up", hidden: true });
    this.facts = make("dl", { class: "facts" });
    this.verdict = make("p", { class: "badge" });
    this.summary = make("p", { class: "summary", role: "status" });
    this.hops = make("div");
    this.problems = make("ul", { class: "problems" });
    this.choice = make("select", { id: "figure" }, ...Object.entries(FIGURES).map(([value, { title }]) => make("option", { value, text: title })));
    this.canvas = make("canvas", { class: "course", role: "img", "aria-label": "The course of the call" });
    this.slider = make("input", { type: "range", id: "second", min: 0, max: 0, step: 1, value: 0 });
    this.reading = make("output", { for: "second", class: "reading", "aria-live": "off" });
    this.turns = new TurnStrip();
    this.legs = make("div");
    this.setup = make("ul", { class: "setup quiet" });
    this.events = make("ol", { class: "events", tabindex: 0, "aria-label": "Events" });
    this.json = make("pre", { tabindex: 0, "aria-label": "The call as JSON" });
    this.raw = make("details", {}, make("summary", { text: "JSON" }), this.json);
    const card = (/** @type {string} */ title, /** @type {Node[]} */ ...inside) => make("section", { class: "card" }, make("h3", { text: title }), ...inside);
    this.element = make("div", { class: "one" },
      make("a", { href: "#live", text: "← All calls" }),
      make("div", { class: "title" }, this.title, this.state, this.hangup), this.facts,
      make("section", { class: "card" }, make("div", { class: "title" }, make("h3", { text: "Diagnosis" }), this.verdict), this.summary, this.hops, this.problems),
      card("Course",
        make("div", { class: "filters" }, make("label", { for: "figure", text: "Figure" }), this.choice), this.canvas,
        make("label", { for: "second", text: "Second of the call" }), this.slider, this.reading,
        make("ul", { class: "legend quiet" },
          make("li", {}, make("span", { class: "key" }), "heard from the leg"), make("li", {}, make("span", { class: "key sent" }), "sent to it, as it reports"),
          make("li", {}, make("span", { class: "swatch broken" }), "broken"), make("li", {}, make("span", { class: "swatch degraded" }), "degraded"), make("li", {}, make("span", { class: "swatch notice" }), "notice")), this.turns.element),
      card("Legs", this.legs, make("h4", { text: "Set-up" }), this.setup), card("Events", this.events), make("section", { class: "card" }, this.raw));
    this.choice.addEventListener("change", () => { this.#figure = this.choice.value; this.#drawCourse(); });
    this.slider.addEventListener("input", () => { this.#cursor = Number(this.slider.value); this.#drawCourse(); });
    this.raw.addEventListener("toggle", () => this.#showJson());
    this.hangup.addEventListener("click", () => this.#hangUp());
    this.resized = new ResizeObserver(() => this.#drawCourse());
    this.resized.observe(this.canvas);
  }

  close() {
    this.#leaving.abort();
    this.resized.disconnect();
  }

  /** Show the call, and follow it until it ends. @param {(state: "connected" | "lost") => void} onState */
  async run(onState) {
    this.take(await this.api.request("GET", this.path));
    onState("connected");
    if (this.details.call.reason !== null) return;
    const path = () => {
      const newest = Math.max(0, ...this.details.quality.timeline.map((/** @type {any} */ leg) => leg.at.at(-1) ?? 0));
      const after = this.details.events.at(-1)?.number ?? 0;
      return `${this.path}/live?since=${Math.max(0, newest - 2)}&after=${after}`;
    };
    await follow(this.api, path, (message) => this.take(message), { signal: this.#leaving.signal, onState, ends: true });
  }

  /** @param {any} more  The call as it stands, with what is new of its timeline and events. */
  take(more) {
    const old = this.details;
    if (old) {
      const known = new Map(old.quality.timeline.map((/** @type {any} */ leg) => [leg.legID, leg]));
      for (const leg of more.quality.timeline) known.set(leg.legID, known.has(leg.legID) ? extend(known.get(leg.legID), leg) : leg);
      more = { ...more, quality: { ...more.quality, timeline: [...known.values()] }, events: [...old.events, ...more.events] };
    }
    this.details = more;
    this.#show(old?.events.length ?? 0);
  }

  /** @param {number} knownEvents */
  #show(knownEvents) {
    const { call, diagnosis, quality, events } = this.details;
    const ended = call.reason !== null;
    say(this.title, `${call.from || "unknown"} → ${call.to || "unknown"}`);
    const state = STATES[call.state] ?? call.state;
    say(this.state, ended ? `Ended: ${REASONS[call.reason] ?? call.reason}` : call.muted ? `${state}, muted` : state);
    this.hangup.hidden = ended;
    this.#showFacts(call);
    const [words, kind] = VERDICTS[diagnosis.verdict] ?? [diagnosis.verdict, ""];
    say(this.verdict, words);
    this.verdict.className = `badge ${kind}`;
    say(this.summary, diagnosis.summary);
    this.#replace(this.hops, JSON.stringify(diagnosis.hops), () => [picture(diagnosis.hops, (legId) => this.#nameOf(legId))]);
    this.#replace(this.problems, JSON.stringify(diagnosis.problems), () => diagnosis.problems.map((/** @type {any} */ one) => problem(one)));
    this.#replace(this.legs, JSON.stringify(quality.legs), () => [legTable(quality.legs)]);
    const steps = this.#steps();
    this.#replace(this.setup, JSON.stringify(steps), () => setupLines(steps, (legId) => this.#nameOf(legId)));
    const added = events.slice(knownEvents);
    this.turns.add(...added.filter((/** @type {any} */ { type }) => type === "turn").map((/** @type {any} */ { data }) => data));
    for (const event of added) this.events.append(eventLine(event, (legId) => this.#nameOf(legId)));
    this.slider.max = String(Math.ceil(quality.seconds));
    if (this.#cursor === null) this.slider.value = this.slider.max;
    this.#drawCourse();
    this.#showJson();
  }

  /** Replace children only if what they show has changed: whoever reads or has the focus there stays. @param {any} element @param {string} shown @param {() => Node[]} children */
  #replace(element, shown, children) {
    if (element.shown === shown) return;
    element.shown = shown;
    element.replaceChildren(...children());
  }

  /** @param {any} call */
  #showFacts(call) {
    const facts = [
      ["Line", call.line], ["Direction", call.direction], ["Channels", `${call.fromChannel} → ${call.toChannel}`],
      ["Started", moment(call.startedAt)], ["Answered", call.answeredAt && moment(call.answeredAt)], ["Ended", call.endedAt && moment(call.endedAt)],
      ["Duration", clock(call.seconds)], ["Voicemail", call.sentToVoicemail && "the caller was asked for a message"], ["AI disclosed", call.disclosedAt && moment(call.disclosedAt)], ["Tag", call.tag], ["Call", call.callId],
      ["Metadata", Object.keys(call.metadata ?? {}).length ? JSON.stringify(call.metadata) : ""],
    ];
    this.#replace(this.facts, JSON.stringify(facts), () => facts.filter(([, value]) => value).map(([name, value]) => make("div", {}, make("dt", { text: name }), make("dd", { text: value }))));
  }

  /** @param {string | null} legId */
  #nameOf(legId) {
    const leg = this.details.quality.legs.find((/** @type {any} */ one) => one.legID === legId);
    return leg ? KINDS[leg.kind] ?? leg.kind : "";
  }

  /** The steps of the legs' set-up, in seconds of the call. @returns {{ legId: string, step: string, after: number, at: number }[]} */
  #steps() {
    const { setup, events } = this.details;
    return Object.entries(setup ?? {}).flatMap(([legId, done]) => {
      const joined = events.find((/** @type {any} */ { type, data }) => type === "leg.joined" && data.legID === legId);
      // A dialled leg joins when its dial is accepted.
      const began = (joined?.at ?? 0) - (done.dialled ?? 0);
      return Object.entries(done).map(([step, after]) => ({ legId, step, after, at: Math.max(0, began + after) })).sort((a, b) => a.after - b.after);
    });
  }

  #drawCourse() {
    if (!this.details || !this.canvas.clientWidth) return;
    const { diagnosis, quality, events } = this.details;
    const legs = quality.timeline.filter((/** @type {any} */ leg) => leg.at.length && !TAPS.has(leg.kind))
      .map((/** @type {any} */ timeline) => ({ name: `${KINDS[timeline.kind] ?? timeline.kind} (${timeline.party})`, timeline }));
    const steps = this.#steps();
    const marks = [...events.map((/** @type {any} */ { at, type }) => ({ at, kind: markKind(type) })), ...steps.map(({ at }) => ({ at, kind: "step" }))];
    draw(this.canvas, { seconds: quality.seconds, legs, problems: diagnosis.problems, marks, figure: this.#figure, cursor: this.#cursor });
    const open = diagnosis.problems.length;
    this.canvas.ariaLabel = `${FIGURES[this.#figure]?.title} of ${legs.length} legs over ${clock(quality.seconds)}, with ${open} problems and ${marks.length} events, which are listed below`;
    const happened = [...events.map((/** @type {any} */ { at, type }) => ({ at, text: plain(type) })), ...steps.map(({ at, step }) => ({ at, text: STEPS[step] ?? step }))];
    this.#showReading(legs, diagnosis.problems, happened);
  }

  /** @param {{ name: string, timeline: any }[]} legs @param {any[]} problems @param {{ at: number, text: string }[]} happened */
  #showReading(legs, problems, happened) {
    if (this.#cursor === null) return say(this.reading, "");
    const at = this.#cursor;
    const scale = /** @type {any} */ (FIGURES[this.#figure]);
    const figures = legs.map(({ name, timeline }) => {
      const index = timeline.at.findLastIndex((/** @type {number} */ one) => one <= at);
      const value = (/** @type {"received" | "sent"} */ side) => column(timeline, scale[side], side)[index] ?? null;
      const [received, sent] = [value("received"), value("sent")];
      return `${name}: ${received === null ? "–" : scale.show(received)}${sent === null ? "" : `, sent ${scale.show(sent)}`}`;
    });
    const open = problems.filter(({ since, until }) => since <= at && at <= (until ?? Infinity)).map(({ code }) => plain(code));
    const near = happened.filter((one) => Math.abs(one.at - at) <= 0.5).map(({ text }) => text);
    say(this.reading, [clock(at), ...figures, ...open, ...near].join(" · "));
  }

  #showJson() {
    if (this.raw.open) say(this.json, JSON.stringify(this.details, null, 2));
  }

  async #hangUp() {
    if (Date.now() - this.#sure > SURE_FOR) {
      this.#sure = Date.now();
      say(this.hangup, "Press again to hang up");
      setTimeout(() => say(this.hangup, "Hang up"), SURE_FOR);
      return;
    }
    this.hangup.disabled = true;
    try {
      await this.api.request("POST", `${this.path}/hangup`, {});
    } catch (error) {
      this.complain(error);
    } finally {
      this.hangup.disabled = false;
    }
  }
}

/** @param {any} one */
function problem({ code, hop, severity, since, until, summary, fix, docs, evidence }) {
  const when = until === null ? `since ${clock(since)}` : `${clock(since)} to ${clock(until)}`;
  const facts = Object.entries(evidence).map(([name, value]) => `${name} ${value}`).join(", ");
  return make("li", { class: severity },
    make("p", {}, make("span", { class: `chip ${severity}`, text: plain(code) }), " ", make("strong", { text: summary })),
    make("p", { text: fix }),
    make("p", { class: "quiet" }, `${severity}, ${hop}, ${when}${facts ? `: ${facts}` : ""}. `, make("a", { href: docs, text: `About ${plain(code)}` })));
}

/** @param {{ legId: string, step: string, after: number }[]} steps @param {(legId: string) => string} nameOf */
function setupLines(steps, nameOf) {
  const legs = [...new Set(steps.map(({ legId }) => legId))];
  return legs.map((legId) => {
    const done = steps.filter((one) => one.legId === legId).map(({ step, after }) => `${STEPS[step] ?? step} ${after.toFixed(2)} s`);
    return make("li", {}, make("strong", { text: nameOf(legId) || legId }), `: ${done.join(", ")}`);
  });
}

/** @param {any[]} legs */
function legTable(legs) {
  const heads = ["Leg", "Party", "MOS", "Round trip", "Received", "Lost", "Jitter", "Sent", "Lost by it", "Path"];
  const percent = (/** @type {number} */ ratio) => `${(ratio * 100).toFixed(1)} %`;
  return table("Legs", heads, legs.map(({ kind, party, mos, roundTripMs, received, sent, road }) => [
    KINDS[kind] ?? kind, party, mos === null ? "–" : mos.toFixed(2), roundTripMs === null ? "–" : `${Math.round(roundTripMs)} ms`,
    `${received.packets} packets`, percent(received.lossRatio), `${Math.round(received.jitterMs)} ms`, `${sent.packets} packets`, percent(sent.remoteLossRatio), road ?? "–",
  ]));
}

/** @param {any} event @param {(legId: string) => string} nameOf */
function eventLine({ at, type, data }, nameOf) {
  const kind = markKind(type);
  const known = Object.entries(data).filter(([name, value]) => name !== "fix" && name !== "hop" && value !== null);
  const facts = known.map(([name, value]) => (name === "legID" ? nameOf(String(value)) : `${name} ${value}`)).filter(Boolean).join(", ");
  return make("li", { class: kind },
    make("span", { class: "time", text: clock(at) }),
    make("span", { class: "sign", title: KIND_WORDS[kind], "aria-hidden": "true" }),
    make("span", {}, make("strong", { text: plain(type) }), facts ? ` ${facts}` : ""));
}
