/** The page: one telephone on top of bridge.js. */

import { AGENT, Transcript, dialAgent, startAgent } from "./agent.js";
import { BridgeApi, BridgeCall, BridgeError, openMicrophone } from "./bridge.js";
import { listContacts, markChosen, nameOf } from "./contacts.js";
import { buildKeypad, changeSpeaker, listDevices, wishes } from "./devices.js";
import { element, write } from "./draw.js";
import { chart, charts, meters, showFarQuality, verdict } from "./figures.js";
import { givenKey, keepCall, keptCall } from "./memory.js";
import { askForKey, complain, tell } from "./notices.js";
import { ENDS, WARNINGS, clock, standing } from "./words.js";

const WATCH_IDLE = 1_500; // ms between two polls for an inbound call
const WATCH_BUSY = 700; // ms between two polls of the current call
const ASK_EVERY = 3; // seconds between two polls of the bridge's quality figures
const READY_LIMIT = 1_500; // ms until the page is shown even if the bridge has not answered

/**
 * @typedef {object} Conversation
 * @property {string} callId
 * @property {string} peer
 * @property {string} state  As the bridge says.
 * @property {BridgeCall | null} media
 * @property {MediaStreamTrack | null} track
 * @property {number} since  When it became active, ms; 0 before.
 * @property {boolean} inbound
 * @property {number} looks  At its quality so far.
 * @property {number | null} opinion  What the bridge thinks of our sound: 1 (bad) to 4.5.
 * @property {number} asked  Up to which second of the call it has told so.
 * @property {boolean} renewed  The microphone was reopened because it went silent.
 * @property {boolean} muted  To begin with, after a reload.
 */

const api = new BridgeApi({ key: givenKey() ?? sessionStorage.getItem("key") ?? "demo" });
/** @type {Conversation | null} */
let current = null;
/** The inbound call. @type {import("./bridge.js").CallInfo | null} */
let ringing = null;
/** Calls of others, or declined here. @type {Set<string>} */
const ignored = new Set();
const transcript = new Transcript("transcript");
/** @type {AudioContext | null} */
let sound = null;

/* ---- The call ----------------------------------------------------------------------------- */

/**
 * Run a call, from the microphone to the first audio; shows what went wrong.
 *
 * @param {string} peer
 * @param {boolean} inbound
 * @param {() => Promise<string>} begin  Gives the call's id once the microphone is open.
 * @param {(callId: string) => Promise<void>} [accept]  Once the sound is up: answers an incoming call.
 * @param {import("./memory.js").Kept | null} [kept]  The call as it was before the page was reloaded.
 */
async function converse(peer, inbound, begin, accept = async () => {}, kept = null) {
  if (current) return;
  tell("");
  for (const chart of Object.values(charts)) chart.clear();
  /** @type {Conversation} */
  const call = { callId: "", peer, state: "calling", media: null, track: null, since: kept?.since ?? 0, inbound, looks: 0, opinion: null, asked: 0, renewed: false, muted: kept?.muted ?? false };
  current = call;
  show();
  element("peer").focus({ preventScroll: true }); // the focused element is gone with the dialler
  try {
    sound ??= new AudioContext();
    void sound.resume();
    call.track = await openMicrophone(wishes());
    if (current !== call) return call.track.stop();
    watchMicrophone(call);
    void listDevices();
    const callId = await begin();
    if (current !== call) return void (await api.hangup(callId));
    call.callId = callId;
    ringing = null;
    call.media = attach(call, kept?.legId ?? null);
    await call.media.connect(call.track);
    if (call.muted) await call.media.setMuted(true);
    if (current === call) await accept(callId);
    if (current === call) void watch();
  } catch (error) {
    if (current !== call) return;
    const left = error instanceof BridgeError && call.callId && (error.code === "closed" || [404, 409].includes(error.status));
    if (left) return void (await over(call));
    const callId = call.callId || kept?.callId;
    if (callId) void api.hangup(callId).catch(() => {});
    finish("");
    complain(error);
  }
}

