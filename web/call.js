/** One leg of a call, kept alive across network changes; used through bridge.js. */

import { BridgeError } from "./errors.js";
import { Connection, refuseWithoutWebRtc } from "./connection.js";
import { insist } from "./offer.js";
import { compare, count } from "./quality.js";
import { Reporter } from "./report.js";
import { Warnings } from "./warnings.js";

/**
 * @typedef {"new" | "connecting" | "connected" | "reconnecting" | "closed" | "failed"} MediaState
 * @typedef {import("./quality.js").Quality} Quality
 *
 * @typedef {object} CallEvents
 * @property {{ state: MediaState, error?: BridgeError }} state  Closed without an error: by `close`, or by the bridge (DTLS close_notify).
 * @property {MediaStreamTrack} track  Remote audio has (re)started; it is in `remoteStream`.
 * @property {Quality} quality  Once a second while media is up.
 */

const CONNECT_LIMIT = 20_000; // ms, the bridge's own limit for ICE and DTLS
const RECONNECT_LIMIT = 3_000; // ms for a new path, once the bridge has answered
const GIVE_UP = 95_000; // ms: the bridge detects a dead leg after 35 s, and keeps a call without legs for 60 s
const FINAL = [401, 403, 404, 409]; // statuses: the call has ended, or the credential is not valid (a fresh ticket was tried)
const HELPED = 5_000; // ms after an ICE restart within which another loss means that it did not help
const PAUSE = 1_000; // ms, minimum between two attempts

/** One leg of a call: this browser's audio to and from the bridge, kept alive across network changes. */
export class BridgeCall {
  /** @type {MediaState} */
  state = "new";
  /** Assigned by the bridge with its first answer; keep it to resume the leg after a reload. @type {string | null} */
  legId;
  /** The other party's audio; set it as the `srcObject` of an `<audio>` element. */
  remoteStream = globalThis.MediaStream ? new MediaStream() : /** @type {any} */ (null);
  muted = false;

