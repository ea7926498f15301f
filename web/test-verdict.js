/** What a connection test means, in words; used by connection-test.js. */

/**
 * @typedef {import("./connection-test.js").TestedEcho} TestedEcho
 * @typedef {import("./connection-test.js").TestedMicrophone} TestedMicrophone
 * @typedef {import("./connection-test.js").TestedPath} TestedPath
 *
 * @typedef {object} TestProblem
 * @property {string} code
 * @property {"broken" | "degraded" | "notice"} severity  broken: not heard; degraded: heard, but worse; notice: worth knowing.
 * @property {string} summary
 * @property {string} fix  What to do.
 */

const LOSSY = 0.02; // of packets
const JITTERY = 0.03; // seconds
const FAR = 0.3; // seconds there and back
const SEVERITIES = ["broken", "degraded", "notice"];

const milliseconds = (/** @type {number} */ seconds) => `${Math.round(seconds * 1000)} ms`;
const percent = (/** @type {number} */ ratio) => `${(ratio * 100).toFixed(ratio < 0.1 ? 1 : 0)} %`;

/** @param {TestProblem["severity"]} severity @param {string} code @param {string} summary @param {string} fix @returns {TestProblem} */
const problem = (severity, code, summary, fix) => ({ code, severity, summary, fix });

/** Why the microphone could not be opened, by the code of its error. @type {Record<string, [string, string]>} */
const MICROPHONE_ERRORS = {
  microphone_refused: ["The browser may not use the microphone.", "Allow it for this page (the icon beside the address), then test again."],
  no_microphone: ["No microphone was found.", "Plug one in, or choose another one."],
  microphone_in_use: ["The microphone cannot be opened.", "Close the other programs that may be using it."],
  insecure_origin: ["This page is not on a secure origin, so the browser allows no microphone.", "Open it over https://."],
  unsupported_browser: ["This browser allows pages no microphone.", "Use a current Chrome, Edge, Firefox or Safari, not the browser inside another app."],
};

/**
 * @param {TestedMicrophone} microphone
 * @param {TestedPath[]} paths
 * @param {TestedEcho | null} echo
 * @returns {{ verdict: "good" | "fair" | "poor" | "failed", summary: string, problems: TestProblem[] }}
 */
export function judge(microphone, paths, echo) {
  const problems = [...aboutPaths(microphone, paths, echo), ...aboutMicrophone(microphone), ...aboutEcho(microphone, echo)];
  problems.sort((a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity)); // stable
  const [worst] = problems;
  const { words, verdict } = grade(echo);
  if (worst?.severity === "broken") return { verdict: "failed", summary: worst.summary, problems };
  const figures = echo ? ` The bridge is ${milliseconds(echo.roundTrip ?? 0)} away, there and back; expect ${milliseconds(echo.delay)} from mouth to ear, and a MOS of ${echo.mos.toFixed(1)}.` : "";
  const why = worst?.severity === "degraded" ? ` ${worst.summary}` : "";
  return { verdict, summary: words + why + figures, problems };
}

/** @param {TestedEcho | null} echo @returns {{ verdict: "good" | "fair" | "poor" | "failed", words: string }} */
function grade(echo) {
  if (!echo) return { verdict: "good", words: "A path for audio works; without a microphone, its quality was not measured." };
  if (echo.mos > 3.6) return { verdict: "good", words: "Calls will sound good." };
  if (echo.mos > 3) return { verdict: "fair", words: "Calls will be understandable, but not good." };
  return { verdict: "poor", words: "Calls will be hard to understand." };
}

/** @param {TestedMicrophone} microphone @returns {TestProblem[]} */
function aboutMicrophone({ state, error }) {
  switch (state) {
    case "failed": {
      const [summary, fix] = MICROPHONE_ERRORS[error ?? ""] ?? ["The microphone cannot be opened.", "Try another one, or restart the browser."];
      return [problem("broken", error ?? "microphone_failed", summary, fix)];
    }
    case "silent":
      return [problem("broken", "microphone_silent", "The microphone is open, but gives nothing but silence.", "Switch it on (headsets have a switch), raise its level, or choose another one.")];
    case "quiet":
      return [problem("notice", "microphone_quiet", "Hardly anything was heard from the microphone.", "Say something during the test. If you did, raise the microphone's level or choose another one.")];
    case "none":
      return [problem("notice", "microphone_untested", "The test ran without a microphone.", "Test again with one if you want to be heard.")];
    default:
      return [];
  }
}

