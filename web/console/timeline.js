/** The course of a call as a chart: one panel for each leg, problems as bars and events as ticks below. */

import { colour, stroke, surface } from "../draw.js";

const [PANEL, LANE, GAP, AXIS] = [96, 14, 10, 18]; // pixels: a leg's panel, a problem's bar, between both, the seconds
const MAX_LANES = 6;

/** @type {Record<string, { title: string, received: string, sent: string, low: number, high: number, grows: boolean, show: (value: number) => string }>} */
export const FIGURES = {
  mos: { title: "MOS", received: "mos", sent: "mos", low: 1, high: 4.5, grows: false, show: (value) => value.toFixed(2) },
  level: { title: "Level", received: "levelDbov", sent: "levelDbov", low: -80, high: 0, grows: false, show: (value) => `${Math.round(value)} dBov` },
  loss: { title: "Loss", received: "lossRatio", sent: "remoteLossRatio", low: 0, high: 0.05, grows: true, show: (value) => `${(value * 100).toFixed(1)} %` },
  jitter: { title: "Jitter", received: "jitterMs", sent: "remoteJitterMs", low: 0, high: 40, grows: true, show: (value) => `${Math.round(value)} ms` },
  concealed: { title: "Concealed", received: "concealedRatio", sent: "", low: 0, high: 0.05, grows: true, show: (value) => `${(value * 100).toFixed(1)} %` },
  roundTrip: { title: "Round trip", received: "roundTripMs", sent: "", low: 0, high: 200, grows: true, show: (value) => `${Math.round(value)} ms` },
};

/** @typedef {(number | null)[]} Column */

/** A leg's column. @param {any} leg @param {string} name @param {"received" | "sent"} side @returns {Column} */
export function column(leg, name, side) {
  if (!name) return [];
  return name === "roundTripMs" ? leg.roundTripMs : leg[side][name] ?? [];
}

/** Add rows to a leg's timeline; a row that is there already is replaced. @param {any} old @param {any} more */
export function extend(old, more) {
  const keep = old.at.findIndex((/** @type {number} */ at) => at >= (more.at[0] ?? Infinity));
  const cut = (/** @type {any[]} */ values) => (keep < 0 ? values : values.slice(0, keep));
  const join = (/** @type {any} */ a, /** @type {any} */ b) => Object.fromEntries(Object.keys(b).map((name) => [name, [...cut(a[name] ?? []), ...b[name]]]));
  return {
    ...more,
    at: [...cut(old.at), ...more.at], seconds: [...cut(old.seconds), ...more.seconds], roundTripMs: [...cut(old.roundTripMs), ...more.roundTripMs],
    received: join(old.received, more.received), sent: join(old.sent, more.sent),
  };
}

