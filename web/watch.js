/** The bridge's calls, polled: how the page's own call stands, and who rings. */

import { AGENT, dialAgent, startAgent } from "./agent.js";
import { BridgeError } from "./bridge.js";
import { show } from "./card.js";
import { converse, over, remember, resume } from "./conversation.js";
import { element, write } from "./draw.js";
import { askForKey, complain } from "./notices.js";

/** @typedef {import("./phone.js").Conversation} Conversation */
/** @typedef {import("./phone.js").Phone} Phone */
/** @typedef {import("./bridge.js").CallInfo} CallInfo */

const WATCH_IDLE = 1_500; // ms between two polls for an inbound call
const WATCH_BUSY = 700; // ms between two polls of the current call
const RINGBACK_EVERY = 4; // seconds from the beginning of one tone to that of the next

/** Polls the calls' states; `poll` asks at once. */
export class Watch {
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;
  #begun = false; // the bridge has listed its calls once
  #rang = 0; // when the last ringback tone began, by the clock of the page's sound

  /** @param {Phone} phone */
  constructor(phone) {
    this.phone = phone;
  }

  async poll() {
    const { phone } = this;
    clearTimeout(this.#timer);
    try {
      const calls = await phone.api.status();
      write("bridge", "Ready for calls");
      element("key-form").hidden = true;
      if (!phone.current && !this.#begun) void resume(phone, calls);
      this.#begun = true;
      if (phone.current?.callId) await this.#follow(phone.current, calls);
      else if (!phone.current) this.#findIncoming(calls);
    } catch (error) {
      if (error instanceof BridgeError && error.code === "wrong_key") askForKey();
      else write("bridge", "The bridge cannot be reached; still trying …");
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.poll(), phone.current ? WATCH_BUSY : WATCH_IDLE);
  }

  /** @param {Conversation} call @param {CallInfo[]} calls */
  async #follow(call, calls) {
    const { phone } = this;
    const found = calls.find(({ callId }) => callId === call.callId);
    if (!found) return over(phone, call);
    call.state = found.state;
    element("recorded").hidden = !found.recording;
    if (found.state === "active" && !call.since) {
      call.since = Date.now();
      remember(call);
    }
    this.#ringback(call);
    show(phone);
  }

  /** @param {CallInfo[]} calls */
  #findIncoming(calls) {
    const { phone } = this;
    phone.ringing = calls.find(({ callId, state, direction }) =>
      direction === "inbound" && state === "ringing" && !phone.ignored.has(callId)) ?? null;
    show(phone);
  }

  /** Ringback tone until the other side answers: one second in four. @param {Conversation} call */
  #ringback(call) {
    const { sound } = this.phone;
    if (!sound || call.inbound || call.state !== "ringing" || sound.currentTime - this.#rang < RINGBACK_EVERY) return;
    this.#rang = sound.currentTime;
    const tone = new OscillatorNode(sound, { frequency: 425 });
    const gain = new GainNode(sound, { gain: 0.03 });
    tone.connect(gain).connect(sound.destination);
    tone.start();
    tone.stop(this.#rang + 1);
  }
}

/** @param {Phone} phone */
export async function answer(phone) {
  if (!phone.ringing) return;
  const { callId, peer } = phone.ringing;
  await converse(phone, peer, true, async () => callId, (id) => phone.api.answer(id));
}

/** Talk with the demonstration agent: this page is the far party, as a WhatsApp caller would be. @param {Phone} phone */
export async function talkToAgent(phone) {
  const { api, transcript } = phone;
  await converse(phone, AGENT, true, async () => {
    const callId = await dialAgent(api);
    transcript.begin();
    return callId;
  }, async (id) => {
    await transcript.active;
    if (!(await startAgent(api, id))) transcript.hide();
  });
}

/** @param {Phone} phone */
export async function decline(phone) {
  if (!phone.ringing) return;
  const { callId } = phone.ringing;
  phone.ignored.add(callId);
  phone.ringing = null;
  show(phone);
  element("number").focus({ preventScroll: true });
  await phone.api.hangup(callId).catch((error) => error.status !== 404 && error.status !== 409 && complain(error));
}

/** Let the chosen contact call. @param {Phone} phone */
export async function ringMe(phone) {
  try {
    await phone.api.ringMe(element("number").value.replace(/\D/g, "") || "15550100002");
    await phone.refresh();
  } catch (error) {
    complain(error);
  }
}
