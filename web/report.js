/** Tells the bridge how a call stands in this browser, for its diagnosis; used by call.js. */

import { BridgeError } from "./errors.js";
import { SpeakerState } from "./speaker.js";

const EVERY = 1_000; // ms between two looks
const REPEAT = 5_000; // ms after which an unchanged report is sent again: the bridge forgets it after 15 s
const WINDOW = 5; // seconds over which concealment is averaged
const GAPS = 0.15; // share of concealed audio from which a report is worth sending
const QUIET = -60; // dBov: below it nobody speaks
const OVER = [401, 403, 409]; // statuses: the call has ended, or the leg is another's

/**
 * @typedef {object} Leg  What is reported about.
 * @property {string | null} legId
 * @property {RTCPeerConnection | undefined} pc
 * @property {number | null} turnError  The last error of a TURN server.
 * @property {MediaStreamTrack | null} track  The microphone.
 * @property {MediaStream} remote
 */

export class Reporter {
  /** @type {ReturnType<typeof setInterval> | undefined} */ #timer;
  #speaker = new SpeakerState();
  /** @type {import("./quality.js").Quality[]} */ #heard = [];
  #sent = ""; // the last report without its figures, which change all the time
  #sentAt = -Infinity;
  #busy = false;
  /** The leg that the bridge does not know, or for which it takes no reports. @type {string | null} */ #unknown = null;
  /** Delay of the jitter buffer while something was last played from it, in seconds. @type {number | null} */ #delay = null;
  #ended = false; // the microphone was so at the last look; pages replace it in a moment

  /**
   * @param {() => Leg} leg
   * @param {(report: object) => Promise<unknown>} send
   */
  constructor(leg, send) {
    this.leg = leg;
    this.send = send;
  }

  start() {
    this.#timer = setInterval(() => void this.#look(), EVERY);
  }

  stop() {
    clearInterval(this.#timer);
    this.#speaker.close();
  }

  /** Take the quality of the last second; null after another connection has begun. @param {import("./quality.js").Quality | null} quality */
  note(quality) {
    this.#heard = quality ? [...this.#heard, quality].slice(-WINDOW) : [];
    if (!quality || quality.delay > 0) this.#delay = quality?.delay ?? null; // 0: the bridge sent nothing to be played
  }

  async #look() {
    const leg = this.leg();
    if (this.#busy || !leg.legId || leg.legId === this.#unknown) return;
    this.#busy = true;
    try {
      const report = await this.#describe(leg);
      const { microphone, concealedRatio, jitterBufferMs, ...words } = report;
      const quiet = this.#heard.every(({ levelOut }) => levelOut !== null && decibels(levelOut) < QUIET);
      const state = JSON.stringify({ ...words, microphone: microphone.state, filtered: microphone.filtered, quiet, gaps: (concealedRatio ?? 0) > GAPS });
      const now = performance.now();
      if (state === this.#sent && now - this.#sentAt < REPEAT) return;
      [this.#sent, this.#sentAt] = [state, now];
      await this.send(report);
    } catch (error) {
      // A bridge without this operation answers 404 too. Whatever else fails: the next report says it all again.
      const status = error instanceof BridgeError ? error.status : 0;
      if (status === 404) this.#unknown = leg.legId;
      if (OVER.includes(status)) this.stop();
    } finally {
      this.#busy = false;
    }
  }

  /** @param {Leg} leg */
  async #describe({ legId, pc, turnError, track, remote }) {
    const last = this.#heard.at(-1);
    const { types, pair } = pc ? paths(await pc.getStats()) : { types: [], pair: null };
    const { speaker, outputDevice } = await this.#speaker.look(remote);
    const concealed = this.#heard.length < WINDOW ? null : this.#heard.reduce((sum, one) => sum + one.concealed, 0) / WINDOW;
    const level = last && track ? last.levelOut : null;
    const dtls = pc?.getSenders()[0]?.transport?.state;
    return {
      legID: legId,
      microphone: { state: this.#microphone(track), filtered: isFiltered(track), ...(level !== null && { levelDbov: decibels(level) }) },
      ...(speaker && { speaker: { state: speaker } }),
      outputDevice,
      candidateTypes: types,
      ...(pair && { selectedPair: pair }),
      ...(pc && { iceState: pc.iceConnectionState }),
      ...(dtls && { dtlsState: dtls }),
      ...(turnError && !types.includes("relay") && { turnError }),
      ...(this.#delay !== null && { jitterBufferMs: Math.min(60_000, Math.round(this.#delay * 1000)) }),
      ...(concealed !== null && { concealedRatio: Math.round(Math.min(1, concealed) * 1000) / 1000 }),
      hidden: globalThis.document?.hidden ?? false,
    };
  }

  /** @param {MediaStreamTrack | null} track */
  #microphone(track) {
    const before = this.#ended;
    this.#ended = track?.readyState === "ended";
    if (!track) return "none";
    if (this.#ended && before) return "ended";
    return !track.enabled || track.muted ? "muted" : "live";
  }
}

/** Whether the browser's echo or noise filter changes what a track sends. @param {MediaStreamTrack | null} track */
function isFiltered(track) {
  const { echoCancellation, noiseSuppression } = track?.getSettings() ?? {};
  return Boolean(echoCancellation || noiseSuppression);
}

/** @param {number} level  Root mean square, 0 to 1. */
function decibels(level) {
  return Math.max(-127, Math.min(0, Math.round(20 * Math.log10(level + 1e-9))));
}

/** The types of the candidates that were gathered, and the pair in use. @param {RTCStatsReport} report */
function paths(report) {
  /** @type {any[]} */
  const all = [...(/** @type {any} */ (report).values())];
  const types = [...new Set(all.filter(({ type }) => type === "local-candidate").map(({ candidateType }) => candidateType))].sort();
  const chosen = all.find(({ type }) => type === "transport")?.selectedCandidatePairId;
  const pair = all.find(({ id }) => id === chosen) ?? all.find(({ type, nominated }) => type === "candidate-pair" && nominated);
  const [local, remote] = [pair?.localCandidateId, pair?.remoteCandidateId].map((wanted) => all.find(({ id }) => id === wanted));
  if (!local || !remote) return { types, pair: null };
  return { types, pair: { local: local.candidateType, remote: remote.candidateType, protocol: local.relayProtocol ?? local.protocol } };
}