/** @param {Conversation} call @param {string | null} legId */
function attach(call, legId) {
  const party = call.peer === AGENT ? "far" : "near";
  const media = new BridgeCall(api, call.callId, { ticket: () => api.ticket(call.callId, 600, { party }), party, legId });
  media.on("state", ({ state, error }) => {
    if (current !== call) return;
    show();
    remember(call);
    if (state === "closed") void watch(); // the bridge has hung up: find out why
    if (state === "failed" && error?.code === "connection_lost") complain(error);
  });
  media.on("quality", (quality) => current === call && showQuality(call, quality));
  media.on("track", (track) => {
    if (current !== call) return;
    const player = /** @type {HTMLAudioElement} */ (element("sound"));
    player.srcObject = media.remoteStream;
    player.play().catch(() => {
      tell("The browser blocks audio until you touch the page once.");
      document.addEventListener("click", () => void player.play().then(() => tell("")), { once: true });
    });
    if (sound) meters.them.listen(sound, track);
  });
  return media;
}

/** Store what is needed to resume after a reload. @param {Conversation} call */
function remember({ callId, peer, inbound, since, media }) {
  if (media?.legId) keepCall({ callId, legId: media.legId, peer, inbound, since, muted: media.muted });
}

/** Resume the call that this page was in before it was reloaded. @param {import("./bridge.js").CallInfo[]} calls */
async function resume(calls) {
  const kept = keptCall();
  keepCall(null);
  if (kept && calls.some(({ callId }) => callId === kept.callId)) {
    await converse(kept.peer, kept.inbound, async () => kept.callId, undefined, kept);
  }
}

/** @param {Conversation} call  Its microphone is open. */
function watchMicrophone(call) {
  if (sound && call.track) meters.you.listen(sound, call.track);
  call.track?.addEventListener("ended", () => {
    if (current !== call) return;
    element("microphone").value = "";
    void changeMicrophone("The microphone was unplugged; the default one is used now.");
  });
}

/** @param {string} [remark] */
async function changeMicrophone(remark = "") {
  const call = current;
  if (!call?.track) return;
  try {
    const track = await openMicrophone(wishes());
    if (current !== call) return track.stop();
    call.track.stop();
    call.track = track;
    await call.media?.replaceTrack(track);
    watchMicrophone(call);
    if (remark) tell(remark, { news: true });
  } catch (error) {
    complain(error);
  }
}

/** The call has ended: show why. @param {Conversation} call */
async function over(call) {
  const { endReason } = await api.quality(call.callId).catch(() => ({ endReason: "" }));
  if (current === call) finish(ENDS[endReason] ?? "The call has ended.");
}

/** Reset the page. @param {string} text */
function finish(text) {
  const call = current;
  current = null;
  keepCall(null);
  call?.track?.stop();
  void call?.media?.close();
  meters.you.stop();
  meters.them.stop();
  transcript.hide();
  element("sound").srcObject = null;
  if (text) tell(text, { news: true });
  show();
  element("number").focus({ preventScroll: true });
}

async function hangUp() {
  const call = current;
  if (!call) return;
  finish("");
  if (call.callId) await api.hangup(call.callId).catch((error) => error.status !== 404 && error.status !== 409 && complain(error));
}

/* ---- Looking after calls ------------------------------------------------------------------ */

/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;
/** Resolves when the bridge has listed its calls once. */
let begun = false;

/** Poll the calls' states. */
async function watch() {
  clearTimeout(timer);
  try {
    const calls = await api.status();
    write("bridge", "Ready for calls");
    element("key-form").hidden = true;
    if (!current && !begun) void resume(calls);
    begun = true;
    if (current?.callId) await follow(current, calls);
    else if (!current) findIncoming(calls);
  } catch (error) {
    if (error instanceof BridgeError && error.code === "wrong_key") askForKey();
    else write("bridge", "The bridge cannot be reached; still trying …");
  }
  clearTimeout(timer);
  timer = setTimeout(() => void watch(), current ? WATCH_BUSY : WATCH_IDLE);
}

/** @param {Conversation} call @param {import("./bridge.js").CallInfo[]} calls */
async function follow(call, calls) {
  const found = calls.find(({ callId }) => callId === call.callId);
  if (!found) return over(call);
  call.state = found.state;
  element("recorded").hidden = !found.recording;
  if (found.state === "active" && !call.since) {
    call.since = Date.now();
    remember(call);
  }
  ringback(call);
  show();
}