/** @param {TestedMicrophone} microphone @param {TestedPath[]} paths @param {TestedEcho | null} echo @returns {TestProblem[]} */
function aboutPaths(microphone, paths, echo) {
  const ok = (/** @type {string} */ name) => paths.some((path) => path.name === name && path.state === "ok");
  const relays = paths.filter(({ name, state }) => name.startsWith("turn") && state !== "not_configured");
  const relayed = relays.some(({ state }) => state === "ok");
  const direct = ok("udp");
  const found = relays.filter(({ state }) => state === "failed").map((path) => aboutRelay(path, direct || relayed));
  const oneWay = paths.some(({ name, reason }) => name === "udp" && reason === "ice_one_way");
  if (!direct && !relayed) found.unshift(noPath(ok("websocket"), relays.length > 0, oneWay));
  else if (!direct) found.push(aboutBlockedUdp(ok("turn_udp")));
  if ((direct || relayed) && !echo && !["none", "failed"].includes(microphone.state)) {
    found.unshift(problem("broken", "echo_missing", "A connection came up, but no audio came back.", "Test again. If it stays so, the bridge's log has the reason."));
  }
  if (direct && !relays.length) {
    found.push(problem("notice", "turn_missing", "No TURN relay is configured: networks that block UDP would have no audio.", "Set turn.mode and turn.urls on the bridge."));
  }
  return found;
}

/** @param {boolean} socket @param {boolean} configured @param {boolean} oneWay  What is sent over UDP arrives, but no answer comes back. @returns {TestProblem} */
function noPath(socket, configured, oneWay) {
  const how = configured ? "and none through the TURN relay" : "and no TURN relay is configured";
  const fix = configured
    ? "Let UDP out of this network, or TCP to the TURN relay; check that the relay runs."
    : "Let UDP out of this network, or set turn.mode and turn.urls on the bridge, with a URL for TCP or TLS.";
  const which = oneWay ? " UDP from here reaches the bridge, its answers get lost: see the bridge's firewall and rtc.external_address." : "";
  const instead = socket ? " A WebSocket to the bridge works: apps can use PcmCall." : "";
  return problem("broken", configured ? "no_path" : "turn_missing", `There is no path for audio: none over UDP, ${how}.`, fix + which + instead);
}

/** @param {boolean} overUdp @returns {TestProblem} */
function aboutBlockedUdp(overUdp) {
  const fix = "Let UDP from this network reach the bridge's ports (rtc.ports), and check rtc.external_address.";
  return overUdp
    ? problem("notice", "udp_blocked", "The bridge cannot be reached directly; calls go through the TURN relay.", fix)
    : problem("degraded", "udp_blocked", "UDP is blocked; calls go through the TURN relay over TCP, and stutter when packets are lost.", fix);
}

/** @param {TestedPath} path @param {boolean} works  Another path does. @returns {TestProblem} */
function aboutRelay({ name, gathered, errorCode }, works) {
  const severity = works ? "notice" : "broken";
  const over = `TURN over ${name.slice("turn_".length).toUpperCase()}`;
  if (gathered) {
    return problem(severity, "turn_not_relaying", `${over}: the relay answers, but passes nothing on to the bridge.`, "Allow the bridge's addresses as peers of the relay (allowed-peer-ip), and open its ports.");
  }
  if (errorCode) {
    return problem(severity, "turn_refused", `${over}: the relay refuses the browser (error ${errorCode}).`, "Compare turn.secret with the relay's, and its clock with the bridge's; error 486 means that its quota is used up.");
  }
  return problem(severity, "turn_unreachable", `${over}: the relay does not answer.`, "Check turn.urls, that the relay runs, and that this network lets its port through.");
}

/** @param {TestedMicrophone} microphone @param {TestedEcho | null} echo @returns {TestProblem[]} */
function aboutEcho(microphone, echo) {
  if (!echo) return [];
  const found = [];
  const loss = Math.max(echo.loss, echo.sentLoss ?? 0);
  const jitter = Math.max(echo.jitter ?? 0, echo.sentJitter ?? 0);
  if (microphone.state === "ok" && (microphone.level ?? 0) > 0 && echo.level === 0) {
    found.push(problem("broken", "echo_silent", "The microphone is heard here, but only silence comes back from the bridge.", "Test again with another microphone, or another browser."));
  }
  if (loss > LOSSY) found.push(problem("degraded", "network_lossy", `${percent(loss)} of the packets are lost.`, "Use a cable or a nearer access point."));
  if (jitter > JITTERY) found.push(problem("degraded", "network_jittery", `Packets arrive unevenly: the jitter is ${milliseconds(jitter)}.`, "Look for a busy network or CPU; prefer a cable."));
  if ((echo.roundTrip ?? 0) > FAR) found.push(problem("degraded", "round_trip_long", `The bridge is far away: ${milliseconds(echo.roundTrip ?? 0)} there and back.`, "Close VPNs and downloads; the operator can run a bridge nearer by."));
  return found;
}
