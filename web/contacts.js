/** The simulated contacts: who they are, and which one is chosen. */

import { AGENT } from "./agent.js";
import { element, write } from "./draw.js";

/** @type {Map<string, string>} */
const names = new Map([[AGENT, "Demo agent"]]);

/** @param {string} peer  A number, or an address that starts with one. */
export function nameOf(peer) {
  const number = peer.split("@")[0] ?? peer;
  return names.get(number) ?? (/^\d+$/.test(number) ? `+${number}` : number || "Unknown caller");
}

/** @param {import("./bridge.js").BridgeApi} api */
export async function listContacts(api) {
  const contacts = await api.contacts();
  element("contacts-box").hidden = element("agent-box").hidden = contacts.length === 0;
  element("contacts").replaceChildren(...contacts.map(({ number, name, description }) => {
    names.set(number, name);
    const button = document.createElement("button");
    button.type = "button";
    button.dataset["number"] = number;
    for (const [tag, className, text] of [["strong", "", name], ["span", "quiet digits", number], ["span", "quiet what", description]]) {
      button.append(Object.assign(document.createElement(tag ?? ""), { className, textContent: text }));
    }
    button.addEventListener("click", () => choose(number));
    const item = document.createElement("li");
    item.append(button);
    return item;
  }));
  choose(element("number").value || contacts[0]?.number || "");
}

/** @param {string} number */
function choose(number) {
  element("number").value = number;
  markChosen();
}

export function markChosen() {
  const digits = element("number").value.replace(/\D/g, "");
  for (const button of element("contacts").querySelectorAll("button")) {
    button.ariaPressed = String(button.dataset["number"] === digits);
  }
  write("ring-me", names.has(digits) ? `Let ${names.get(digits)} call me` : "Let a contact call me");
}
