/** A test of everything a call needs, before the call; used through `BridgeApi.testConnection`. */

import { BridgeError } from "./errors.js";
import { Connection, refuseWithoutWebRtc } from "./connection.js";
import { TrackLevel } from "./level.js";
import { openMicrophone } from "./microphone.js";
import { PATHS, serversFor } from "./test-paths.js";
import { TestCalls } from "./test-calls.js";
import { judge } from "./test-verdict.js";
import { compare, count, opinionScore } from "./quality.js";

/**
 * @typedef {import("./test-paths.js").PathName} PathName
 * @typedef {import("./test-verdict.js").TestProblem} TestProblem
 *
 * @typedef {object} TestedPath  One way for the audio.
 * @property {PathName} name
 * @property {"ok" | "failed" | "not_configured"} state
 * @property {boolean} gathered  The browser found an address for it; over TURN: the relay gave it one.
 * @property {boolean} connected
 * @property {number | null} seconds  Until it was connected.
 * @property {string | null} reason  What the bridge says of a connection that did not come up: a code of its diagnosis, such as ice_one_way.
 * @property {number | null} errorCode  The TURN server's error, if it refused (RFC 8656), such as 401.
 *
 * @typedef {object} TestedMicrophone
 * @property {"ok" | "quiet" | "silent" | "none" | "failed"} state  none: tested without one.
 * @property {number | null} level  The loudest tenth of a second, root mean square; null if the browser measures none.
 * @property {string | null} error  The code of the error with which it could not be opened.
 *
 * @typedef {object} TestedEcho  The audio's way to the bridge and back, on the path that calls would take.
 * @property {boolean} relayed  Through TURN.
 * @property {number | null} roundTrip
 * @property {number} loss  Of received audio.
 * @property {number | null} sentLoss  Of sent audio, reported by the bridge.
 * @property {number | null} jitter  Of received audio.
 * @property {number | null} sentJitter  Of sent audio, reported by the bridge.
 * @property {number} delay  To expect from mouth to ear between here and the bridge, one way.
 * @property {number} mos  To expect, 1 (bad) to 4.5.
 * @property {number | null} level  The loudest second of what came back, root mean square; null if the browser measures none.
 *
 * @typedef {object} ConnectionTest
 * @property {"good" | "fair" | "poor" | "failed"} verdict  What calls would be like; failed: not heard by one side, or at all.
 * @property {string} summary  The same in a sentence.
 * @property {TestProblem[]} problems  The worst first, with what to do.
 * @property {TestedMicrophone} microphone
 * @property {TestedPath[]} paths
 * @property {TestedEcho | null} echo  null: no audio came back.
 * @property {number} seconds  How long the test took.
 *
 * @typedef {object} TestProgress
 * @property {"microphone" | PathName | "echo"} step  What is being tested.
 * @property {number} done  How much of the test is over, 0 to 1.
 * @property {number | null} level  Of the microphone now, root mean square.
 * @property {TestedPath[]} paths  Those tested so far.
 *
 * @typedef {object} TestOptions
 * @property {MediaStreamTrack | MediaTrackConstraints | null} [microphone]  A track, which the caller stops, or how to open
 *   one, which the test stops; null tests without one.
 * @property {() => Promise<import("./test-calls.js").TestCall>} [testCall]  Returns the `data` of `POST /call/test`, which a server with
 *   the key requests; called twice or more. Left out, the page's own key or ticket is used.
 * @property {number} [seconds]  How long to listen to the echo.
 * @property {boolean} [play]  Whether the person hears the echo.
 * @property {(progress: TestProgress) => void} [onProgress]  Ten times a second.
 * @property {AbortSignal} [signal]  Cancels the test.
 */

const GATHER_LIMIT = 4_000; // ms
const CONNECT_LIMIT = 5_000; // ms
const ECHO_SECONDS = 8;
const SETTLE = 1_000; // ms until the jitter buffer has its delay
const SECOND = 1_000; // ms
const TICK = 100; // ms
const LEVEL_SAMPLES = 4_096; // a tenth of a second at 48 kHz
const SILENT = 0.000_01; // root mean square: digital silence, -100 dBov
const QUIET = 0.003; // -50 dBov: no speech
const CODEC_DELAY = 0.04; // seconds of capture, coding and playback

/**
 * Test microphone, paths and echo.
 *
 * @param {import("./api.js").BridgeApi} api
 * @param {TestOptions} [options]
 * @returns {Promise<ConnectionTest>}
 * @throws {BridgeError} unsupported_browser, canceled, and those of requests
 */
export async function testConnection(api, options = {}) {
  refuseWithoutWebRtc();
  const test = new Test(api, options);
  try {
    return await test.run();
  } catch (error) {
    if (options.signal?.aborted) throw new BridgeError("canceled", "The test was cancelled.", { cause: error });
    throw error;
  } finally {
    await test.close();
  }
}

