/**
 * The media bridge's client library: an ES module for any page or app that has WebRTC.
 *
 *     import { BridgeApi, BridgeCall, openMicrophone } from "./bridge.js";
 *     const api = new BridgeApi({ baseUrl: "https://bridge.example", key: "…" });
 *     const track = await openMicrophone();                    // inside a click
 *     const call = new BridgeCall(api, await api.dial("15550100001"));
 *     audioElement.srcObject = call.remoteStream;
 *     call.on("quality", (quality) => console.log(quality.mos));
 *     await call.connect(track);                               // both directions are up
 *     …
 *     await api.hangup(call.callId);
 *     await call.close();
 *
 * A page that should hold no key gets a ticket for its call from your server, which has the key:
 *
 *     const api = new BridgeApi({ baseUrl: "https://bridge.example", key: "" });
 *     const call = new BridgeCall(api, callId, { ticket: () => askMyServer(callId) });
 *
 * It touches no element of a page. Times are seconds, ratios and levels are 0 to 1.
 */

import { compare, count } from "./quality.js";

/**
 * @typedef {"new" | "connecting" | "connected" | "reconnecting" | "closed" | "failed"} MediaState
 * @typedef {import("./quality.js").Quality} Quality
 *
 * @typedef {object} CallInfo  A live call, as the bridge lists it.
 * @property {string} callId
 * @property {string} peer  The other party's number.
 * @property {string} state  initiated, ringing, connecting, active or held.
 * @property {"inbound" | "outbound"} direction  Inbound: they rang us.
 * @property {boolean} [recording]  Whether it is being recorded, which people want to be shown.
 * @property {string | null} [startedAt]
 *
 * @typedef {{ number: string, name: string, description: string }} Contact
 *
 * @typedef {object} CallEvents
 * @property {{ state: MediaState, error?: BridgeError }} state
 * @property {MediaStreamTrack} track  Remote sound has (re)started; `remoteStream` holds it.
 * @property {Quality} quality  Once a second while media is up.
 */

/** An error with a message for people and a stable word for programs. */
export class BridgeError extends Error {
  /**
   * @param {string} code  e.g. wrong_key, bridge_unreachable, microphone_refused, no_media_path
   * @param {string} message
   * @param {{ status?: number, cause?: unknown }} [more]  `status`: of the HTTP reply, if any
   */
  constructor(code, message, { status = 0, cause } = {}) {
    super(message, { cause });
    this.name = "BridgeError";
    this.code = code;
    this.status = status;
  }
}

/** @type {Record<number, string>} */
const CODES = {
  400: "invalid_request", 401: "wrong_key", 403: "wrong_key", 404: "not_found",
  409: "wrong_state", 413: "too_large", 429: "too_many_requests", 501: "not_implemented",
  502: "unreachable", 503: "bridge_full",
};

/** The bridge's HTTP interface. Every method throws `BridgeError` and nothing else. */
export class BridgeApi {
  /** @param {{ baseUrl?: string, key?: string }} [options]  `baseUrl` "" is the page's own origin. */
  constructor({ baseUrl = "", key = "demo" } = {}) {
    this.baseUrl = baseUrl.replace(/\/+$/, "");
    this.key = key;
  }

  /** @returns {Promise<CallInfo[]>}  Live calls; one that is missing has ended. */
  async status() {
    return (await this.request("GET", "/call/status")).calls;
  }

  /** @param {string} phone  @returns {Promise<string>} the new call's id */
  async dial(phone) {
    return (await this.request("POST", "/call/dial", { phone })).callId;
  }

  /** @param {string} callId */
  async answer(callId) {
    await this.request("POST", "/call/answer", { callId });
  }

  /** @param {string} callId */
  async hangup(callId) {
    await this.request("POST", "/call/hangup", { callId });
  }

  /** @param {string} callId  @param {string} digits  Of 0-9 * # A-D. */
  async dtmf(callId, digits) {
    await this.request("POST", "/call/dtmf", { callId, digits });
  }

