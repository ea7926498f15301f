/** Messages outside of a call, and the form for a key. */

import { BridgeError } from "./bridge.js";
import { element, write } from "./draw.js";

/** @param {unknown} error */
export function complain(error) {
  if (error instanceof BridgeError && error.code === "wrong_key") return askForKey();
  const known = error instanceof BridgeError;
  if (!known) console.error(error);
  tell(known ? error.message : `Something went wrong on this page: ${error}`);
}

/** @param {string} text  "" takes the message away. @param {{ news?: boolean }} [options]  `news`: nothing is wrong */
export function tell(text, { news = false } = {}) {
  element("problem").classList.toggle("news", news);
  write("problem-text", text);
  element("problem").hidden = !text;
}

export function askForKey() {
  write("bridge", "Waiting for a key.");
  if (!element("key-form").hidden) return;
  element("key-form").hidden = false;
  element("key").focus();
}
