/** The test calls of one connection test at the bridge; used by connection-test.js. */

import { BridgeError } from "./errors.js";

/**
 * @typedef {object} TestCall  The answer of `POST /call/test`.
 * @property {string} callId
 * @property {string} ticket  Opens this call.
 * @property {number} seconds  After which the bridge ends it.
 */

const LEAVE = 8_000; // ms before its end in which nothing new begins on a call

export class TestCalls {
  /** @type {TestCall | null} */ #call = null;
  #until = 0; // by the page's clock: when another one is opened
  /** @type {Promise<TestCall> | null} */ #opening = null;
  #closed = false;

  /**
   * @param {import("./api.js").BridgeApi} api
   * @param {() => Promise<TestCall>} [request]  Opens one.
   */
  constructor(api, request = () => api.request("POST", "/call/test")) {
    this.api = api;
    this.request = request;
  }

  /** Have a call that is not about to end. @throws {BridgeError} canceled, and those of requests */
  async open() {
    if (this.#call && this.#until > performance.now()) return this.#call;
    await this.end();
    if (!this.#closed) {
      this.#opening = this.request();
      this.#call = await this.#opening;
      this.#until = performance.now() + this.#call.seconds * 1000 - LEAVE;
    }
    if (this.#call && !this.#closed) return this.#call;
    throw new BridgeError("canceled", "The test was cancelled.");
  }

  /** @returns {Promise<{ iceServers: RTCIceServer[] }>} */
  async config() {
    const { ticket } = await this.open();
    return this.api.request("GET", "/call/webrtc/config", undefined, { key: ticket });
  }

  /** @param {string} sdp @returns {Promise<{ legID: string, sdp: string }>} */
  async offer(sdp) {
    const { callId, ticket } = await this.open();
    return this.api.request("POST", "/call/webrtc/offer", { callID: callId, type: "offer", sdp }, { key: ticket });
  }

  /** Ask what the bridge saw of a leg's connection. @param {string} legID @returns {Promise<string | null>} a code of its diagnosis */
  async diagnose(legID) {
    if (!this.#call) return null;
    const { callId, ticket } = this.#call;
    const path = `/call/${encodeURIComponent(callId)}/diagnosis`;
    const { problems } = await this.api.request("GET", path, undefined, { key: ticket }).catch(() => ({ problems: [] }));
    return problems.find((/** @type {any} */ one) => one.hop === "browser.network" && one.legID === legID)?.code ?? null;
  }

  /** End a leg whose connection may not have come up. @param {string} legID */
  async leave(legID) {
    if (!this.#call) return;
    const { callId: callID, ticket } = this.#call;
    await this.api.request("POST", "/call/webrtc/close", { callID, legID }, { key: ticket, keepalive: true }).catch(() => {});
  }

  /** @param {number} limit  ms @returns {Promise<boolean>} whether a media socket opens */
  async openSocket(limit) {
    const { callId, ticket } = await this.open();
    const url = new URL(`${this.api.baseUrl}/call/${encodeURIComponent(callId)}/stream`, globalThis.location?.href);
    url.protocol = url.protocol.replace("http", "ws");
    url.search = String(new URLSearchParams({ token: ticket }));
    const socket = new WebSocket(url);
    const opened = await new Promise((resolve) => {
      const timer = setTimeout(resolve, limit, false);
      const settle = (/** @type {boolean} */ open) => (clearTimeout(timer), resolve(open));
      socket.onopen = () => settle(true);
      socket.onclose = () => settle(false);
    });
    socket.close(1000);
    return opened;
  }

  /** End the call, also one that is being opened. */
  async close() {
    this.#closed = true;
    await this.#opening?.catch(() => {});
    await this.end();
  }

  async end() {
    const call = this.#call;
    this.#call = null;
    const path = `/call/test/${encodeURIComponent(call?.callId ?? "")}`;
    if (call) await this.api.request("DELETE", path, undefined, { key: call.ticket, keepalive: true }).catch(() => {});
  }
}