/** Lay problems out in lanes, none over another. @param {any[]} problems @param {number} end @returns {{ lane: number, problem: any }[]} */
export function lanes(problems, end) {
  /** @type {number[]} */
  const until = [];
  return [...problems].sort((a, b) => a.since - b.since).map((problem) => {
    let lane = until.findIndex((free) => free <= problem.since);
    if (lane < 0) lane = Math.min(until.length, MAX_LANES - 1);
    until[lane] = problem.until ?? end;
    return { lane, problem };
  });
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {{ seconds: number, legs: { name: string, timeline: any }[], problems: any[], marks: { at: number, kind: string }[],
 *   figure: string, cursor: number | null }} what
 */
export function draw(canvas, { seconds, legs, problems, marks, figure, cursor }) {
  const scale = FIGURES[figure] ?? /** @type {any} */ (FIGURES["mos"]);
  const placed = lanes(problems, seconds);
  const laneCount = Math.max(0, ...placed.map(({ lane }) => lane + 1));
  const height = legs.length * (PANEL + GAP) + laneCount * LANE + GAP + AXIS;
  canvas.style.height = `${height}px`;
  const context = surface(canvas);
  const width = canvas.clientWidth;
  const span = Math.max(10, seconds);
  const x = (/** @type {number} */ at) => (Math.min(Math.max(0, at), span) / span) * width;
  context.font = "12px system-ui, sans-serif";
  context.textBaseline = "top";
  const bottom = height - AXIS;
  for (const { at, kind } of marks) {
    context.strokeStyle = colour(kind === "trouble" ? "--bad" : kind === "step" ? "--accent" : "--line");
    context.lineWidth = 1;
    stroke(context, [[x(at), 0], [x(at), bottom]], kind === "event" ? [2, 3] : []);
  }
  legs.forEach(({ name, timeline }, index) => panel(context, { top: index * (PANEL + GAP), width, name, timeline, scale, x }));
  const top = legs.length * (PANEL + GAP);
  for (const { lane, problem } of placed) {
    const [from, to] = [x(problem.since), x(problem.until ?? seconds)];
    context.fillStyle = colour(problem.severity === "broken" ? "--bad" : problem.severity === "degraded" ? "--warm-line" : "--field");
    context.fillRect(from, top + lane * LANE + 1, Math.max(3, to - from), LANE - 3);
  }
  axis(context, width, bottom, span, x);
  if (cursor !== null) {
    context.strokeStyle = colour("--text");
    context.lineWidth = 1;
    stroke(context, [[x(cursor), 0], [x(cursor), bottom]], []);
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {{ top: number, width: number, name: string, timeline: any, scale: any, x: (at: number) => number }} where
 */
function panel(context, { top, width, name, timeline, scale, x }) {
  const sides = /** @type {const} */ (["received", "sent"]);
  const columns = sides.map((side) => column(timeline, scale[side], side));
  const values = columns.flat().filter((value) => value !== null);
  const high = scale.grows ? Math.max(scale.high, ...values) : scale.high;
  const y = (/** @type {number} */ value) => top + PANEL - 2 - ((Math.min(Math.max(value, scale.low), high) - scale.low) / (high - scale.low)) * (PANEL - 20);
  context.fillStyle = colour("--page");
  context.globalAlpha = 0.6;
  context.fillRect(0, top, width, PANEL);
  context.globalAlpha = 1;
  context.fillStyle = colour("--quiet");
  context.fillText(`${name}: ${scale.title} up to ${scale.show(high)}`, 4, top + 2);
  columns.forEach((values, index) => {
    context.strokeStyle = colour(index === 0 ? "--accent" : "--sent");
    context.lineWidth = 1.5;
    for (const line of pieces(timeline, values)) stroke(context, line.map(([at, value]) => [x(at), y(value)]), index === 0 ? [] : [4, 3]);
  });
}

/** The parts of a column without a gap. @param {any} timeline @param {Column} values @returns {[number, number][][]} */
function pieces(timeline, values) {
  /** @type {[number, number][][]} */
  const found = [[]];
  values.forEach((value, index) => {
    if (value !== null) found.at(-1)?.push([timeline.at[index], value]);
    else if (found.at(-1)?.length) found.push([]);
  });
  // A single second is a dash, not nothing.
  return found.filter((line) => line.length).map((line) => (line.length > 1 ? line : [...line, [(line[0]?.[0] ?? 0) + 1, line[0]?.[1] ?? 0]]));
}

/** @param {CanvasRenderingContext2D} context @param {number} width @param {number} top @param {number} span @param {(at: number) => number} x */
function axis(context, width, top, span, x) {
  const step = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600].find((each) => (each / span) * width >= 56) ?? 7200;
  context.fillStyle = colour("--quiet");
  for (let at = 0; at <= span; at += step) {
    const text = at >= 60 ? `${Math.floor(at / 60)}:${String(at % 60).padStart(2, "0")}` : `${at} s`;
    context.fillText(text, Math.min(x(at), width - 30), top + 4);
  }
}
