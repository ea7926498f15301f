/** Who spoke when in a call with a bot: the caller above, the bot below, and between them how long the caller waited. */

import { drawn, make } from "./console/dom.js";

/**
 * @typedef {object} Turn  The data of an event `turn`.
 * @property {string} startedAt
 * @property {number} speechMs
 * @property {number} waitMs
 * @property {number} answerMs
 * @property {number | null} filler
 * @property {number | null} tool
 * @property {boolean} interrupted
 */

const SCALE = 0.03; // pixels of a millisecond: 15 s fit on a telephone
const [ROW, BOT, HEIGHT] = [16, 44, 62]; // pixels: how high a row is, where the bot's begins, how high all is
const LETTER = 7; // pixels of a letter, at most
const NAMED = 5; // how many waits the label for screen readers names

/** A strip that is shown with its first turn, and scrolls to the newest. */
export class TurnStrip {
  /** @type {Turn[]} */ #turns = [];

  constructor() {
    this.picture = drawn("svg", { role: "img", height: String(HEIGHT) });
    this.scrolled = make("div", { class: "strip", role: "group", "aria-label": "Turns", tabindex: 0 }, this.picture);
    const key = (/** @type {string} */ kind, /** @type {string} */ text) => make("li", {}, make("span", { class: `swatch ${kind}` }), text);
    this.element = make("figure", { class: "turns", hidden: true },
      make("figcaption", { text: "Who spoke when" }),
      make("div", { class: "rows", "aria-hidden": "true" }, make("span", { text: "Caller" }), make("span", { text: "Bot" })),
      this.scrolled,
      make("ul", { class: "legend quiet" }, key("wait", "what the caller waited"), key("cut", "interrupted by the caller")));
  }

  clear() {
    this.#turns = [];
    this.element.hidden = true;
  }

  /** @param {Turn[]} turns  What is new. */
  add(...turns) {
    if (!turns.length) return;
    const { scrolled } = this;
    const follows = scrolled.scrollLeft + scrolled.clientWidth >= scrolled.scrollWidth - 1;
    this.#turns.push(...turns);
    this.#turns.sort((a, b) => Date.parse(a.startedAt) - Date.parse(b.startedAt));
    this.element.hidden = false;
    this.#draw();
    if (follows) scrolled.scrollLeft = scrolled.scrollWidth;
  }

  #draw() {
    const begin = Date.parse(this.#turns[0]?.startedAt ?? "");
    const ends = this.#turns.map((turn) => {
      const [waits, answers] = [turn.speechMs, turn.speechMs + turn.waitMs];
      return Date.parse(turn.startedAt) - begin + Math.max(answers + turn.answerMs, waits + (words(turn).length * LETTER) / SCALE);
    });
    this.picture.setAttribute("width", String(Math.ceil(Math.max(...ends) * SCALE)));
    this.picture.replaceChildren(...this.#turns.flatMap((turn) => blocks(turn, Date.parse(turn.startedAt) - begin)));
    const waits = this.#turns.slice(-NAMED).map((turn) => `${words(turn)}${turn.interrupted ? " (interrupted)" : ""}`);
    this.picture.setAttribute("aria-label", `Who spoke when in ${this.#turns.length} ${this.#turns.length > 1 ? "turns" : "turn"}; the caller waited ${waits.join(", ")}`);
  }
}

/** @param {Turn} turn */
function words({ waitMs, tool }) {
  return tool === null ? `${waitMs} ms` : `${waitMs} ms, functions ${tool} ms`;
}

/** @param {Turn} turn @param {number} begin  Milliseconds from the strip's left end. @returns {Node[]} */
function blocks(turn, begin) {
  const { speechMs, waitMs, answerMs, filler, interrupted } = turn;
  const [ended, answered] = [begin + speechMs, begin + speechMs + waitMs];
  const over = answered + answerMs;
  const seconds = (/** @type {number} */ ms) => `${(ms / 1000).toFixed(1)} s`;
  return [
    block("caller", begin, ended, 0, ROW, `The caller spoke for ${seconds(speechMs)}`),
    block("wait", ended, answered, ROW + 3, 5, `The caller waited ${waitMs} ms`),
    label(words(turn), ended),
    ...(filler === null ? [] : [block("filler", ended + filler, answered, BOT, ROW, `A filler after ${filler} ms`)]),
    block("bot", answered, over, BOT, ROW, `The bot answered for ${seconds(answerMs)}`),
    ...(interrupted ? [block("cut", over, over, BOT - 4, ROW + 6, "The caller interrupted the answer")] : []),
  ];
}

/** @param {string} kind @param {number} from @param {number} to @param {number} top @param {number} height @param {string} title */
function block(kind, from, to, top, height, title) {
  const place = { x: from * SCALE, y: top, width: Math.max(3, (to - from) * SCALE), height, rx: 2 };
  const [attributes, tip] = [Object.entries(place).map(([name, value]) => [name, String(value)]), drawn("title", {})];
  tip.textContent = title;
  return drawn("rect", { class: kind, ...Object.fromEntries(attributes) }, tip);
}

/** @param {string} text @param {number} at */
function label(text, at) {
  const made = drawn("text", { x: String(at * SCALE), y: String(BOT - 7) });
  made.textContent = text;
  return made;
}
