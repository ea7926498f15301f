/** The console: which view is shown, and the one stream that it is fed by. */

import { BridgeApi } from "../api.js";
import { BridgeError } from "../errors.js";
import { CONSOLE_KEY, takeToken } from "../memory.js";
import { CallView } from "./call.js";
import { say } from "./dom.js";
import { DrainForm } from "./drain.js";
import { HistoryView } from "./history.js";
import { LiveView } from "./live.js";
import { lineTable, nodeTable } from "./nodes.js";
import { follow } from "./stream.js";

takeToken();
const element = (/** @type {string} */ id) => /** @type {any} */ (document.getElementById(id));
const api = new BridgeApi({ key: sessionStorage.getItem(CONSOLE_KEY) ?? "" });
/** @type {AbortController} */ let leaving = new AbortController();
let close = () => {};

/** @param {unknown} error */
function complain(error) {
  if (error instanceof BridgeError && [401, 403].includes(error.status)) return askForKey(error);
  if (!(error instanceof BridgeError)) console.error(error);
  say(element("problem-text"), error instanceof Error ? error.message : String(error));
  element("problem").hidden = false;
}

/** Say why an action was refused whose key is not the console's own. @param {unknown} error */
function refuse(error) {
  if (!(error instanceof BridgeError)) return complain(error);
  say(element("problem-text"), error.status === 404 ? "This bridge has no such node, or no admin key (admin.keys)." : error.message);
  element("problem").hidden = false;
}

/** @param {BridgeError} error */
function askForKey(error) {
  onState("lost");
  element("key-form").hidden = false;
  element("key").focus();
  if (!sessionStorage.getItem(CONSOLE_KEY)) return;
  say(element("problem-text"), error.message);
  element("problem").hidden = false;
}

/** @param {"connected" | "lost"} state */
function onState(state) {
  say(element("connection"), state === "connected" ? "Connected" : "Not connected");
  element("connection").className = `badge ${state === "connected" ? "good" : "bad"}`;
}

/** Feed a view from the stream of the live table. @param {(message: any) => void} take */
function table(take) {
  const { signal } = leaving;
  follow(api, () => "/console/api/live", take, { signal, onState }).catch(complain);
}

/** @param {string} name @param {Node} shown @param {boolean} focus */
function put(name, shown, focus) {
  element("view").replaceChildren(shown);
  for (const link of document.querySelectorAll("nav a")) {
    if (link.getAttribute("data-view") === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  // A keyboard goes on at the view's heading.
  if (focus) element("view").querySelector("h2")?.focus();
}

/** @param {boolean} focus */
function openLive(focus) {
  const view = new LiveView();
  close = () => view.close();
  put("live", view.element, focus);
  table((message) => view.take(message));
}

/** @param {string} name @param {boolean} focus @param {(known: { nodes: any[], lines: Map<string, any>, calls: Map<string, any>, now: number }) => Element} render */
function openTable(name, focus, render) {
  const known = { nodes: /** @type {any[]} */ ([]), lines: new Map(), calls: new Map(), now: Date.now() };
  const shown = render(known);
  put(name, shown, focus);
  table((message) => {
    if (message.all) {
      known.lines.clear();
      known.calls.clear();
    }
    known.now = message.now;
    known.nodes = message.nodes ?? known.nodes;
    for (const line of message.lines ?? []) known.lines.set(line.line, line);
    for (const name of message.linesGone ?? []) known.lines.delete(name);
    for (const call of message.calls ?? []) known.calls.set(call.callId, { ...known.calls.get(call.callId), ...call });
    for (const callId of message.gone ?? []) known.calls.delete(callId);
    const next = render(known);
    if (next.innerHTML === shown.innerHTML) return;
    // The heading and the scrolled region stay: one of them may have the focus.
    for (const part of [".capacity", "tbody"]) shown.querySelector(part)?.replaceWith(next.querySelector(part) ?? "");
  });
}

/** @param {string} callId @param {boolean} focus */
function openCall(callId, focus) {
  const view = new CallView(api, callId, complain);
  close = () => view.close();
  put("live", view.element, focus);
  view.run(onState).catch(complain);
}

/** @param {string} query @param {boolean} focus */
function openHistory(query, focus) {
  const view = new HistoryView(api, query, complain);
  put("history", view.element, focus);
  view.run().then(() => onState("connected")).catch(complain);
}

/** @param {{ lines: Map<string, any>, calls: Map<string, any>, now: number }} known */
function lines({ lines, calls, now }) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const { line } of calls.values()) counts.set(line, (counts.get(line) ?? 0) + 1);
  return lineTable([...lines.values()], counts, now);
}

/** @param {boolean} focus */
function openNodes(focus) {
  const drain = new DrainForm(api, refuse);
  openTable("nodes", focus, ({ nodes, now }) => {
    drain.take(nodes);
    return nodeTable(nodes, now);
  });
  element("view").append(drain.element);
}

/** @param {boolean} focus */
function open(focus) {
  leaving.abort();
  leaving = new AbortController();
  close();
  close = () => {};
  element("key-form").hidden = true;
  element("problem").hidden = true;
  const [, name = "", rest = ""] = /^#?([a-z]*)[/?]?(.*)$/.exec(location.hash) ?? [];
  if (name === "call" && rest) openCall(decodeURIComponent(rest), focus);
  else if (name === "history") openHistory(rest, focus);
  else if (name === "nodes") openNodes(focus);
  else if (name === "lines") openTable("lines", focus, lines);
  else openLive(focus);
}

element("key-form").addEventListener("submit", (/** @type {Event} */ event) => {
  event.preventDefault();
  api.key = element("key").value;
  sessionStorage.setItem(CONSOLE_KEY, api.key);
  element("key").value = "";
  open(true);
});
element("problem-close").addEventListener("click", () => { element("problem").hidden = true; });
addEventListener("hashchange", () => open(true));
open(false);
