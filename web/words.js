/** Texts of the page about calls. */

/** @type {Record<string, string>} */
export const STATES = {
  calling: "Calling …", initiated: "Calling …", ringing: "Ringing …", connecting: "Connecting …",
  active: "Connected", held: "On hold",
};
/** The state of a call and of its media, as text.  @param {string} state  @param {string} [media] */
export function standing(state, media) {
  if (media === "reconnecting") return "The connection broke, reconnecting …";
  if (state === "active" && media === "connecting") return "Connecting …";
  if (state === "active" && media === "failed") return "Without sound: hang up and call again";
  return STATES[state] ?? state;
}
/** @type {Record<string, string>} */
export const ENDS = {
  hangup: "Call ended.", remote_hangup: "They hung up.", rejected: "The call was rejected.",
  busy: "The line is busy.", no_answer: "Nobody answered.", canceled: "The caller gave up.",
  unreachable: "The number cannot be reached.", failed: "The call failed.",
  media_timeout: "The call ended: no media arrived any more.", node_lost: "The bridge was restarted, which ended the call.",
  drained: "The bridge was stopped, which ended the call.",
};
/** @type {Record<import("./quality.js").Warning, string>} */
export const WARNINGS = {
  microphone_silent: "Your microphone is silent: is it switched off, or is another one in use?",
  nothing_received: "Nothing arrives from the bridge at the moment.",
  silence_received: "The other side is silent.",
};

/** @param {number} seconds */
export function clock(seconds) {
  const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, Math.floor(seconds) % 60];
  const two = (/** @type {number} */ value) => String(value).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}
