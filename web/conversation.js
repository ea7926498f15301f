/** One call of the page, from its microphone to its end. */

import { AGENT } from "./agent.js";
import { BridgeCall, BridgeError, openMicrophone } from "./bridge.js";
import { show, showQuality } from "./card.js";
import { listDevices, wishes } from "./devices.js";
import { element, write } from "./draw.js";
import { follow } from "./events.js";
import { charts, meters } from "./figures.js";
import { keepCall, keptCall } from "./memory.js";
import { complain, tell } from "./notices.js";
import { newConversation } from "./phone.js";
import { cancelTest } from "./test-card.js";
import { ENDS } from "./words.js";

/** @typedef {import("./phone.js").Conversation} Conversation */
/** @typedef {import("./phone.js").Phone} Phone */

/**
 * Run a call, from the microphone to the first audio; shows what went wrong.
 *
 * @param {Phone} phone
 * @param {string} peer
 * @param {boolean} inbound
 * @param {() => Promise<string>} begin  Gives the call's id once the microphone is open.
 * @param {(callId: string) => Promise<void>} [accept]  Once the sound is up: answers an incoming call.
 * @param {import("./memory.js").Kept | null} [kept]  The call as it was before the page was reloaded.
 */
export async function converse(phone, peer, inbound, begin, accept = async () => {}, kept = null) {
  if (phone.current) return;
  cancelTest();
  tell("");
  for (const chart of Object.values(charts)) chart.clear();
  const call = newConversation(peer, inbound, kept);
  const isCurrent = () => phone.current === call;
  phone.current = call;
  show(phone);
  element("peer").focus({ preventScroll: true }); // the focused element is gone with the dialler
  try {
    phone.sound ??= new AudioContext();
    void phone.sound.resume();
    call.track = await openMicrophone(wishes());
    if (!isCurrent()) return call.track.stop();
    watchMicrophone(phone, call);
    void listDevices();
    const callId = await begin();
    if (!isCurrent()) return void (await phone.api.hangup(callId));
    call.callId = callId;
    phone.ringing = null;
    listen(phone, call);
    call.media = attach(phone, call, kept?.legId ?? null);
    await call.media.connect(call.track);
    if (call.muted) await call.media.setMuted(true);
    if (isCurrent()) await accept(callId);
    if (isCurrent()) void phone.refresh();
  } catch (error) {
    if (!isCurrent()) return;
    const left = error instanceof BridgeError && call.callId && (error.code === "closed" || [404, 409].includes(error.status));
    if (left) return void (await over(phone, call));
    const callId = call.callId || kept?.callId;
    if (callId) void phone.api.hangup(callId).catch(() => {});
    const refused = error instanceof BridgeError && error.callId;
    const why = refused ? await phone.diagnosis.ofCall(refused) : "";
    if (!isCurrent()) return;
    finish(phone, "");
    if (why) tell(why);
    else complain(error);
  }
}

/** Show what the bridge says of the call as it happens. @param {Phone} phone @param {Conversation} call */
function listen(phone, call) {
  phone.diagnosis.begin(call);
  phone.turns.clear();
  call.unfollow = follow(phone.api, call.callId, (event) => {
    phone.transcript.take(event);
    phone.diagnosis.take(event);
    if (event.type === "turn") phone.turns.add(event.data);
  });
}

/** @param {Phone} phone @param {Conversation} call @param {string | null} legId */
function attach(phone, call, legId) {
  const { api } = phone;
  const party = call.peer === AGENT ? "far" : "near";
  const media = new BridgeCall(api, call.callId, { ticket: () => api.ticket(call.callId, 600, { party }), party, legId });
  media.on("state", ({ state, error }) => {
    if (phone.current !== call) return;
    show(phone);
    remember(call);
    if (state === "closed") void phone.refresh(); // the bridge has hung up: find out why
    if (state === "failed" && error?.code === "connection_lost") complain(error);
  });
  media.on("quality", (quality) => {
    if (phone.current !== call) return;
    const warning = showQuality(phone, call, quality);
    if (warning !== "microphone_silent" || call.renewed) return;
    call.renewed = true; // phones return a dead microphone after another call has used it
    void changeMicrophone(phone);
  });
  media.on("track", (track) => {
    if (phone.current === call) play(phone, media, track);
  });
  return media;
}

