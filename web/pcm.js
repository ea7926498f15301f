/**
 * A call over one WebSocket: an ES module for pages where WebRTC is blocked.
 *
 *     import { BridgeApi, openMicrophone } from "./bridge.js";
 *     import { PcmCall } from "./pcm.js";
 *     const api = new BridgeApi({ baseUrl: "https://bridge.example", key: "" });
 *     const call = new PcmCall(api, callId, { ticket: () => askMyServer(callId) });
 *     audioElement.srcObject = call.remoteStream;
 *     await call.connect(await openMicrophone());              // inside a click
 *     …
 *     await call.close();                                      // the call itself goes on
 *
 * Audio is 16 kHz, 16-bit, over TCP: prefer `BridgeCall` of `bridge.js` where UDP passes. The playback
 * buffer is 60 ms and grows to 180 ms if the network needs it; beyond 1 s audio is dropped.
 */

import { BridgeError } from "./bridge.js";

/**
 * @typedef {"new" | "connecting" | "connected" | "reconnecting" | "closed" | "failed"} PcmState
 *
 * @typedef {object} PcmFigures  For one second.
 * @property {number} buffered  Seconds of received audio that wait to be played.
 * @property {number} underruns  How often the buffer ran empty, in total.
 * @property {number} dropped  Seconds of received audio dropped because too much was waiting, in total.
 * @property {number} notSent  Seconds of the microphone that could not be sent, in total.
 * @property {number} levelIn  Peak of what was played, 0 to 1.
 * @property {number} levelOut  Peak of the microphone, 0 to 1.
 *
 * @typedef {object} PcmEvents
 * @property {{ state: PcmState, error?: BridgeError }} state
 * @property {PcmFigures} figures  Once a second.
 * @property {{ blocked: boolean }} audio_blocked  The browser starts no audio before the person has touched the
 *   page or pressed a key; then it starts automatically, and `blocked` is false.
 */

const FRAME_MS = 20;
const FRAME_SAMPLES = 320;
const BUFFER_MS = 200; // maximum of the microphone's audio that the bridge buffers after a network stall
const PREBUFFER = 0.06; // seconds
const MAX_UNSENT = 16_000; // bytes: half a second not yet sent
const OPEN_LIMIT = 10_000; // ms
const START_LIMIT = 300; // ms, timeout of starting an AudioContext
const GESTURES = ["click", "keydown", "touchend"];
const BACKOFF = [0, 500, 1_000, 2_000, 4_000]; // ms before each attempt to reconnect

/** One leg of a call over a WebSocket: this browser's audio to and from the bridge. */
export class PcmCall {
  /** @type {PcmState} */
  state = "new";
  muted = false;
  /** The audio waits for a user gesture; until then nothing is heard or sent. */
  audioBlocked = false;

  /** @type {AudioContext} */ #context;
  /** @type {MediaStreamAudioDestinationNode} */ #speaker;
  /** @type {AudioWorkletNode | null} */ #node = null;
  /** @type {MediaStreamAudioSourceNode | null} */ #microphone = null;
  /** @type {MediaStreamTrack | null} */ #track = null;
  /** @type {WebSocket | null} */ #socket = null;
  /** @type {Map<string, Set<(detail: any) => void>>} */ #listeners = new Map();
  /** @type {() => Promise<string>} */ #credential;
  #name = Math.random().toString(36).slice(2); // under it the bridge finds this leg again after an upgrade
  #notSent = 0;
  #start = () => void this.#context.resume().catch(() => {}); // refused while the call is closed

  /**
   * @param {import("./bridge.js").BridgeApi} api
   * @param {string} callId
   * @param {{ ticket?: () => Promise<string> }} [options]  `ticket`: returns a ticket for this call, used instead of the key.
   * @throws {BridgeError} unsupported_browser
   */
  constructor(api, callId, { ticket } = {}) {
    this.api = api;
    this.callId = callId;
    this.#credential = ticket ?? (async () => api.key);
    if (!globalThis.AudioContext) throw new BridgeError("unsupported_browser", "This browser has no Web Audio: use a current Chrome, Edge, Firefox or Safari.");
    this.#context = new AudioContext({ latencyHint: "interactive" });
    this.#speaker = new MediaStreamAudioDestinationNode(this.#context, { channelCount: 1 });
  }

  /** The other party's audio; set it as the `srcObject` of an `<audio>` element. */
  get remoteStream() {
    return this.#speaker.stream;
  }

