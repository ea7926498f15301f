/** The levels and the quality of a call, as meters, charts and one rating. */

import { Chart, Meter, element, write } from "./draw.js";

export const meters = { you: new Meter("meter-you"), them: new Meter("meter-them") };
const milliseconds = (/** @type {number} */ value) => `${Math.round(value)} ms`;
export const charts = {
  mos: new Chart("mos", { low: 1, high: 4.5, good: 3.6, show: (value) => value.toFixed(1) }),
  roundTrip: new Chart("round-trip", { low: 0, high: 200, grows: true, good: 150, show: milliseconds }),
  jitter: new Chart("jitter", { low: 0, high: 40, grows: true, good: 30, show: milliseconds }),
  loss: new Chart("loss", { low: 0, high: 5, grows: true, good: 1, show: (value) => `${value.toFixed(1)} %` }),
};

/** @param {string} words @param {string} kind */
export function verdict(words, kind) {
  write("verdict", words);
  element("verdict").className = `badge ${kind}`;
}

/** @param {import("./bridge.js").Quality} quality @param {number | null} opinion  What the bridge thinks of our sound: 1 (bad) to 4.5. */
export function chart(quality, opinion) {
  const { mos, roundTrip, jitter, loss, sentJitter, sentLoss, relayed } = quality;
  const scaled = (/** @type {number | null} */ value, /** @type {number} */ by) => (value === null ? null : value * by);
  charts.mos.add(mos, opinion);
  charts.roundTrip.add(scaled(roundTrip, 1000));
  charts.jitter.add(scaled(jitter, 1000), scaled(sentJitter, 1000));
  charts.loss.add(loss * 100, scaled(sentLoss, 100));
  const [words, kind] = mos === null ? ["Nothing to hear", ""] : mos > 4 ? ["Very good", "good"] : mos > 3.6 ? ["Good", "good"] : mos > 3 ? ["Fair", "fair"] : ["Poor", "bad"];
  verdict(relayed ? `${words}, relayed` : words, kind);
}

/** Show the far party's own connection to the bridge, where that carries RTP. @param {any} leg  Its timeline. */
export function showFarQuality(leg) {
  const last = (/** @type {(number | null)[] | undefined} */ column) => column?.filter((value) => value !== null).at(-1) ?? null;
  const mos = last(leg?.received.mos);
  element("far-quality").hidden = mos === null;
  if (mos === null) return;
  const [loss, jitter, roundTrip] = [last(leg.received.lossRatio), last(leg.received.jitterMs), last(leg.roundTripMs)];
  const shown = [`MOS ${mos.toFixed(1)}`];
  if (roundTrip !== null) shown.push(`round trip ${milliseconds(roundTrip)}`);
  if (jitter !== null) shown.push(`jitter ${milliseconds(jitter)}`);
  if (loss !== null) shown.push(`lost ${(loss * 100).toFixed(1)} %`);
  write("far-quality", `The other side to the bridge: ${shown.join(", ")}`);
}
