/** Quality figures of a call from the browser's statistics; used by bridge.js. */

/**
 * @typedef {"microphone_silent" | "nothing_received" | "silence_received"} Warning
 *
 * @typedef {object} Quality  Quality of the last second.
 * @property {number | null} roundTrip  To the bridge and back.
 * @property {number | null} jitter  Of received audio.
 * @property {number} loss  Of received audio.
 * @property {number} concealed  Share of played audio that was concealed, without silence.
 * @property {number} delay  What the browser's jitter buffer adds.
 * @property {number | null} sentJitter  Of sent audio, reported by the bridge.
 * @property {number | null} sentLoss  Of sent audio, reported by the bridge.
 * @property {number | null} levelIn  Level of received audio (root mean square); null if the browser does not report it.
 * @property {number | null} levelOut  Level of the microphone.
 * @property {number} packetsIn  Packets received in this second.
 * @property {number | null} mos  Estimated mean opinion score of received audio, 1 (bad) to 4.5; null when nothing arrives.
 * @property {boolean} relayed  The media goes through a TURN relay.
 * @property {Warning[]} warnings  What to show to the person.
 */

/**
 * @typedef {{ received: number, lost: number, samples: number, concealed: number, buffered: number, emitted: number,
 *   energyIn: number | null, timeIn: number, energyOut: number | null, timeOut: number, roundTrip: number | null,
 *   jitter: number | null, sentJitter: number | null, sentLoss: number | null, relayed: boolean,
 *   pause: number, pair: string | undefined, arrived: number }} Counters
 *   `pause`: seconds for which the next packet has been late; `pair`: the path in use; `arrived`: grows with
 *   everything received from the bridge
 */

const LATE = 0.06; // seconds after the previous one when a 20 ms packet counts as missing

/** Extract the counters from the browser's statistics (names: w3.org/TR/webrtc-stats). @param {RTCStatsReport} report @returns {Counters} */
export function count(report) {
  /** @type {any[]} */
  const all = [...(/** @type {any} */ (report).values())];
  const of = (/** @type {string} */ type) => all.find((entry) => entry.type === type) ?? {};
  const pair = all.find((entry) => entry.id === of("transport").selectedCandidatePairId)
    ?? all.find((entry) => entry.type === "candidate-pair" && entry.nominated) ?? {};
  const candidate = all.find((entry) => entry.id === pair.localCandidateId) ?? {};
  const [inbound, remote, source] = [of("inbound-rtp"), of("remote-inbound-rtp"), of("media-source")];
  return {
    received: inbound.packetsReceived ?? 0, lost: inbound.packetsLost ?? 0, jitter: inbound.jitter ?? null,
    samples: inbound.totalSamplesReceived ?? 0, concealed: (inbound.concealedSamples ?? 0) - (inbound.silentConcealedSamples ?? 0),
    buffered: inbound.jitterBufferDelay ?? 0, emitted: inbound.jitterBufferEmittedCount ?? 0,
    energyIn: inbound.totalAudioEnergy ?? null, timeIn: inbound.totalSamplesDuration ?? 0,
    energyOut: source.totalAudioEnergy ?? null, timeOut: source.totalSamplesDuration ?? 0,
    roundTrip: remote.roundTripTime ?? pair.currentRoundTripTime ?? null,
    sentJitter: remote.jitter ?? null, sentLoss: remote.fractionLost ?? null,
    relayed: candidate.candidateType === "relay", pair: pair.id,
    pause: Math.max(0, ((inbound.timestamp - inbound.lastPacketReceivedTimestamp) || 0) / 1000 - LATE),
    arrived: all.reduce((sum, entry) => sum + (entry.type === "candidate-pair" ? entry.bytesReceived ?? 0 : 0), inbound.packetsReceived ?? 0),
  };
}

/** @param {number} part @param {number} whole */
function ratio(part, whole) {
  return whole > 0 ? Math.max(0, part / whole) : 0;
}

/** @param {number | null} before @param {number | null} after @param {number} seconds */
function level(before, after, seconds) {
  return before === null || after === null ? null : Math.sqrt(ratio(after - before, seconds));
}

/** @param {Counters} a @param {Counters} b  A second later. @returns {Quality} */
export function compare(a, b) {
  const packetsIn = Math.max(0, b.received - a.received);
  const lost = Math.max(0, b.lost - a.lost);
  const loss = ratio(lost, packetsIn + lost);
  const seconds = b.timeIn - a.timeIn;
  const invented = seconds * ratio(b.concealed - a.concealed, b.samples - a.samples);
  const concealed = Math.min(1, ratio(invented - b.pause, seconds)); // a pause of the sender is no loss
  const delay = ratio(b.buffered - a.buffered, b.emitted - a.emitted);
  return {
    roundTrip: b.roundTrip, jitter: b.jitter, loss, concealed, delay,
    sentJitter: b.sentJitter, sentLoss: b.sentLoss, packetsIn, relayed: b.relayed,
    levelIn: level(a.energyIn, b.energyIn, seconds),
    levelOut: level(a.energyOut, b.energyOut, b.timeOut - a.timeOut),
    mos: packetsIn ? opinionScore({ delay: (b.roundTrip ?? 0) / 2 + delay + 0.04, loss: Math.max(loss, concealed) }) : null,
    warnings: [],
  };
}

/**
 * Estimate a mean opinion score by the E-model (ITU-T G.107, delay term as simplified by Cole and Rosenbluth).
 *
 * The equipment factors (8, and a robustness of 20 with in-band FEC) are the ones in common use for
 * Opus near 24 kbit/s; the ITU has published none.
 *
 * @param {{ delay: number, loss: number }} heard  `delay`: one way, mouth to ear; `loss`: share not heard as sent
 */
export function opinionScore({ delay, loss }) {
  const [equipment, robustness] = [8, 20];
  const milliseconds = delay * 1000;
  const percent = loss * 100;
  const tooLate = 0.024 * milliseconds + 0.11 * Math.max(0, milliseconds - 177.3);
  const r = 93.2 - tooLate - (equipment + ((95 - equipment) * percent) / (percent + robustness));
  if (r <= 0) return 1;
  return Math.min(4.5, 1 + 0.035 * r + 7e-6 * r * (r - 60) * (100 - r));
}
