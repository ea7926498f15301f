/** The bridge's HTTP interface for pages; used through bridge.js. */

import { BridgeError } from "./errors.js";

/**
 * @typedef {object} CallInfo  A live call, as the bridge lists it.
 * @property {string} callId
 * @property {string} peer  The other party's number.
 * @property {string} state  initiated, ringing, connecting, active or held.
 * @property {"inbound" | "outbound"} direction  Inbound: they called us.
 * @property {boolean} [recording]  Whether it is being recorded; show it to the people in the call.
 * @property {string | null} [startedAt]
 *
 * @typedef {object} Problem  One thing that is wrong with a call; times are seconds of the call.
 * @property {string} code
 * @property {string} hop  e.g. browser.microphone, browser.network, bridge, provider.network
 * @property {string | null} legID
 * @property {"notice" | "degraded" | "broken"} severity
 * @property {number} since
 * @property {number | null} until  null while it is open.
 * @property {string} summary
 * @property {string} fix
 * @property {Record<string, any>} evidence
 * @property {string} docs  Path of its documentation at the bridge.
 *
 * @typedef {object} Diagnosis  Why nothing is heard: problems in the order in which the sound passes their hops.
 * @property {"ok" | "problem" | "watching"} verdict
 * @property {string} summary
 * @property {{ hop: string, legID: string | null, state: "ok" | "degraded" | "broken" | "idle" | "unknown" }[]} hops
 * @property {Problem[]} problems
 *
 * @typedef {{ number: string, name: string, description: string }} Contact
 *
 * @typedef {object} RequestOptions
 * @property {boolean} [keepalive]  The request outlives the page.
 * @property {string} [key]  Another key, or a ticket.
 * @property {AbortSignal} [signal]  Aborts the request.
 */

const REQUEST_LIMIT = 15_000; // ms

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

  /** @returns {Promise<CallInfo[]>}  Live calls; a call that is not listed has ended. */
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
   * @param {number} [seconds]  How long it is valid, 60 to 86400.
   * @param {{ party?: "near" | "far" | "transfer", identity?: string }} [holder]  Who uses it. Legs belong to a
   *   party and identity: a ticket that replaces another needs the same ones.
   * @returns {Promise<string>} a ticket: it opens this party's media, events and figures of the call, and nothing else
   */
  async ticket(callId, seconds = 600, { party = "near", identity = "" } = {}) {
    const wanted = { ttl: seconds, party, identity };
    return (await this.request("POST", `/call/${encodeURIComponent(callId)}/ticket`, wanted)).ticket;
  }

  /**
   * @param {string} callId
   * @param {number} [since]  Second of the call; earlier samples of the timeline are left out.
   * @returns {Promise<any>} what the bridge measured for each leg, and under `timeline` for each second
   */
  async quality(callId, since = 0) {
    return this.request("GET", `/call/${encodeURIComponent(callId)}/quality?since=${since}`);
  }

  /**
   * @param {string} callId
   * @returns {Promise<Diagnosis>} why nothing is heard, during the call and for a while after it
   */
  async diagnosis(callId) {
    return this.request("GET", `/call/${encodeURIComponent(callId)}/diagnosis`);
  }

  /**
   * Test microphone, paths (UDP, TURN over UDP, TCP and TLS, WebSocket) and audio before a call: about 12 s.
   *
   * @param {import("./connection-test.js").TestOptions} [options]
   * @returns {Promise<import("./connection-test.js").ConnectionTest>}
   */
  async testConnection(options) {
    const { testConnection } = await import("./connection-test.js");
    return testConnection(this, options);
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

  /** @param {string} from  A contact's number. @returns {Promise<string>} the id of the inbound call */
  async ringMe(from) {
    return (await this.request("POST", "/simulator/incoming", { from })).callId;
  }

  /**
   * Send any other request and unwrap the bridge's envelope.
   *
   * @param {string} method
   * @param {string} path
   * @param {object} [body]
   * @param {RequestOptions} [options]
   * @returns {Promise<any>}
   */
  async request(method, path, body, { keepalive = false, key = this.key, signal } = {}) {
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
        signal: AbortSignal.any([AbortSignal.timeout(REQUEST_LIMIT), ...(signal ? [signal] : [])]),
      });
      reply = await response.json().catch(() => null);
    } catch (cause) {
      throw new BridgeError("bridge_unreachable", "The bridge cannot be reached.", { cause });
    }
    if (response.ok && reply && reply.success !== false) return reply.success ? reply.data : reply;
    const { status } = response;
    const code = CODES[status] ?? "bridge_error";
    const text = reply?.error || `The bridge replied with HTTP ${status}.`;
    throw new BridgeError(code, code === "wrong_key" ? "The bridge does not accept this key." : sentence(text), { status, callId: reply?.callId });
  }
}

/** @param {string} text  As programs write it, without a capital or period. */
function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}