class Test {
  #began = performance.now();
  #microphone = new TrackLevel(LEVEL_SAMPLES);
  /** @type {TestedMicrophone} */ #tested = { state: "none", level: null, error: null };
  /** @type {MediaStreamTrack | null} */ #track = null;
  #opened = false; // the microphone is ours to stop
  /** @type {AudioContext | null} */ #silent = null;
  /** @type {TestProgress} */ #progress = { step: "microphone", done: 0, level: null, paths: [] };
  /** @type {Set<Connection>} */ #connections = new Set();
  /** @type {ReturnType<typeof setInterval> | undefined} */ #timer;
  /** @type {Promise<never>} */ #canceled;

  /** @param {import("./api.js").BridgeApi} api @param {TestOptions} options */
  constructor(api, options) {
    this.options = options;
    this.seconds = options.seconds ?? ECHO_SECONDS;
    this.calls = new TestCalls(api, options.testCall);
    this.#canceled = new Promise((_, reject) => {
      const stop = () => reject(new BridgeError("canceled", "The test was cancelled."));
      if (options.signal?.aborted) stop();
      options.signal?.addEventListener("abort", stop, { once: true });
    });
    this.#canceled.catch(() => {}); // somebody awaits it only while something is under way
  }

  /** @returns {Promise<ConnectionTest>} */
  async run() {
    this.#timer = setInterval(() => this.#tell(), TICK);
    this.#tell();
    await this.#within(this.#open());
    const { iceServers } = await this.#within(this.calls.config());
    for (const [index, path] of PATHS.entries()) {
      this.#step(path.name, (index + 1) / (PATHS.length + this.seconds + 1));
      this.#progress.paths.push(await this.#within(path.socket ? this.#trySocket(path) : this.#tryIce(path, iceServers)));
    }
    const paths = this.#progress.paths;
    this.#step("echo", (PATHS.length + 1) / (PATHS.length + this.seconds + 1));
    const works = paths.some(({ state, name }) => state === "ok" && name !== "websocket");
    const echo = works ? await this.#within(this.#listen(iceServers)) : null;
    this.#tell();
    const microphone = this.#judgeMicrophone();
    const seconds = (performance.now() - this.#began) / SECOND;
    return { ...judge(microphone, paths, echo), microphone, paths, echo, seconds };
  }

  async close() {
    clearInterval(this.#timer);
    this.#microphone.close();
    for (const connection of this.#connections) connection.close();
    if (this.#opened) this.#track?.stop();
    void this.#silent?.close().catch(() => {});
    await this.calls.close();
  }

  /** @template T @param {Promise<T>} work @returns {Promise<T>} */
  #within(work) {
    return Promise.race([work, this.#canceled]);
  }

  /** @param {TestProgress["step"]} step @param {number} done */
  #step(step, done) {
    Object.assign(this.#progress, { step, done });
    this.#tell();
  }

  #tell() {
    const live = this.#track?.readyState === "live" ? this.#track : null;
    const level = live && this.#microphone.measure(live);
    if (level !== null) this.#tested.level = Math.max(this.#tested.level ?? 0, level);
    this.options.onProgress?.({ ...this.#progress, level, paths: [...this.#progress.paths] });
  }

  async #open() {
    const { microphone = {} } = this.options;
    if (microphone === null) return;
    try {
      this.#opened = !(microphone instanceof MediaStreamTrack);
      this.#track = microphone instanceof MediaStreamTrack ? microphone : await openMicrophone(microphone);
      if (this.#opened && this.options.signal?.aborted) this.#track.stop();
    } catch (error) {
      if (!(error instanceof BridgeError)) throw error;
      this.#tested = { state: "failed", level: null, error: error.code };
    }
  }

  /** @returns {TestedMicrophone} */
  #judgeMicrophone() {
    const { level, error } = this.#tested;
    if (!this.#track) return this.#tested;
    const state = level === null ? "ok" : level < SILENT ? "silent" : level < QUIET ? "quiet" : "ok";
    return { state, level, error };
  }

  /**
   * @param {RTCIceServer[]} servers
   * @param {RTCIceTransportPolicy} policy
   * @param {MediaStreamTrack | null} track
   * @param {(track: MediaStreamTrack) => void} [heard]
   */
  #connection(servers, policy, track, heard = () => {}) {
    const connection = new Connection(servers, policy, track, { track: heard, lost: () => {}, closed: () => {} });
    this.#connections.add(connection);
    return connection;
  }

  /** @param {Connection} connection */
  #drop(connection) {
    connection.close();
    this.#connections.delete(connection);
  }

  /**
   * Connect along one path only.
   *
   * @param {import("./test-paths.js").Path} path
   * @param {RTCIceServer[]} all
   * @returns {Promise<TestedPath>}
   */
  async #tryIce(path, all) {
    const servers = serversFor(path, all);
    /** @type {TestedPath} */
    const tested = { name: path.name, state: "failed", gathered: false, connected: false, seconds: null, reason: null, errorCode: null };
    if (path.relay && !servers.length) return { ...tested, state: "not_configured" };
    const began = performance.now();
    const connection = this.#connection(servers, path.relay ? "relay" : "all", null);
    connection.pc.addEventListener("icecandidateerror", ({ errorCode }) => {
      if (errorCode >= 300 && errorCode < 700) tested.errorCode = errorCode; // 701 is the browser's own: no answer
    });
    let leg = "";
    try {
      const sdp = await limited(connection.offer(), GATHER_LIMIT);
      tested.gathered = sdp !== null && sdp.includes("a=candidate:");
      if (!sdp || !tested.gathered) return tested;
      const answer = await this.calls.offer(sdp);
      leg = answer.legID;
      await connection.answer(answer.sdp);
      tested.connected = await connection.up(CONNECT_LIMIT);
      if (tested.connected) Object.assign(tested, { state: "ok", seconds: (performance.now() - began) / SECOND });
      else tested.reason = await this.calls.diagnose(leg);
      return tested;
    } finally {
      this.#drop(connection);
      if (leg) await this.calls.leave(leg);
    }
  }

  /** Open a WebSocket to the bridge, which `PcmCall` uses. @param {import("./test-paths.js").Path} path @returns {Promise<TestedPath>} */
  async #trySocket(path) {
    const began = performance.now();
    const connected = await this.calls.openSocket(CONNECT_LIMIT);
    const seconds = connected ? (performance.now() - began) / SECOND : null;
    return { name: path.name, state: connected ? "ok" : "failed", gathered: true, connected, seconds, reason: null, errorCode: null };
  }

  /** Talk to the echo as a call would. @param {RTCIceServer[]} servers @returns {Promise<TestedEcho | null>} */
  async #listen(servers) {
    await this.calls.end();
    await this.calls.open(); // lasts for the whole echo
    const player = new Audio();
    const received = new TrackLevel(LEVEL_SAMPLES);
    /** @type {MediaStreamTrack | null} */
    let remote = null;
    const connection = this.#connection(servers, "all", this.#track ?? this.#silence(), (track) => {
      remote = track;
      player.muted = !(this.options.play && this.#track);
      player.srcObject = new MediaStream([track]);
      void player.play().catch(() => {}); // not heard, yet measured
    });
    let leg = "";
    try {
      const answer = await this.calls.offer(await connection.offer());
      leg = answer.legID;
      await connection.answer(answer.sdp);
      if (!(await connection.up(CONNECT_LIMIT))) return null;
      await pause(SETTLE);
      return await this.#measure(connection.pc, () => (remote ? received.measure(remote) : null));
    } finally {
      received.close();
      player.srcObject = null;
      this.#drop(connection);
      if (leg) await this.calls.leave(leg);
    }
  }

  /** @param {RTCPeerConnection} pc @param {() => number | null} hear @returns {Promise<TestedEcho | null>} */
  async #measure(pc, hear) {
    const first = count(await pc.getStats());
    const samples = [];
    let [last, loudest] = [first, /** @type {number | null} */ (null)];
    for (let second = 1; second <= this.seconds && !this.options.signal?.aborted; second++) {
      for (let waited = 0; waited < SECOND; waited += TICK) {
        await pause(TICK);
        const level = hear();
        if (level !== null) loudest = Math.max(loudest ?? 0, level);
      }
      const now = count(await pc.getStats());
      samples.push(compare(last, now));
      last = now;
      this.#progress.done = (PATHS.length + 1 + second) / (PATHS.length + this.seconds + 1);
    }
    const whole = compare(first, last);
    if (!whole.packetsIn) return null;
    const roundTrip = median(samples.map((sample) => sample.roundTrip));
    const sentLoss = mean(samples.map((sample) => sample.sentLoss));
    const delay = (roundTrip ?? 0) / 2 + whole.delay + CODEC_DELAY;
    return {
      relayed: whole.relayed, roundTrip, loss: whole.loss, sentLoss, delay, level: loudest,
      jitter: median(samples.map((sample) => sample.jitter)), sentJitter: median(samples.map((sample) => sample.sentJitter)),
      mos: opinionScore({ delay, loss: Math.max(whole.loss, whole.concealed, sentLoss ?? 0) }),
    };
  }

  /** A track for the figures of a connection without a microphone. */
  #silence() {
    this.#silent = new AudioContext();
    const end = this.#silent.createMediaStreamDestination();
    const source = new ConstantSourceNode(this.#silent, { offset: 0 }); // without one nothing is sent
    source.connect(end);
    source.start();
    return /** @type {MediaStreamTrack} */ (end.stream.getAudioTracks()[0]);
  }
}

/** @param {number} milliseconds */
function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** @param {Promise<string>} offer @param {number} milliseconds @returns {Promise<string | null>} null: too late, or no relay was reached */
function limited(offer, milliseconds) {
  return Promise.race([offer.catch((error) => {
    if (error instanceof BridgeError && error.code === "no_relay") return null;
    throw error;
  }), pause(milliseconds).then(() => null)]);
}

/** @param {(number | null)[]} values @returns {number[]} */
const known = (values) => /** @type {number[]} */ (values.filter((value) => value !== null));

/** @param {(number | null)[]} values */
function median(values) {
  const sorted = known(values).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? null;
}

/** @param {(number | null)[]} values */
function mean(values) {
  const all = known(values);
  return all.length ? all.reduce((sum, value) => sum + value, 0) / all.length : null;
}
