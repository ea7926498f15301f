/** The page's test call: a button, the progress, and the result. */

import { BridgeError } from "./bridge.js";
import { wishes } from "./devices.js";
import { element, write } from "./draw.js";

/** @typedef {import("./bridge.js").ConnectionTest} ConnectionTest */
/** @typedef {import("./bridge.js").TestProgress} TestProgress */
/** @typedef {import("./connection-test.js").TestedPath} TestedPath */

/** @type {Record<TestProgress["step"], string>} */
const STEPS = {
  microphone: "Microphone", udp: "UDP", turn_udp: "TURN over UDP", turn_tcp: "TURN over TCP", turn_tls: "TURN over TLS",
  websocket: "WebSocket", echo: "Echo",
};
const VERDICTS = /** @type {const} */ ({ good: ["Good", "good"], fair: ["Fair", "fair"], poor: ["Poor", "bad"], failed: ["Failed", "bad"] });
const STATES = /** @type {const} */ ({ ok: ["works", "good"], failed: ["does not work", "bad"], not_configured: ["not configured", ""] });
const FLOOR = 1e-3; // root mean square: -60 dBFS, the left end of the meter

/** @type {AbortController | null} */
let running = null;

/** Stop the test, if one runs. */
export function cancelTest() {
  running?.abort();
}

/** Have the button test the connection, and cancel the test. @param {import("./bridge.js").BridgeApi} api @param {() => boolean} busy  Whether there is a call. */
export function offerTest(api, busy) {
  element("test-start").addEventListener("click", () => {
    if (running) cancelTest();
    else if (!busy()) void run(api);
  });
}

/** @param {import("./bridge.js").BridgeApi} api */
async function run(api) {
  running = new AbortController();
  show(true);
  write("test-summary", "");
  for (const id of ["test-paths", "test-figures", "test-problems"]) element(id).replaceChildren();
  try {
    tell(await api.testConnection({ microphone: wishes(), play: true, onProgress: follow, signal: running.signal }));
  } catch (error) {
    const known = error instanceof BridgeError;
    if (!known) console.error(error);
    write("test-summary", known ? error.message : `Something went wrong on this page: ${error}`);
  } finally {
    running = null;
    show(false);
  }
}

/** @param {boolean} runs */
function show(runs) {
  write("test-start", runs ? "Cancel the test" : "Test call");
  element("test-running").hidden = !runs;
  if (runs) element("test-verdict").hidden = true;
}

/** @param {TestProgress} progress */
function follow({ step, done, level, paths }) {
  write("test-step", step === "echo" ? "Echo: say something, you hear it come back." : `${STEPS[step]} …`);
  element("test-progress").value = done;
  element("test-level").value = level === null ? 0 : 1 + Math.log10(Math.max(level, FLOOR)) / -Math.log10(FLOOR);
  showPaths(paths);
}

/** @param {TestedPath[]} paths */
function showPaths(paths) {
  const list = element("test-paths");
  for (const { name, state } of paths.slice(list.children.length)) {
    const [words, kind] = STATES[state];
    list.append(item(STEPS[name], words, kind));
  }
}

/** @param {ConnectionTest} result */
function tell({ verdict, summary, problems, microphone, paths, echo }) {
  const [words, kind] = VERDICTS[verdict];
  write("test-verdict", words);
  element("test-verdict").className = `badge ${kind}`;
  element("test-verdict").hidden = false;
  write("test-summary", summary);
  showPaths(paths);
  const decibels = (/** @type {number | null} */ level) => (level ? `${Math.round(20 * Math.log10(level))} dB` : "–");
  const milliseconds = (/** @type {number | null} */ seconds) => (seconds === null ? "–" : `${Math.round(seconds * 1000)} ms`);
  const percent = (/** @type {number | null} */ ratio) => (ratio === null ? "–" : `${(ratio * 100).toFixed(1)} %`);
  const figures = [item("Microphone, at its loudest", decibels(microphone.level))];
  if (echo) {
    figures.push(
      item("Round trip", milliseconds(echo.roundTrip)),
      item("Lost, to here and from here", `${percent(echo.loss)}, ${percent(echo.sentLoss)}`),
      item("Jitter, to here and from here", `${milliseconds(echo.jitter)}, ${milliseconds(echo.sentJitter)}`),
      item("Delay to expect", milliseconds(echo.delay)),
      item("MOS to expect", echo.mos.toFixed(1)),
    );
  }
  element("test-figures").replaceChildren(...figures);
  element("test-problems").replaceChildren(...problems.map(({ severity, summary: what, fix }) => {
    const entry = document.createElement("li");
    entry.className = severity;
    entry.append(Object.assign(document.createElement("strong"), { textContent: what }), ` ${fix}`);
    return entry;
  }));
}

/** @param {string} name @param {string} value @param {string} [kind] */
function item(name, value, kind = "") {
  const entry = document.createElement("li");
  const shown = Object.assign(document.createElement("span"), { textContent: value, className: `badge ${kind}` });
  entry.append(Object.assign(document.createElement("span"), { textContent: name }), shown);
  return entry;
}
