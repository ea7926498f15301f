/** The nodes with their load, and the lines with how their way to WhatsApp answers. */

import { make, table } from "./dom.js";
import { ago, moment } from "./words.js";

/** @param {string} text @param {string} kind */
const badge = (text, kind) => make("span", { class: `badge ${kind}`, text });
const STATES = /** @type {Record<string, string>} */ ({ ready: "good", on: "good", refusing: "bad", silent: "bad", off: "fair", paused: "fair", draining: "fair", lost: "bad" });
const PROVIDERS = /** @type {Record<string, string>} */ ({ cloud: "Meta's Cloud API", gateway: "Gateway", sip: "SIP trunk", "cloud, sip": "Meta's Cloud API, SIP trunk", "gateway, sip": "Gateway, SIP trunk", simulator: "Simulated contacts" });

/** @param {any[]} nodes @param {number} now */
export function nodeTable(nodes, now) {
  const heads = ["Node", "Machine", "State", "Calls", "Legs", "CPU, of one core", "Latest timer", "Encoder", "Media ports used", "Version", "Since"];
  const calls = nodes.reduce((sum, node) => sum + node.calls, 0);
  const limit = Math.max(0, ...nodes.map((node) => node.callsLimit));
  const capacity = make("p", { class: "capacity", text: limit ? `${calls} of ${limit} calls (limits.calls)` : "" });
  return make("section", {}, make("h2", { text: "Nodes", tabindex: -1 }), capacity, table("Nodes", heads, nodes.map((node) => {
    const { state, machine, address, version, since, calls, legs, cpu, lagMs, encoder, portsUsed, portsFree } = node;
    const load = make("span", { class: "load" }, make("meter", { min: 0, max: 1, high: 0.7, value: Math.min(1, cpu), "aria-label": "CPU" }), ` ${Math.round(cpu * 100)} %`);
    const ports = make("span", { class: "load" },
      make("meter", { min: 0, max: Math.max(1, portsUsed + portsFree), value: portsUsed, "aria-label": "Media ports" }), ` ${portsUsed} of ${portsUsed + portsFree}`);
    const told = !["silent", "lost"].includes(state);
    const shown = (/** @type {Node | string} */ value) => (told ? value : "–");
    const when = make("span", { text: since ? ago(since, now) : "–", title: since ? moment(since) : false });
    const where = address && address !== machine ? `${machine} (${address})` : machine || "–";
    return [String(node.node), where, badge(state, STATES[state] ?? ""), shown(String(calls)), shown(String(legs)), shown(load), shown(`${lagMs} ms late`), shown(encoder), shown(ports), shown(version), when];
  })));
}

/** @param {any[]} lines @param {Map<string, number>} calls  Live calls by line. @param {number} now */
export function lineTable(lines, calls, now) {
  const heads = ["Line", "State", "Reached over", "Health", "Answered", "Last event", "Numbers", "Live calls"];
  return make("section", {}, make("h2", { text: "Lines", tabindex: -1 }), table("Lines", heads, lines.map((line) => [
    line.line, badge(line.state, STATES[line.state] ?? ""), PROVIDERS[line.provider] ?? line.provider, health(line, now),
    line.provider === "simulator" ? "–" : ago(line.answeredAt * 1000, now), line.provider === "simulator" ? "–" : ago(line.reportedAt * 1000, now),
    line.numbers.join(", ") || "–", String(calls.get(line.line) ?? 0),
  ])));
}

/** @param {any} line @param {number} now */
function health({ provider, answeredAt, failedAt, failure }, now) {
  if (provider === "simulator") return badge("nothing to fail", "");
  // The time of the last answer is told in steps of 10 s.
  if (failedAt > answeredAt + 10) return make("span", {}, badge("failing", "bad"), ` ${failure} (${ago(failedAt * 1000, now)})`);
  if (!answeredAt) return badge("not asked yet", "");
  return failedAt ? make("span", {}, badge("answers", "good"), ` last failure ${ago(failedAt * 1000, now)}: ${failure}`) : badge("answers", "good");
}
