/** Opening the microphone; used through bridge.js. */

import { BridgeError } from "./errors.js";

/**
 * Open the microphone, or throw an error that says what to do.
 *
 * @param {MediaTrackConstraints} [constraints]
 * @returns {Promise<MediaStreamTrack>}
 * @throws {BridgeError} insecure_origin, unsupported_browser, microphone_refused, no_microphone, microphone_in_use, microphone_failed
 */
export async function openMicrophone(constraints = {}) {
  if (!globalThis.isSecureContext) {
    throw new BridgeError("insecure_origin",
      "This page is not on a secure origin, so the browser allows no microphone. Open it over https://, or as http://127.0.0.1 on the machine itself.");
  }
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new BridgeError("unsupported_browser",
      "This browser allows pages no microphone: use a current Chrome, Edge, Firefox or Safari, not the browser inside another app.");
  }
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: constraints });
    return /** @type {MediaStreamTrack} */ (stream.getAudioTracks()[0]);
  } catch (cause) {
    const name = cause instanceof DOMException ? cause.name : "";
    if (name === "NotAllowedError" || name === "SecurityError") {
      throw new BridgeError("microphone_refused",
        "The microphone was refused by the browser: allow it for this page (the icon beside the address), then call again.", { cause });
    }
    if (name === "NotFoundError" || name === "OverconstrainedError") {
      throw new BridgeError("no_microphone", "No microphone was found: plug one in, or choose another one below.", { cause });
    }
    if (name === "NotReadableError" || name === "AbortError") {
      throw new BridgeError("microphone_in_use", "The microphone cannot be opened: another program may be using it.", { cause });
    }
    throw new BridgeError("microphone_failed", `The microphone cannot be opened: ${cause}`, { cause });
  }
}