/** @param {Phone} phone @param {BridgeCall} media @param {MediaStreamTrack} track  The other side's. */
function play(phone, media, track) {
  const player = /** @type {HTMLAudioElement} */ (element("sound"));
  player.srcObject = media.remoteStream;
  player.play().catch(() => {
    tell("The browser blocks audio until you touch the page once.");
    document.addEventListener("click", () => void player.play().then(() => tell("")), { once: true });
  });
  if (phone.sound) meters.them.listen(phone.sound, track);
}

/** Store what is needed to resume after a reload. @param {Conversation} call */
export function remember({ callId, peer, inbound, since, media }) {
  if (media?.legId) keepCall({ callId, legId: media.legId, peer, inbound, since, muted: media.muted });
}

/** Resume the call that this page was in before it was reloaded. @param {Phone} phone @param {import("./bridge.js").CallInfo[]} calls */
export async function resume(phone, calls) {
  const kept = keptCall();
  keepCall(null);
  if (kept && calls.some(({ callId }) => callId === kept.callId)) {
    await converse(phone, kept.peer, kept.inbound, async () => kept.callId, undefined, kept);
  }
}

/** @param {Phone} phone @param {Conversation} call  Its microphone is open. */
function watchMicrophone(phone, call) {
  if (phone.sound && call.track) meters.you.listen(phone.sound, call.track);
  call.track?.addEventListener("ended", () => {
    if (phone.current !== call) return;
    element("microphone").value = "";
    void changeMicrophone(phone, "The microphone was unplugged; the default one is used now.");
  });
}

/** @param {Phone} phone @param {string} [remark] */
export async function changeMicrophone(phone, remark = "") {
  const call = phone.current;
  if (!call?.track) return;
  try {
    const track = await openMicrophone(wishes());
    if (phone.current !== call) return track.stop();
    call.track.stop();
    call.track = track;
    await call.media?.replaceTrack(track);
    watchMicrophone(phone, call);
    if (remark) tell(remark, { news: true });
  } catch (error) {
    complain(error);
  }
}

/** @param {Phone} phone */
export async function toggleMute(phone) {
  const media = phone.current?.media;
  if (!media) return;
  const done = media.setMuted(!media.muted).catch(complain);
  show(phone);
  if (phone.current) remember(phone.current);
  write("hint", media.muted ? "You are muted." : "");
  await done;
}

/** Send a digit to the other side. @param {Phone} phone @param {string} digit */
export async function press({ api, current }, digit) {
  if (!current?.callId) return;
  element("digits").textContent += digit;
  await api.dtmf(current.callId, digit).catch(complain);
}

/** @param {Phone} phone */
export async function hangUp(phone) {
  const call = phone.current;
  if (!call) return;
  finish(phone, "");
  if (call.callId) await phone.api.hangup(call.callId).catch((error) => error.status !== 404 && error.status !== 409 && complain(error));
}

/** The call has ended: show why. @param {Phone} phone @param {Conversation} call */
export async function over(phone, call) {
  const { endReason } = await phone.api.quality(call.callId).catch(() => ({ endReason: "" }));
  const why = await phone.diagnosis.ofEnd();
  if (phone.current === call) finish(phone, `${ENDS[endReason] ?? "The call has ended."} ${why}`.trim());
}

/** Reset the page. @param {Phone} phone @param {string} text */
function finish(phone, text) {
  const call = phone.current;
  phone.current = null;
  keepCall(null);
  call?.track?.stop();
  void call?.media?.close();
  call?.unfollow();
  phone.diagnosis.end();
  meters.you.stop();
  meters.them.stop();
  phone.transcript.hide();
  element("sound").srcObject = null;
  if (text) tell(text, { news: true });
  show(phone);
  element("number").focus({ preventScroll: true });
}