  /** @type {Connection | null} */ #connection = null;
  /** @type {MediaStreamTrack | null} */ #track = null;
  /** @type {Map<string, Set<(detail: any) => void>>} */ #listeners = new Map();
  /** @type {import("./quality.js").Counters | null} */ #counters = null;
  /** @type {ReturnType<typeof setInterval> | undefined} */ #timer;
  #warnings = new Warnings();
  /** @type {Reporter | null} */ #reporter;
  #recovering = false;
  #uncertain = false; // the bridge may have switched to a connection that did not come up here
  #restarted = -Infinity; // when an ICE restart last brought the call back, by the page's clock
  /** @type {(() => Promise<string>) | undefined} */ #newTicket;
  #ticket = "";
  #leave = () => void this.close({ keepalive: true });
  #attempt = new AbortController(); // of the current recovery; aborted to start the next attempt at once
  #online = () => {
    this.#attempt.abort();
    void this.reconnect();
  };

  /**
   * @param {import("./api.js").BridgeApi} api
   * @param {string} callId
   * @param {object} [options]
   * @param {RTCIceTransportPolicy} [options.iceTransportPolicy]  "relay": through TURN only
   * @param {"near" | "far"} [options.party]  "far": join as the called party, in a call that waits for it (`/call/dial` with the channel webrtc)
   * @param {string | null} [options.legId]  The leg of this page before it was reloaded: it is resumed, or replaced by a new one if the bridge has ended it.
   * @param {boolean} [options.machine]  Whether a bot speaks here: then it is measured what its caller waits.
   * @param {boolean} [options.report]  Whether to tell the bridge's diagnosis how the call stands here.
   * @param {() => Promise<string>} [options.ticket]  Returns a ticket for this call, used instead of the key; called again when it has expired.
   */
  constructor(api, callId, { iceTransportPolicy = "all", party = "near", legId = null, machine = false, report = true, ticket } = {}) {
    this.legId = legId;
    this.#newTicket = ticket;
    this.api = api;
    this.callId = callId;
    this.policy = iceTransportPolicy;
    this.party = party;
    this.machine = machine;
    const path = `/call/${encodeURIComponent(callId)}/report`;
    this.#reporter = report ? new Reporter(() => this.#leg(), (told) => this.#ask("POST", path, told)) : null;
  }

  /**
   * Listen for an event.
   *
   * @template {keyof CallEvents} K
   * @param {K} type
   * @param {(detail: CallEvents[K]) => void} listener
   * @returns {() => void} stops it
   */
  on(type, listener) {
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners.add(listener));
    return () => void listeners.delete(listener);
  }

  /**
   * Join the call; resolves when media flows both ways.
   *
   * @param {MediaStreamTrack | null} track  The microphone; null only listens. The caller stops it.
   * @throws {BridgeError} unsupported_browser, no_media_path, closed, and those of requests
   */
  async connect(track) {
    refuseWithoutWebRtc();
    this.#track = track;
    this.#change("connecting");
    this.#reporter?.start();
    globalThis.addEventListener("pagehide", this.#leave);
    globalThis.addEventListener("online", this.#online);
    try {
      if (!(await this.#join()) && !this.#over()) {
        throw new BridgeError("no_media_path",
          "No media path was found between this browser and the bridge: a firewall may block UDP. A TURN relay would help.");
      }
    } catch (error) {
      if (!this.#over()) {
        await this.#end("failed", /** @type {BridgeError} */ (error));
        throw error;
      }
    }
    if (this.#over()) throw new BridgeError("closed", "The call was closed while it was being connected.");
    this.#change("connected");
    this.#timer = setInterval(() => void this.#measure(), 1_000);
  }

  /** Stop or resume sending the microphone: here at once, then at the bridge. @param {boolean} muted */
  async setMuted(muted) {
    this.muted = muted;
    if (this.#track) this.#track.enabled = !muted;
    if (this.legId && this.api.key) await this.api.request("POST", "/call/mute", { callId: this.callId, legID: this.legId, muted });
  }

  /** Switch to another microphone, without a gap. @param {MediaStreamTrack} track */
  async replaceTrack(track) {
    track.enabled = !this.muted;
    this.#track = track;
    await this.#connection?.sender.replaceTrack(track);
  }

  /** @returns {Promise<import("./api.js").Diagnosis>} why nothing is heard in the call */
  async diagnosis() {
    return this.#ask("GET", `/call/${encodeURIComponent(this.callId)}/diagnosis`);
  }

  /** Restart ICE now; also done automatically when the path is lost. */
  async reconnect() {
    if (this.state === "connected") await this.#recover();
  }

  /** Leave the call; the call itself goes on. Never throws. @param {{ keepalive?: boolean }} [options] */
  async close({ keepalive = false } = {}) {
    if (!this.#over()) await this.#end("closed", undefined, keepalive);
  }

  /** @returns {import("./report.js").Leg} */
  #leg() {
    const connection = this.#connection;
    return { legId: this.legId, pc: connection?.pc, turnError: connection?.turnError ?? null, track: this.#track, remote: this.remoteStream };
  }

  #over() {
    return this.state === "closed" || this.state === "failed";
  }

  /** @template {keyof CallEvents} K @param {K} type @param {CallEvents[K]} detail */
  #emit(type, detail) {
    for (const listener of this.#listeners.get(type) ?? []) listener(detail);
  }

  /** @param {MediaState} state @param {BridgeError} [error] */
  #change(state, error) {
    if (this.state === state || this.#over()) return;
    this.state = state;
    this.#emit("state", error ? { state, error } : { state });
  }

  /** @param {"closed" | "failed"} state @param {BridgeError} [error] */
  async #end(state, error, keepalive = false) {
    clearInterval(this.#timer);
    this.#reporter?.stop();
    globalThis.removeEventListener("pagehide", this.#leave);
    globalThis.removeEventListener("online", this.#online);
    this.#connection?.close();
    this.#warnings.close();
    this.#change(state, error);
    this.#attempt.abort();
    if (!this.legId) return;
    const leg = { callID: this.callId, legID: this.legId };
    await this.#ask("POST", "/call/webrtc/close", leg, { keepalive }).catch(() => {});
  }

  /**
   * Send a request with this call's ticket, if it has one; with a fresh one when it has expired.
   *
   * @param {string} method @param {string} path @param {object} [body] @param {import("./api.js").RequestOptions} [options]
   * @returns {Promise<any>}
   */
  async #ask(method, path, body, options = {}) {
    if (!this.#newTicket) return this.api.request(method, path, body, options);
    this.#ticket ||= await this.#newTicket(); // no waiting while the page unloads
    try {
      return await this.api.request(method, path, body, { ...options, key: this.#ticket });
    } catch (error) {
      if (!(error instanceof BridgeError && error.status === 401)) throw error;
      this.#ticket = await this.#newTicket();
      return this.api.request(method, path, body, { ...options, key: this.#ticket });
    }
  }

  /**
   * Send an idempotent request repeatedly while the network may be returning.
   *
   * @param {string} method @param {string} path @param {object | undefined} body @param {boolean} harmless
   * @returns {Promise<any>}
   */
  #repeat(method, path, body, harmless) {
    if (!harmless) return this.#ask(method, path, body);
    return insist((signal) => this.#ask(method, path, body, { signal }), this.#attempt.signal);
  }

  /** Open the first connection; after a reload for the previous leg, if the bridge still has it. */
  async #join() {
    try {
      return await this.#build(CONNECT_LIMIT);
    } catch (error) {
      if (!(this.legId && error instanceof BridgeError && error.status === 404)) throw error;
      this.legId = null;
      this.#connection = null; // already closed
      return this.#build(CONNECT_LIMIT);
    }
  }

  /**
   * Open a connection; it replaces the old one, here and at the bridge, as soon as it is up.
   *
   * @param {number} limit  ms
   * @returns {Promise<boolean>} whether it is up
   */
  async #build(limit) {
    const old = this.#connection;
    const { iceServers } = await this.#repeat("GET", "/call/webrtc/config", undefined, old !== null);
    if (this.#over()) return false;
    /** @type {MediaStreamTrack | null} */
    let sound = null;
    const connection = new Connection(iceServers, this.policy, this.#track, {
      track: (track) => { sound = track; },
      lost: () => { if (connection === this.#connection) void this.reconnect(); },
      closed: () => { if (connection === this.#connection && this.state !== "reconnecting") void this.#end("closed"); },
    });
    if (!old) this.#connection = connection; // closed with the call
    let up = false;
    try {
      await this.#negotiate(connection);
      if (old) this.#uncertain = true;
      else if (sound) this.#hear(sound);
      up = !this.#over() && await connection.up(limit) && !this.#over();
    } finally {
      if (!up) connection.close();
    }
    if (!up || !old) return up;
    this.#connection = connection;
    this.#uncertain = false;
    if (connection.sender.track !== this.#track) await connection.sender.replaceTrack(this.#track);
    this.#counters = null;
    if (sound) this.#hear(sound);
    old.close(); // not earlier: the bridge treats a close_notify as the end of the leg
    return true;
  }

  /** @param {MediaStreamTrack} track  The bridge's audio from now on. */
  #hear(track) {
    for (const old of this.remoteStream.getTracks()) this.remoteStream.removeTrack(old);
    this.remoteStream.addTrack(track);
    this.#emit("track", track);
  }

  /**
   * @param {Connection} connection
   * @param {{ restart?: boolean }} [options]
   * @returns {Promise<boolean>} whether the connection serves for the answer; a new one does, if not
   */
  async #negotiate(connection, { restart = false } = {}) {
    const sdp = await connection.offer({ restart });
    const { legId, party, machine } = this;
    const leg = legId ? { legID: legId } : { ...(party === "far" && { party }), ...(machine && { machine }) };
    const offer = { callID: this.callId, type: "offer", sdp, ...leg };
    const answer = await this.#repeat("POST", "/call/webrtc/offer", offer, legId !== null); // without a leg id each offer creates a leg
    this.legId = answer.legID;
    if (this.#over()) await this.#end("closed");
    if (this.#over() || (restart && !connection.knows(answer.sdp))) return false;
    await connection.answer(answer.sdp);
    return true;
  }

  async #recover() {
    if (this.#recovering || this.#over()) return;
    this.#recovering = true;
    this.#change("reconnecting");
    try {
      await this.#comeBack(performance.now() + GIVE_UP);
    } finally {
      this.#recovering = false;
    }
  }

  /** @param {number} until  By the page's clock: when to give up. */
  async #comeBack(until) {
    /** @type {unknown} */
    let last;
    // An ICE restart did not help: open a new connection.
    let replace = performance.now() - this.#restarted < HELPED;
    while (!this.#over() && performance.now() < until) {
      this.#attempt = new AbortController();
      const begun = performance.now();
      try {
        if (await this.#again(replace)) return this.#change("connected");
        replace = !replace;
      } catch (error) {
        last = error;
        if (error instanceof BridgeError && FINAL.includes(error.status)) {
          if (error.status !== 404 || !this.legId) return void (await this.#end("closed", error));
          this.legId = null; // the bridge has ended the leg: join as a new one
        } else {
          replace ||= error instanceof BridgeError && error.status === 503; // its machine may be dead: another one knows nothing of this connection
          await this.#pause(begun + PAUSE - performance.now());
        }
      }
    }
    await this.#end("failed", new BridgeError("connection_lost", "The connection to the bridge was lost and did not come back.", { cause: last }));
  }

  /** @param {boolean} replace  The connection. @returns {Promise<boolean>} whether the media is back */
  async #again(replace) {
    const connection = this.#connection;
    if (replace || this.#uncertain || !this.legId || !connection?.restartable) return this.#build(RECONNECT_LIMIT);
    if (!(await this.#negotiate(connection, { restart: true }))) return this.#over() ? false : this.#build(RECONNECT_LIMIT);
    if (this.#over() || !(await connection.up(RECONNECT_LIMIT))) return false;
    this.#restarted = performance.now();
    return true;
  }

  /** Wait before the next attempt, at most until the browser reports that it is online. @param {number} milliseconds */
  #pause(milliseconds) {
    return new Promise((resolve) => {
      setTimeout(resolve, milliseconds);
      if (this.#attempt.signal.aborted) resolve(undefined);
      this.#attempt.signal.addEventListener("abort", resolve, { once: true });
    });
  }

  async #measure() {
    const connection = this.#connection;
    if (!connection || this.state !== "connected") return;
    const now = count(await connection.pc.getStats());
    const before = this.#counters;
    this.#counters = now;
    if (!before || connection !== this.#connection) return this.#reporter?.note(null);
    const quality = compare(before, now);
    this.#warnings.add(quality, this.muted ? null : this.#track, this.remoteStream.getAudioTracks()[0]);
    this.#reporter?.note(quality);
    this.#emit("quality", quality);
  }
}
