/** Texts of the console about calls, hops and nodes. */

/** @type {Record<string, string>} */
export const STATES = {
  initiated: "Calling", ringing: "Ringing", connecting: "Connecting", active: "Active", held: "On hold", ended: "Ended",
};
/** @type {Record<string, string>} */
export const REASONS = {
  hangup: "hung up here", remote_hangup: "hung up by the other side", rejected: "rejected", busy: "busy", no_answer: "no answer",
  canceled: "given up by the caller", unreachable: "unreachable", failed: "failed", media_timeout: "no media any more",
  node_lost: "the bridge's process was lost", drained: "the bridge was stopped",
};
/** @type {Record<string, string>} */
export const HOPS = {
  "browser.microphone": "Microphone", "browser.network": "Browser's network", "browser.speaker": "Speaker", bridge: "Bridge",
  socket: "Media socket", stream: "Stream", agent: "Agent", recording: "Recording",
  "provider.signalling": "Signalling", "provider.network": "Provider's network", "provider.far": "Far party",
};
/** @type {Record<string, [string, string]>}  A sign and a word. */
export const CONDITIONS = {
  ok: ["✓", "fine"], degraded: ["!", "worse"], broken: ["✕", "broken"], idle: ["–", "muted or held"], unknown: ["?", "not connected yet"],
};
/** @type {Record<string, string>} */
export const KINDS = {
  webrtc: "Browser", simulator: "Simulated contact", whatsapp: "WhatsApp", gateway: "WhatsApp gateway", sip: "Telephone", socket: "Media socket",
  stream: "Stream", playback: "Playback", recorder: "Recorder", agent: "Agent", voicemail: "Voicemail",
  machine_detector: "Machine detection", transcriber: "Transcript",
};
/** Kinds of leg that only listen: what they hear is in the course of others. */
export const TAPS = new Set(["recorder", "machine_detector", "transcriber"]);

/** @type {Record<string, string>}  Steps of a leg's set-up. */
export const STEPS = {
  dialled: "dial accepted", ringing: "ringing", offer: "offer", answer: "answer", pre_accepted: "pre-accepted", ice: "ICE", dtls: "DTLS",
  socket: "media socket", accepted: "accepted", first_received: "first packet received", first_sent: "first packet sent",
};

/** A code as words. @param {string} code */
export function plain(code) {
  return code.replaceAll("_", " ").replaceAll(".", ": ");
}

/** @param {number} seconds */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (/** @type {number} */ value) => String(value).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** A moment in the reader's own time. @param {string | number | null} at  ISO 8601, or milliseconds since 1970; null and 0: never. */
export function moment(at) {
  return at ? new Date(at).toLocaleString(undefined, { dateStyle: "short", timeStyle: "medium" }) : "–";
}

/** How long ago. @param {number} at  Milliseconds since 1970; 0: never. @param {number} now */
export function ago(at, now) {
  if (!at) return "never";
  const seconds = Math.max(0, Math.round((now - at) / 1000));
  if (seconds < 60) return "less than a minute ago";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  return moment(at);
}