  /**
   * @param {string} callId
   * @param {number} [seconds]  How long it is good for, 60 to 86400.
   * @param {{ party?: "near" | "far" | "transfer", identity?: string }} [holder]  Whom it is for. Legs belong to a
   *   party and identity: give a ticket that replaces another the same ones.
   * @returns {Promise<string>} a ticket: it opens this party's media, events and figures of the call, and nothing else
   */
  async ticket(callId, seconds = 600, { party = "near", identity = "" } = {}) {
    const wanted = { ttl: seconds, party, identity };
    return (await this.request("POST", `/call/${encodeURIComponent(callId)}/ticket`, wanted)).ticket;
  }

  /**
   * @param {string} callId
   * @param {number} [since]  Second of the call; what its timeline has before it is left out.
   * @returns {Promise<any>} what the bridge measured, leg by leg, and under `timeline` second by second
   */
  async quality(callId, since = 0) {
    return this.request("GET", `/call/${encodeURIComponent(callId)}/quality?since=${since}`);
  }

  /** @returns {Promise<Contact[]>}  Empty when the bridge does not simulate contacts. */
  async contacts() {
    try {
      return (await this.request("GET", "/simulator/contacts")).contacts;
    } catch (error) {
      if (error instanceof BridgeError && [404, 409, 501].includes(error.status)) return [];
      throw error;
    }
  }

  /** @param {string} from  A contact's number. @returns {Promise<string>} the id of the call that now rings us */
  async ringMe(from) {
    return (await this.request("POST", "/simulator/incoming", { from })).callId;
  }

  /**
   * Ask for anything else; unwraps the bridge's envelope.
   *
   * @param {string} method
   * @param {string} path
   * @param {object} [body]
   * @param {{ keepalive?: boolean, key?: string }} [options]  `keepalive`: the request outlives the page; `key`: another key, or a ticket
   * @returns {Promise<any>}
   */
  async request(method, path, body, { keepalive = false, key = this.key } = {}) {
    /** @type {Response} */
    let response;
    /** @type {any} */
    let reply;
    try {
      response = await fetch(this.baseUrl + path, {
        method,
        keepalive,
        cache: "no-store",
        headers: { token: key, ...(body && { "Content-Type": "application/json" }) },
        ...(body && { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(15_000),
      });
      reply = await response.json().catch(() => null);
    } catch (cause) {
      throw new BridgeError("bridge_unreachable", "The bridge cannot be reached.", { cause });
    }
    if (response.ok && reply && reply.success !== false) return reply.success ? reply.data : reply;
    const { status } = response;
    const code = CODES[status] ?? "bridge_error";
    const text = reply?.error || `The bridge replied with HTTP ${status}.`;
    throw new BridgeError(code, code === "wrong_key" ? "The bridge does not accept this key." : sentence(text), { status });
  }
}

/** @param {string} text  As programs write it. */
function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}

/**
 * Open the microphone, or say in plain words why that is not possible.
 *
 * @param {MediaTrackConstraints} [constraints]
 * @returns {Promise<MediaStreamTrack>}
 * @throws {BridgeError} insecure_origin, microphone_refused, no_microphone, microphone_in_use, microphone_failed
 */
export async function openMicrophone(constraints = {}) {
  if (!globalThis.isSecureContext || !navigator.mediaDevices) {
    throw new BridgeError("insecure_origin",
      "This page is not on a secure origin, so the browser gives it no microphone. Open it over https://, or as http://127.0.0.1 on the machine itself.");
  }
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: constraints });
    return /** @type {MediaStreamTrack} */ (stream.getAudioTracks()[0]);
  } catch (cause) {
    const name = cause instanceof DOMException ? cause.name : "";
    if (name === "NotAllowedError" || name === "SecurityError") {
      throw new BridgeError("microphone_refused",
        "The microphone was refused by the browser: allow it for this page (the icon beside the address), then call again.", { cause });
    }
    if (name === "NotFoundError" || name === "OverconstrainedError") {
      throw new BridgeError("no_microphone", "No microphone was found: plug one in, or choose another one below.", { cause });
    }
    if (name === "NotReadableError" || name === "AbortError") {
      throw new BridgeError("microphone_in_use", "The microphone cannot be opened: another program may be using it.", { cause });
    }
    throw new BridgeError("microphone_failed", `The microphone cannot be opened: ${cause}`, { cause });
  }
}

