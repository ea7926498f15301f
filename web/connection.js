/** One WebRTC connection to the bridge: its offers, its state, and whether packets arrive; used by call.js. */

import { BridgeError } from "./errors.js";
import { count } from "./quality.js";

const GATHER_MORE = 500; // ms after the first usable candidate; the bridge learns later ones from checks
const GATHER_NONE = 2_000; // ms without any candidate: the offer is sent anyway
const RESTART_MORE = 100; // the same for an ICE restart, during which nothing is heard
const RESTART_NONE = 500;
const GATHER_RELAY = 8_000; // ms timeout of TURN when only a relay may be used
const STATISTICS_INTERVAL = 250; // ms between two reads of the statistics
const SILENT = 2_000; // ms without a packet after which the path counts as lost; the bridge reports every second
const POLL = 100; // ms between two checks of a path that is being set up

/**
 * @typedef {object} Observer
 * @property {(track: MediaStreamTrack) => void} track  The bridge's audio.
 * @property {() => void} lost  The path to the bridge is lost, or nothing arrives on it.
 * @property {() => void} closed  The bridge has closed the connection.
 */

export class Connection {
  #lost = () => {};
  #closed = false;
  #arrived = -1;
  #arrivedAt = 0;
  #flows = false; // packets have arrived since the path was last lost
  /** The candidate pair in use before the newest offer. @type {string | undefined} */ #before;
  /** @type {ReturnType<typeof setInterval>} */ #timer;
  /** The last error of a TURN server. @type {number | null} */ turnError = null;

  /**
   * @param {RTCIceServer[]} iceServers
   * @param {RTCIceTransportPolicy} policy
   * @param {MediaStreamTrack | null} track  The microphone; null only listens.
   * @param {Observer} observer
   */
  constructor(iceServers, policy, track, observer) {
    const pc = new RTCPeerConnection({ iceServers, iceTransportPolicy: policy, bundlePolicy: "max-bundle" });
    this.pc = pc;
    this.policy = policy;
    const { sender } = pc.addTransceiver(track ?? "audio", { direction: track ? "sendrecv" : "recvonly" });
    this.sender = sender;
    this.#lost = () => {
      this.#flows = false;
      if (!this.#closed) observer.lost();
    };
    pc.ontrack = (event) => observer.track(event.track);
    pc.onicecandidateerror = ({ url, errorCode }) => {
      if (url?.startsWith("turn") && errorCode >= 300 && errorCode < 800) this.turnError = errorCode; // the rest are not STUN's
    };
    pc.onconnectionstatechange = () => this.#changed(pc.connectionState);
    pc.onsignalingstatechange = () => this.#listen(observer);
    this.#timer = setInterval(() => void this.#look().catch(() => {}), STATISTICS_INTERVAL);
  }

  /** Whether an ICE restart may restore it. */
  get restartable() {
    return ["stable", "have-local-offer"].includes(this.pc.signalingState) && !["failed", "closed"].includes(this.sender.transport?.state ?? "");
  }

  close() {
    this.#closed = true;
    clearInterval(this.#timer);
    this.pc.close();
  }

  /** @param {{ restart?: boolean }} [options] @returns {Promise<string>} an offer that is worth sending */
  async offer({ restart = false } = {}) {
    this.#before = restart ? count(await this.pc.getStats()).pair : undefined;
    await this.pc.setLocalDescription(await this.pc.createOffer({ iceRestart: restart }));
    await gathered(this.pc, this.policy === "relay", restart);
    return this.pc.localDescription?.sdp ?? "";
  }

  /** @param {string} sdp  An answer. @returns {boolean} whether it is of the process at the other end of this connection: another one has another certificate */
  knows(sdp) {
    return fingerprint(sdp) === fingerprint(this.pc.remoteDescription?.sdp ?? "");
  }

  /** @param {string} sdp  The bridge's answer to the newest offer. */
  async answer(sdp) {
    await this.pc.setRemoteDescription({ type: "answer", sdp });
  }

  /**
   * Whether media can flow before `limit` ms are over: along a path that was found since the newest offer, or
   * along the old one when packets have come back there.
   *
   * @param {number} limit
   * @returns {Promise<boolean>}
   */
  async up(limit) {
    const until = performance.now() + limit;
    const { arrived } = count(await this.pc.getStats());
    while (!this.#closed && this.pc.signalingState !== "closed") {
      const now = count(await this.pc.getStats());
      const fresh = this.#before === undefined || (now.pair !== undefined && now.pair !== this.#before);
      if (fresh && this.pc.connectionState === "connected") {
        [this.#flows, this.#arrivedAt] = [true, performance.now()]; // the bridge sends a report every second: something must arrive
        return true;
      }
      if (performance.now() > until) return now.arrived > arrived && this.pc.connectionState === "connected";
      if (this.#before === undefined && this.pc.connectionState === "failed") return false; // later the state may be from before the restart
      await changedOrLater(this.pc);
    }
    return false;
  }

  /** Observe the transports: their state changes before that of the connection. @param {Observer} observer */
  #listen(observer) {
    const dtls = this.sender.transport;
    if (!dtls || dtls.onstatechange) return;
    dtls.onstatechange = () => {
      if (dtls.state === "closed" && !this.#closed && this.pc.signalingState !== "closed") observer.closed();
      else this.#changed(dtls.state);
    };
    const ice = dtls.iceTransport;
    if (ice) ice.onstatechange = () => this.#changed(ice.state);
  }

  /** @param {string} state */
  #changed(state) {
    if (state === "failed" || state === "disconnected") this.#lost();
  }

  async #look() {
    const { arrived } = count(await this.pc.getStats());
    const now = performance.now();
    if (arrived !== this.#arrived) {
      this.#flows = this.#arrived >= 0;
      this.#arrived = arrived;
      this.#arrivedAt = now;
    } else if (this.#flows && now - this.#arrivedAt >= SILENT) this.#lost();
  }
}

/** @throws {BridgeError} unsupported_browser */
export function refuseWithoutWebRtc() {
  if (globalThis.RTCPeerConnection && globalThis.MediaStream) return;
  throw new BridgeError("unsupported_browser", "This browser has no WebRTC, or it is switched off: use a current Chrome, Edge, Firefox or Safari.");
}

/** @param {string} sdp */
function fingerprint(sdp) {
  return /^a=fingerprint:(.*)$/m.exec(sdp)?.[1]?.trim().toLowerCase();
}

/** @param {RTCPeerConnection} pc */
function changedOrLater(pc) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      pc.removeEventListener("connectionstatechange", done);
      resolve(undefined);
    };
    const timer = setTimeout(done, POLL);
    pc.addEventListener("connectionstatechange", done);
  });
}

/**
 * Wait until an offer has useful candidates, never for the end of gathering: an unreachable STUN server delays that by 10 s.
 *
 * @param {RTCPeerConnection} pc
 * @param {boolean} relayOnly
 * @param {boolean} restart
 * @returns {Promise<void>}
 */
function gathered(pc, relayOnly, restart) {
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
      timer = setTimeout(finish, restart ? RESTART_MORE : GATHER_MORE);
    };
    let timer = setTimeout(finish, relayOnly ? GATHER_RELAY : restart ? RESTART_NONE : GATHER_NONE);
    pc.addEventListener("icecandidate", heard);
  });
}