/** @param {import("./bridge.js").CallInfo[]} calls */
function findIncoming(calls) {
  ringing = calls.find(({ callId, state, direction }) =>
    direction === "inbound" && state === "ringing" && !ignored.has(callId)) ?? null;
  show();
}

async function answer() {
  if (!ringing) return;
  const { callId, peer } = ringing;
  await converse(peer, true, async () => callId, (id) => api.answer(id));
}

/** Talk with the demonstration agent: this page is the far party, as a WhatsApp caller would be. */
async function talkToAgent() {
  await converse(AGENT, true, async () => {
    const callId = await dialAgent(api);
    await transcript.follow(api, callId).catch(complain);
    return callId;
  }, async (id) => {
    await transcript.active;
    await startAgent(api, id);
  });
}

async function decline() {
  if (!ringing) return;
  const { callId } = ringing;
  ignored.add(callId);
  ringing = null;
  show();
  element("number").focus({ preventScroll: true });
  await api.hangup(callId).catch((error) => error.status !== 404 && error.status !== 409 && complain(error));
}

async function ringMe() {
  try {
    await api.ringMe(element("number").value.replace(/\D/g, "") || "15550100002");
    await watch();
  } catch (error) {
    complain(error);
  }
}

let rang = 0;
/** Ringback tone until the other side answers: one second in four. @param {Conversation} call */
function ringback(call) {
  if (!sound || call.inbound || call.state !== "ringing" || sound.currentTime - rang < 4) return;
  rang = sound.currentTime;
  const tone = new OscillatorNode(sound, { frequency: 425 });
  const gain = new GainNode(sound, { gain: 0.03 });
  tone.connect(gain).connect(sound.destination);
  tone.start();
  tone.stop(rang + 1);
}

/* ---- What is shown ------------------------------------------------------------------------ */

function show() {
  const call = current;
  element("dialler").hidden = Boolean(call);
  element("conversation").hidden = !call;
  element("incoming").hidden = !ringing || Boolean(call);
  document.title = ringing && !call ? `☎ ${nameOf(ringing.peer)} – Media bridge` : "Media bridge";
  if (ringing) {
    write("incoming-who", nameOf(ringing.peer));
    write("incoming-text", "is calling you");
  }
  if (!call) return showIdle();
  const name = nameOf(call.peer);
  write("state", standing(call.state, call.media?.state));
  write("peer", name);
  write("avatar", /[a-z]/i.exec(name)?.[0]?.toUpperCase() ?? "☎");
  element("avatar").classList.toggle("ring", !call.since);
  showDuration(call);
  const muted = Boolean(call.media?.muted);
  element("mute").disabled = call.media?.state !== "connected";
  element("mute").ariaPressed = String(muted);
  write("mute", muted ? "Muted" : "Mute");
}

/** @param {Conversation} call */
function showDuration(call) {
  write("duration", call.since ? clock((Date.now() - call.since) / 1000) : "0:00");
}

function showIdle() {
  for (const id of ["hint", "digits", "state"]) write(id, "");
  showFarQuality(null);
  element("recorded").hidden = true;
  element("keypad").hidden = true;
  element("keypad-toggle").ariaExpanded = "false";
  if (element("verdict").textContent !== "No call") verdict("No call", "");
}

/** @param {Conversation} call @param {import("./bridge.js").Quality} quality */
function showQuality(call, quality) {
  chart(quality, call.opinion);
  if (call.looks++ % ASK_EVERY === 0) void askBridge(call);
  const waits = call.peer === AGENT; // a listening agent sends nothing
  const warning = call.since ? quality.warnings.find((word) => !waits || word === "microphone_silent") : undefined;
  write("hint", call.media?.muted ? "You are muted." : warning ? WARNINGS[warning] : "");
  if (warning === "microphone_silent" && !call.renewed) {
    call.renewed = true; // phones return a dead microphone after another call has used it
    void changeMicrophone();
  }
}