  /**
   * Listen for an event.
   *
   * @template {keyof PcmEvents} K
   * @param {K} type
   * @param {(detail: PcmEvents[K]) => void} listener
   * @returns {() => void} stops it
   */
  on(type, listener) {
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners.add(listener));
    return () => void listeners.delete(listener);
  }

  /**
   * Join the call; resolves when the socket is open.
   *
   * @param {MediaStreamTrack | null} track  The microphone; null only listens. The caller stops it.
   * @throws {BridgeError} insecure_origin, socket_refused, or what `ticket` threw
   */
  async connect(track) {
    this.#change("connecting");
    try {
      await this.#listen();
      this.replaceTrack(track);
      await this.#open();
    } catch (error) {
      if (this.#over()) throw new BridgeError("closed", "The call was closed while it was being connected.");
      await this.#end("failed", /** @type {BridgeError} */ (error));
      throw error;
    }
    this.#change("connected");
  }

  /** Send silence instead of the microphone, or the microphone again. @param {boolean} muted */
  setMuted(muted) {
    this.muted = muted;
    if (this.#track) this.#track.enabled = !muted;
  }

  /** Switch to another microphone, or to none. @param {MediaStreamTrack | null} track */
  replaceTrack(track) {
    this.#microphone?.disconnect();
    this.#microphone = null;
    this.#track = track;
    if (!track || !this.#node) return;
    track.enabled = !this.muted;
    this.#microphone = new MediaStreamAudioSourceNode(this.#context, { mediaStream: new MediaStream([track]) });
    this.#microphone.connect(this.#node);
  }

  /** Leave the call; the call itself goes on. Never throws. */
  async close() {
    if (!this.#over()) await this.#end("closed");
  }

  #over() {
    return this.state === "closed" || this.state === "failed";
  }

  /** @param {PcmState} state @param {BridgeError} [error] */
  #change(state, error) {
    if (this.state === state || this.#over()) return;
    this.state = state;
    this.#emit("state", error ? { state, error } : { state });
  }

  /** @template {keyof PcmEvents} K @param {K} type @param {PcmEvents[K]} detail */
  #emit(type, detail) {
    for (const listener of this.#listeners.get(type) ?? []) listener(detail);
  }

  /** @param {"closed" | "failed"} state @param {BridgeError} [error] */
  async #end(state, error) {
    this.#block(false);
    this.#change(state, error);
    this.#socket?.close(1000);
    this.#microphone?.disconnect();
    this.#node?.disconnect();
    await this.#context.close().catch(() => {});
  }

  /** Start the part on the audio thread. */
  async #listen() {
    const context = this.#context;
    if (!context.audioWorklet) {
      throw new BridgeError("insecure_origin", "This page is not on a secure origin, so the browser allows no audio thread. Open it over https://.");
    }
    await context.audioWorklet.addModule(new URL("./pcm-worklet.js", import.meta.url));
    const node = new AudioWorkletNode(context, "bridge-pcm", {
      numberOfInputs: 1, numberOfOutputs: 1, outputChannelCount: [1],
      channelCount: 1, channelCountMode: "explicit", // a stereo microphone is mixed down
      processorOptions: { frameSamples: FRAME_SAMPLES, prebuffer: PREBUFFER },
    });
    node.port.onmessage = ({ data }) => (data instanceof Int16Array ? this.#send(data) : this.#emit("figures", { ...data, notSent: this.#notSent }));
    node.connect(this.#speaker);
    this.#node = node;
    await this.#startOrWait();
  }

  /** Start the audio, or let the next user gesture do it: a browser may leave `resume` pending until then. */
  async #startOrWait() {
    const context = this.#context;
    this.#start();
    if (context.state !== "running") {
      await new Promise((resolve) => {
        context.addEventListener("statechange", resolve, { once: true });
        setTimeout(resolve, START_LIMIT);
      });
    }
    context.onstatechange = () => this.#block(context.state !== "running");
    this.#block(context.state !== "running");
  }

  /** @param {boolean} blocked */
  #block(blocked) {
    if (this.audioBlocked === blocked || this.#over()) return;
    this.audioBlocked = blocked;
    for (const gesture of GESTURES) {
      if (blocked) globalThis.addEventListener(gesture, this.#start, true);
      else globalThis.removeEventListener(gesture, this.#start, true);
    }
    this.#emit("audio_blocked", { blocked });
  }

  /** @param {Int16Array} frame */
  #send(frame) {
    const socket = this.#socket;
    if (socket?.readyState === WebSocket.OPEN && socket.bufferedAmount <= MAX_UNSENT) socket.send(/** @type {ArrayBuffer} */ (frame.buffer));
    else if (this.state === "connected" || this.state === "reconnecting") this.#notSent += FRAME_MS / 1000;
  }

  async #open() {
    const url = new URL(`${this.api.baseUrl}/call/${encodeURIComponent(this.callId)}/stream`, globalThis.location?.href);
    url.protocol = url.protocol.replace("http", "ws");
    url.search = String(new URLSearchParams({ token: await this.#credential(), frameMs: String(FRAME_MS), bufferMs: String(BUFFER_MS), resume: this.#name }));
    if (this.#over()) throw new BridgeError("closed", "The call was closed.");
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    await new Promise((resolve, reject) => {
      // A browser does not report the status of a refused WebSocket.
      const refused = () => {
        clearTimeout(timer);
        reject(new BridgeError("socket_refused", "The bridge did not open the socket: the call may have ended, or the ticket may have expired."));
      };
      const timer = setTimeout(() => (socket.close(), refused()), OPEN_LIMIT);
      socket.onclose = refused;
      socket.onopen = () => (clearTimeout(timer), resolve(undefined));
    });
    socket.onmessage = ({ data }) => {
      if (this.audioBlocked) return; // it could not be heard now, and would be late afterwards
      const pcm = new Int16Array(data);
      this.#node?.port.postMessage(pcm, [pcm.buffer]);
    };
    socket.onclose = ({ code }) => void this.#closed(socket, code);
    if (this.#over()) socket.close(1000);
  }

  /** @param {WebSocket} socket @param {number} code */
  async #closed(socket, code) {
    if (socket !== this.#socket || this.#over()) return;
    if (code === 1000) return void (await this.#end("closed")); // the call has ended
    this.#change("reconnecting");
    /** @type {unknown} */
    let last;
    for (const wait of BACKOFF) {
      await new Promise((resolve) => setTimeout(resolve, wait));
      if (this.#over()) return;
      try {
        await this.#open();
        return this.#change("connected");
      } catch (error) {
        last = error;
      }
    }
    await this.#end("failed", new BridgeError("connection_lost", "The connection to the bridge was lost and did not come back.", { cause: last }));
  }
}
