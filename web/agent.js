/** The demonstration agent: a call whose far party is the person at this page, and its transcript. */

import { element } from "./draw.js";

export const AGENT = "agent"; // in place of a number, for a call with the agent
const ACTIVE_LIMIT = 10_000; // ms; the bridge sees a moment later than the page that the media is up

/** @type {Record<string, string>} */
const STEPS = { stt: "understanding speech", llm: "the reply", tts: "speaking" };
/** @type {Record<string, string>} */
const REASONS = {
  missing: "no provider is set for it", blocked: "its provider's address is not allowed", unreachable: "its provider cannot be reached",
  timeout: "its provider took too long", status: "its provider refused", garbage: "its provider's answer makes no sense", too_large: "its provider's answer was too long",
};

/** Create a call that waits for this page. @param {import("./bridge.js").BridgeApi} api @returns {Promise<string>} its id */
export async function dialAgent(api) {
  return (await api.request("POST", "/call/dial", { channel: "webrtc" })).callId;
}

/**
 * Put into the call what answers the line's own: its stream server, or else the agent.
 * @param {import("./bridge.js").BridgeApi} api @param {string} callId @returns {Promise<boolean>} whether there will be a transcript
 */
export async function startAgent(api, callId) {
  const config = await api.request("GET", "/call/config");
  const streamed = config.callInboundMode === "stream";
  if (streamed) await api.request("POST", `/call/${callId}/streams`, stream(config));
  else await api.request("POST", "/call/agent/start", { callId, mode: "ai" });
  return !streamed;
}

/** @param {{ callStreamUrl: string, callStreamProtocol: string }} config */
function stream({ callStreamUrl: streamUrl, callStreamProtocol: streamProtocol }) {
  return streamUrl ? { streamUrl, streamProtocol } : { streamProtocol }; // to the line's own server
}

/** The transcript of a call, shown as it arrives. */
export class Transcript {
  #active = () => {};
  /** Resolves when the bridge reports the call as active, or after a timeout. */
  active = Promise.resolve();

  /** @param {string} id  Of a list; `<id>-box` is shown with it. */
  constructor(id) {
    this.list = element(id);
    this.box = element(`${id}-box`);
  }

  /** Show an empty transcript. */
  begin() {
    this.list.replaceChildren();
    this.box.hidden = false;
    this.active = new Promise((resolve) => {
      this.#active = resolve;
      setTimeout(resolve, ACTIVE_LIMIT);
    });
  }

  hide() {
    this.box.hidden = true;
  }

  /** Take an event of the call. @param {import("./events.js").CallEvent} event */
  take({ type, data }) {
    if (type === "transcript" && data.role) this.#write(data.role === "agent" ? "Agent" : "You", data.text, data.role);
    if (type === "agent.interrupted") this.#write("", "You interrupted the agent.", "note");
    if (type === "agent.replied" && "sttMs" in data) this.#write("", timing(data), "note");
    if (type === "turn") this.#write("", `You waited ${(data.waitMs / 1000).toFixed(2)} s for the answer${data.interrupted ? ", and interrupted it" : ""}.`, "note");
    if (type === "agent.failed") this.#write("", `${STEPS[data.step] ?? data.step} failed: ${REASONS[data.reason] ?? data.reason}.`, "note");
    if (type === "call.active") this.#active();
  }

  /** @param {string} who @param {string} text @param {string} kind */
  #write(who, text, kind) {
    const item = Object.assign(document.createElement("li"), { className: kind });
    if (who) item.append(Object.assign(document.createElement("strong"), { textContent: who }), " ");
    item.append(text.charAt(0).toUpperCase() + text.slice(1));
    this.list.append(item);
    this.list.scrollTop = this.list.scrollHeight;
  }
}

/** @param {{ firstAudioMs: number, sttMs?: number, llmMs?: number, ttsMs?: number }} took */
function timing({ firstAudioMs, sttMs = 0, llmMs = 0, ttsMs = 0 }) {
  const seconds = (/** @type {number} */ ms) => (ms / 1000).toFixed(2);
  return `Answered after ${seconds(firstAudioMs)} s: speech to text ${seconds(sttMs)}, model ${seconds(llmMs)}, text to speech ${seconds(ttsMs)}.`;
}