/** Request the bridge's figures for this page's audio; without an answer nothing is drawn. @param {Conversation} call */
async function askBridge(call) {
  const { timeline = [] } = await api.quality(call.callId, call.asked).catch(() => ({}));
  const ours = timeline.find((/** @type {any} */ leg) => leg.legID === call.media?.legId);
  call.opinion = ours?.received.mos.at(-1) ?? null;
  call.asked = ours?.at.at(-1) ?? call.asked;
  showFarQuality(timeline.find((/** @type {any} */ leg) => leg.party === "far" && leg !== ours));
}

function animate(/** @type {number} */ now) {
  if (current) {
    meters.you.draw(now);
    meters.them.draw(now);
    showDuration(current);
  }
  requestAnimationFrame(animate);
}

/* ---- Keys, buttons ---------------------------------------------------------------- */

/** @param {string} digit */
async function press(digit) {
  if (!current?.callId) return;
  element("digits").textContent += digit;
  await api.dtmf(current.callId, digit).catch(complain);
}

/** @param {SubmitEvent} event */
async function useKey(event) {
  event.preventDefault();
  api.key = element("key").value.trim();
  write("key-label", "This key is not valid. Try another");  // shown when the form appears again
  sessionStorage.setItem("key", api.key);
  element("key-form").hidden = true;
  element("number").focus({ preventScroll: true });
  await begin();
}

async function toggleMute() {
  const media = current?.media;
  if (!media) return;
  const done = media.setMuted(!media.muted).catch(complain);
  show();
  if (current) remember(current);
  write("hint", media.muted ? "You are muted." : "");
  await done;
}

function toggleKeypad() {
  element("keypad").hidden = !element("keypad").hidden;
  element("keypad-toggle").ariaExpanded = String(!element("keypad").hidden);
}

async function begin() {
  await watch();
  await listContacts(api).catch(() => {}); // the state line already shows the error
  markChosen();
}

/** Show what is below the dialler once its size is known, so that the layout does not shift. */
async function reveal() {
  const late = new Promise((resolve) => setTimeout(resolve, READY_LIMIT));
  await Promise.race([Promise.all([begin(), listDevices()]), late]);
  document.body.classList.remove("loading");
}

/** @param {string} id @param {string} type @param {(event: any) => unknown} act */
const when = (id, type, act) => element(id).addEventListener(type, act);

when("dialler", "submit", (event) => {
  event.preventDefault();
  const number = element("number").value.replace(/\D/g, "");
  void converse(number, false, () => api.dial(number));
});
when("number", "input", markChosen);
when("hangup", "click", hangUp);
when("mute", "click", toggleMute);
when("keypad-toggle", "click", toggleKeypad);
when("answer", "click", answer);
when("decline", "click", decline);
when("ring-me", "click", ringMe);
when("talk", "click", talkToAgent);
when("key-form", "submit", useKey);
when("problem-close", "click", () => {
  tell("");
  element(current ? "hangup" : "number").focus({ preventScroll: true });
});
when("microphone", "change", () => void changeMicrophone());
when("clean", "change", () => void changeMicrophone());
when("speaker", "change", () => changeSpeaker(tell));
document.addEventListener("keydown", ({ key, target }) => {
  const typing = target instanceof HTMLInputElement || target instanceof HTMLSelectElement;
  if (current?.since && !typing && /^[0-9*#]$/.test(key)) void press(key);
});
navigator.mediaDevices?.addEventListener("devicechange", () => void listDevices());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => Object.values(charts).forEach((chart) => chart.draw()));
addEventListener("resize", () => Object.values(charts).forEach((chart) => chart.draw()));

// Beyond the bridge's own machine the metrics need a key, which a link cannot send.
element("metrics").hidden = !["127.0.0.1", "localhost", "[::1]"].includes(location.hostname);
buildKeypad((digit) => void press(digit));
for (const chart of Object.values(charts)) chart.clear();
requestAnimationFrame(animate);
void reveal();
if (!globalThis.isSecureContext) {
  tell("This page is not on a secure origin, so the browser allows no microphone. Open it over https://, or as http://127.0.0.1 on the machine itself.");
}
