/** Microphone, speaker and keypad of the page. */

import { element } from "./draw.js";

/** @returns {MediaTrackConstraints} */
export function wishes() {
  const id = element("microphone").value;
  const clean = element("clean").checked;
  return {
    echoCancellation: clean, noiseSuppression: clean, autoGainControl: clean, channelCount: 1,
    ...(id && { deviceId: { exact: id } }),
  };
}

export async function listDevices() {
  const devices = (await navigator.mediaDevices?.enumerateDevices().catch(() => null)) ?? [];
  element("speaker-box").hidden = !("setSinkId" in HTMLMediaElement.prototype);
  for (const [id, kind] of [["microphone", "audioinput"], ["speaker", "audiooutput"]]) {
    const select = /** @type {HTMLSelectElement} */ (element(id ?? ""));
    const chosen = select.value;
    const found = devices.filter((device) => device.kind === kind && device.deviceId && device.deviceId !== "default");
    const options = found.map(({ deviceId, label }) => new Option(label || `Unnamed ${id}`, deviceId));
    select.replaceChildren(new Option(`Default ${id}`, ""), ...options);
    if (found.some(({ deviceId }) => deviceId === chosen)) select.value = chosen;
  }
}

/** @param {(words: string) => void} complain */
export async function changeSpeaker(complain) {
  await /** @type {any} */ (element("sound")).setSinkId(element("speaker").value)
    .catch((/** @type {Error} */ error) => complain(`This speaker cannot be used: ${error.message}`));
}

/** Names of keys whose symbol screen readers may not read. @type {Record<string, string>} */
const SPOKEN = { "*": "star", "#": "hash" };

/** @param {(digit: string) => void} press */
export function buildKeypad(press) {
  element("keypad").append(...[..."123456789*0#"].map((digit) => {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: digit });
    if (digit in SPOKEN) button.ariaLabel = `${digit} ${SPOKEN[digit]}`;
    button.addEventListener("click", () => press(digit));
    return button;
  }));
}