const GATHER_MORE = 500; // ms after the first usable candidate; the bridge learns later ones from checks
const GATHER_NONE = 2_000; // ms without any candidate: the offer goes out all the same
const GATHER_RELAY = 8_000; // ms until a TURN relay must have answered, where only a relay will do
const CONNECT_LIMIT = 20_000; // ms, the bridge's own limit for ICE and DTLS
const RECOVERY_LIMIT = 4_000; // ms for one attempt to get the media back
const PATIENCE = 1_500; // ms that "disconnected" may heal by itself
// ms before each attempt, for as long as the bridge keeps a call that everybody has left (60 s) and a little more
const BACKOFF = [0, 500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000, 8_000, 8_000];
const SILENCE = { microphone_silent: 3, nothing_received: 3, silence_received: 6 }; // seconds until it is worth a warning
const RESTARTS = 3; // so many attempts by ICE restart first; the others start a new connection

/** One leg of a call: this browser's sound to and from the bridge, kept alive across network changes. */
export class BridgeCall {
  /** @type {MediaState} */
  state = "new";
  /** Given by the bridge with its first answer. @type {string | null} */
  legId = null;
  /** What the other party says; give it to an `<audio>` element. */
  remoteStream = new MediaStream();
  muted = false;

  /** @type {RTCPeerConnection | null} */ #pc = null;
  /** @type {MediaStreamTrack | null} */ #track = null;
  /** @type {Map<string, Set<(detail: any) => void>>} */ #listeners = new Map();
  /** @type {import("./quality.js").Counters | null} */ #counters = null;
  /** @type {ReturnType<typeof setInterval> | undefined} */ #timer;
  #silence = { microphone_silent: 0, nothing_received: 0, silence_received: 0 };
  #recovering = false;
  /** @type {(() => Promise<string>) | undefined} */ #newTicket;
  #ticket = "";
  #leave = () => void this.close({ keepalive: true });
  #wake = () => {}; // ends the wait for the next attempt
  #online = () => {
    this.#wake();
    void this.reconnect();
  };

  /**
   * @param {BridgeApi} api
   * @param {string} callId
   * @param {object} [options]
   * @param {RTCIceTransportPolicy} [options.iceTransportPolicy]  "relay": through TURN only
   * @param {"near" | "far"} [options.party]  "far": be the party that was called, in a call that waits for it (`/call/dial` with the channel webrtc)
   * @param {() => Promise<string>} [options.ticket]  Gets a ticket for this call, which is then used in place of the key; asked again when it has run out.
   */
  constructor(api, callId, { iceTransportPolicy = "all", party = "near", ticket } = {}) {
    this.#newTicket = ticket;
    this.api = api;
    this.callId = callId;
    this.policy = iceTransportPolicy;
    this.party = party;
  }

  /**
   * Be told of something.
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
   * Join the call; resolves when sound can flow both ways.
   *
   * @param {MediaStreamTrack | null} track  The microphone; null only listens. It stays the caller's to stop.
   * @throws {BridgeError}
   */
  async connect(track) {
    this.#track = track;
    this.#change("connecting");
    globalThis.addEventListener("pagehide", this.#leave);
    globalThis.addEventListener("online", this.#online);
    try {
      await this.#build();
      if (!(await this.#up(CONNECT_LIMIT))) {
        throw new BridgeError("no_media_path",
          "No way for the sound was found between this browser and the bridge: a firewall may block UDP. A TURN relay would help.");
      }
    } catch (error) {
      if (this.#over()) throw new BridgeError("closed", "The call was closed while it was being connected.");
      await this.#end("failed", /** @type {BridgeError} */ (error));
      throw error;
    }
    this.#change("connected");
    this.#timer = setInterval(() => void this.#measure(), 1_000);
  }

  /** Stop or resume sending the microphone: here at once, then on the bridge, which wants a key for it. @param {boolean} muted */
  async setMuted(muted) {
    this.muted = muted;
    if (this.#track) this.#track.enabled = !muted;
    if (this.legId && this.api.key) await this.api.request("POST", "/call/mute", { callId: this.callId, legID: this.legId, muted });
  }

  /** Send another microphone from now on, without a gap in the call. @param {MediaStreamTrack} track */
  async replaceTrack(track) {
    track.enabled = !this.muted;
    this.#track = track;
    await this.#pc?.getSenders()[0]?.replaceTrack(track);
  }

  /** Find a new network path now (ICE restart); also done unasked when the path is lost. */
  async reconnect() {
    if (this.state === "connected") await this.#recover();
  }

  /** Leave the call; the call itself goes on. Never throws. @param {{ keepalive?: boolean }} [options] */
  async close({ keepalive = false } = {}) {
    if (!this.#over()) await this.#end("closed", undefined, keepalive);
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
    globalThis.removeEventListener("pagehide", this.#leave);
    globalThis.removeEventListener("online", this.#online);
    this.#pc?.close();
    this.#change(state, error);
    if (!this.legId) return;
    const leg = { callID: this.callId, legID: this.legId };
    await this.#ask("POST", "/call/webrtc/close", leg, { keepalive }).catch(() => {});
  }

  /**
   * Ask with this call's ticket, if it has one; a fresh one when that has run out.
   *
   * @param {string} method @param {string} path @param {object} [body] @param {{ keepalive?: boolean }} [options]
   * @returns {Promise<any>}
   */
  async #ask(method, path, body, options = {}) {
    if (!this.#newTicket) return this.api.request(method, path, body, options);
    this.#ticket ||= await this.#newTicket(); // no waiting while the page is being left
    try {
      return await this.api.request(method, path, body, { ...options, key: this.#ticket });
    } catch (error) {
      if (!(error instanceof BridgeError && error.status === 401)) throw error;
      this.#ticket = await this.#newTicket();
      return this.api.request(method, path, body, { ...options, key: this.#ticket });
    }
  }

  /** Open a connection; with a leg of old it takes that leg's place on the bridge. */
  async #build() {
    const { iceServers } = await this.#ask("GET", "/call/webrtc/config");
    if (this.#over()) return;
    const old = this.#pc;
    const pc = new RTCPeerConnection({ iceServers, iceTransportPolicy: this.policy, bundlePolicy: "max-bundle" });
    this.#pc = pc;
    this.#counters = null;
    pc.addTransceiver(this.#track ?? "audio", { direction: this.#track ? "sendrecv" : "recvonly" });
    pc.ontrack = ({ track }) => {
      for (const old of this.remoteStream.getTracks()) this.remoteStream.removeTrack(old);
      this.remoteStream.addTrack(track);
      this.#emit("track", track);
    };
    pc.onconnectionstatechange = () => {
      if (pc !== this.#pc || this.state !== "connected") return;
      if (pc.connectionState === "failed") void this.#recover();
      if (pc.connectionState === "disconnected") {
        setTimeout(() => pc === this.#pc && pc.connectionState === "disconnected" && this.reconnect(), PATIENCE);
      }
    };
    try {
      await this.#negotiate(pc, {});
    } finally {
      old?.close(); // not earlier: the bridge takes the farewell of a connection for the leg's end
    }
  }

  /** @param {RTCPeerConnection} pc @param {RTCOfferOptions} options */
  async #negotiate(pc, options) {
    await pc.setLocalDescription(await pc.createOffer(options));
    await gathered(pc, this.policy === "relay");
    const sdp = pc.localDescription?.sdp;
    const leg = this.legId ? { legID: this.legId } : this.party === "far" ? { party: "far" } : {};
    const answer = await this.#ask("POST", "/call/webrtc/offer", { callID: this.callId, type: "offer", sdp, ...leg });
    this.legId = answer.legID;
    if (this.#over()) return void (await this.#end("closed"));
    await pc.setRemoteDescription({ type: "answer", sdp: answer.sdp });
  }

  /** Whether the media is up before `limit` ms are over. @param {number} limit @returns {Promise<boolean>} */
  #up(limit) {
    const pc = /** @type {RTCPeerConnection} */ (this.#pc);
    return new Promise((resolve) => {
      const finish = (/** @type {boolean} */ up) => {
        clearTimeout(timer);
        pc.removeEventListener("connectionstatechange", changed);
        stop();
        resolve(up);
      };
      const changed = () => {
        if (pc.connectionState === "connected" || pc.connectionState === "failed") {
          finish(pc.connectionState === "connected");
        }
      };
      const timer = setTimeout(finish, limit, false);
      const stop = this.on("state", () => this.#over() && finish(false)); // closing a connection fires no event of its own
      pc.addEventListener("connectionstatechange", changed);
      if (pc.connectionState === "connected" || this.#over()) finish(!this.#over()); // "failed" may be of before the restart
    });
  }

  async #recover() {
    if (this.#recovering || this.#over()) return;
    this.#recovering = true;
    this.#change("reconnecting");
    /** @type {unknown} */
    let last;
    for (const [attempt, wait] of BACKOFF.entries()) {
      await new Promise((resolve) => {
        this.#wake = () => resolve(undefined);
        setTimeout(resolve, wait);
      });
      try {
        if (this.#over()) break;
        await this.#again(attempt < RESTARTS);
        if (await this.#up(RECOVERY_LIMIT)) {
          this.#change("connected");
          break;
        }
      } catch (error) {
        last = error;
        if (error instanceof BridgeError && [404, 409].includes(error.status)) {
          if (error.status === 409 || !this.legId) return void (await this.#end("closed", error));
          this.legId = null; // the bridge gave the leg up: come back as a new one
        }
      }
    }
    this.#recovering = false;
    if (this.state === "reconnecting") {
      await this.#end("failed", new BridgeError("connection_lost", "The connection to the bridge was lost and did not come back.", { cause: last }));
    }
  }

  /** @param {boolean} restart  Keep the connection and only find a new path for it. */
  async #again(restart) {
    const pc = this.#pc;
    const stable = pc?.signalingState === "stable" || pc?.signalingState === "have-local-offer";
    if (restart && this.legId && pc && stable) await this.#negotiate(pc, { iceRestart: true });
    else await this.#build();
  }

  async #measure() {
    const pc = this.#pc;
    if (!pc || this.state !== "connected") return;
    const now = count(await pc.getStats());
    const before = this.#counters;
    this.#counters = now;
    if (!before || pc !== this.#pc) return;
    const quality = compare(before, now);
    const sending = this.#track && !this.muted;
    /** @type {Record<import("./quality.js").Warning, boolean>} */
    const wrong = {
      microphone_silent: Boolean(sending) && quality.levelOut === 0,
      nothing_received: quality.packetsIn === 0,
      silence_received: quality.packetsIn > 0 && quality.levelIn !== null && quality.levelIn < 0.0005,
    };
    for (const warning of /** @type {(keyof typeof wrong)[]} */ (Object.keys(wrong))) {
      this.#silence[warning] = wrong[warning] ? this.#silence[warning] + 1 : 0;
      if (this.#silence[warning] >= SILENCE[warning]) quality.warnings.push(warning);
    }
    this.#emit("quality", quality);
  }
}

/**
 * Wait until an offer is worth sending, never for the end of gathering: one dead STUN server takes 10 s.
 *
 * @param {RTCPeerConnection} pc
 * @param {boolean} relayOnly
 * @returns {Promise<void>}
 */
function gathered(pc, relayOnly) {
  return new Promise((resolve, reject) => {
    let usable = false;
    const finish = () => {
      clearTimeout(timer);
      pc.removeEventListener("icecandidate", heard);
      if (usable || !relayOnly) resolve();
      else reject(new BridgeError("no_relay", "No TURN relay could be reached, and this page may only use one."));
    };
    const heard = (/** @type {RTCPeerConnectionIceEvent} */ { candidate }) => {
      if (!candidate) return finish();
      if (usable || !candidate.candidate || (relayOnly && candidate.type !== "relay")) return;
      usable = true;
      clearTimeout(timer);
      timer = setTimeout(finish, GATHER_MORE);
    };
    let timer = setTimeout(finish, relayOnly ? GATHER_RELAY : GATHER_NONE);
    pc.addEventListener("icecandidate", heard);
  });
}
