/** What the page shows of its call and of an inbound one. */

import { AGENT } from "./agent.js";
import { nameOf } from "./contacts.js";
import { element, write } from "./draw.js";
import { chart, meters, showFarQuality, verdict } from "./figures.js";
import { WARNINGS, clock, standing } from "./words.js";

/** @typedef {import("./phone.js").Conversation} Conversation */
/** @typedef {import("./phone.js").Phone} Phone */

const ASK_EVERY = 3; // seconds between two polls of the bridge's quality figures

/** @param {Phone} phone */
export function show({ current: call, ringing }) {
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

/**
 * @param {Phone} phone @param {Conversation} call @param {import("./bridge.js").Quality} quality
 * @returns {import("./quality.js").Warning | undefined} the warning that concerns the person
 */
export function showQuality(phone, call, quality) {
  chart(quality, call.opinion);
  if (call.looks++ % ASK_EVERY === 0) void askBridge(phone, call);
  const waits = call.peer === AGENT; // a listening agent sends nothing
  const warning = call.since ? quality.warnings.find((word) => !waits || word === "microphone_silent") : undefined;
  const shown = warning && element("fault").hidden ? WARNINGS[warning] : ""; // the bridge's diagnosis says more
  write("hint", call.media?.muted ? "You are muted." : shown);
  return warning;
}

/** Request the bridge's figures for this page's audio; without an answer nothing is drawn. @param {Phone} phone @param {Conversation} call */
async function askBridge({ api }, call) {
  const { timeline = [] } = await api.quality(call.callId, call.asked).catch(() => ({}));
  const ours = timeline.find((/** @type {any} */ leg) => leg.legID === call.media?.legId);
  call.opinion = ours?.received.mos.at(-1) ?? null;
  call.asked = ours?.at.at(-1) ?? call.asked;
  showFarQuality(timeline.find((/** @type {any} */ leg) => leg.party === "far" && leg !== ours));
}

/** Draw the levels and the duration, once per picture. @param {Phone} phone @param {number} now */
export function animate(phone, now) {
  if (phone.current) {
    meters.you.draw(now);
    meters.them.draw(now);
    showDuration(phone.current);
  }
  requestAnimationFrame((next) => animate(phone, next));
}

export function toggleKeypad() {
  element("keypad").hidden = !element("keypad").hidden;
  element("keypad-toggle").ariaExpanded = String(!element("keypad").hidden);
}
