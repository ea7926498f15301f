/** The page: one telephone on top of bridge.js. */

import { animate, toggleKeypad } from "./card.js";
import { listContacts, markChosen } from "./contacts.js";
import { changeMicrophone, converse, hangUp, press, toggleMute } from "./conversation.js";
import { buildKeypad, changeSpeaker, listDevices } from "./devices.js";
import { element, write } from "./draw.js";
import { charts } from "./figures.js";
import { takeToken } from "./memory.js";
import { tell } from "./notices.js";
import { Phone } from "./phone.js";
import { offerTest } from "./test-card.js";
import { Watch, answer, decline, ringMe, talkToAgent } from "./watch.js";

const READY_LIMIT = 1_500; // ms until the page is shown even if the bridge has not answered

const phone = new Phone();
const watch = new Watch(phone);
phone.refresh = () => watch.poll();

/** @param {SubmitEvent} event */
async function useKey(event) {
  event.preventDefault();
  phone.api.key = element("key").value.trim();
  write("key-label", "This key is not valid. Try another");  // shown when the form appears again
  sessionStorage.setItem("key", phone.api.key);
  element("key-form").hidden = true;
  element("number").focus({ preventScroll: true });
  await begin();
}

async function begin() {
  await phone.refresh();
  await listContacts(phone.api).catch(() => {}); // the state line already shows the error
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
  void converse(phone, number, false, () => phone.api.dial(number));
});
when("number", "input", markChosen);
when("hangup", "click", () => void hangUp(phone));
when("mute", "click", () => void toggleMute(phone));
when("keypad-toggle", "click", toggleKeypad);
when("answer", "click", () => void answer(phone));
when("decline", "click", () => void decline(phone));
when("ring-me", "click", () => void ringMe(phone));
when("talk", "click", () => void talkToAgent(phone));
when("key-form", "submit", useKey);
when("problem-close", "click", () => {
  tell("");
  element(phone.current ? "hangup" : "number").focus({ preventScroll: true });
});
when("microphone", "change", () => void changeMicrophone(phone));
when("clean", "change", () => void changeMicrophone(phone));
when("speaker", "change", () => changeSpeaker(tell));
document.addEventListener("keydown", ({ key, target }) => {
  const typing = target instanceof HTMLInputElement || target instanceof HTMLSelectElement;
  if (phone.current?.since && !typing && /^[0-9*#]$/.test(key)) void press(phone, key);
});
navigator.mediaDevices?.addEventListener("devicechange", () => void listDevices());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => Object.values(charts).forEach((chart) => chart.draw()));
addEventListener("resize", () => Object.values(charts).forEach((chart) => chart.draw()));

takeToken();
addEventListener("hashchange", takeToken);
element("conversation").append(phone.turns.element);
buildKeypad((digit) => void press(phone, digit));
offerTest(phone.api, () => Boolean(phone.current));
for (const chart of Object.values(charts)) chart.clear();
animate(phone, performance.now());
void reveal();
if (!globalThis.isSecureContext) {
  tell("This page is not on a secure origin, so the browser allows no microphone. Open it over https://, or as http://127.0.0.1 on the machine itself.");
}
