/** Having a node take no more calls; it exits once those it has are over. */

import { make, say } from "./dom.js";

const SURE_FOR = 6_000; // ms that the second press may take

export class DrainForm {
  #sure = 0;
  #timer = 0;
  #shown = "";

  /** @param {import("../api.js").BridgeApi} api @param {(error: unknown) => void} complain */
  constructor(api, complain) {
    this.api = api;
    this.complain = complain;
    this.choice = make("select", { id: "drain-node" });
    this.key = make("input", { type: "password", id: "drain-key", autocomplete: "off", spellcheck: "false", required: true });
    this.button = make("button", { type: "submit", class: "danger", text: "Drain", disabled: true });
    this.result = make("p", { role: "status" });
    const field = (/** @type {string} */ id, /** @type {string} */ text, /** @type {Node} */ input) => make("div", {}, make("label", { for: id, text }), input);
    const form = make("form", { class: "search" },
      field("drain-node", "Node", this.choice), field("drain-key", "Admin key (admin.keys)", this.key), make("div", { class: "send" }, this.button));
    this.element = make("section", { class: "card" }, make("h3", { text: "Drain a node" }),
      make("p", { class: "quiet", text: "It takes no more calls, serves those it has until they end or limits.drain_seconds have passed, and exits. That cannot be undone." }),
      form, this.result);
    this.choice.addEventListener("change", () => this.#unsure());
    form.addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      this.#press();
    });
  }

  /** Offer the nodes that can be drained. @param {any[]} nodes */
  take(nodes) {
    const open = nodes.filter(({ state }) => ["ready", "refusing"].includes(state));
    const options = open.map(({ node, machine }) => ({ value: String(node), text: machine ? `${node} on ${machine}` : String(node) }));
    if (JSON.stringify(options) === this.#shown) return;
    this.#shown = JSON.stringify(options);
    const chosen = this.choice.value;
    this.choice.replaceChildren(...options.map(({ value, text }) => make("option", { value, text })));
    if (options.some(({ value }) => value === chosen)) this.choice.value = chosen;
    else this.#unsure();
    this.button.disabled = options.length === 0;
  }

  #unsure() {
    clearTimeout(this.#timer);
    this.#sure = 0;
    say(this.button, "Drain");
  }

  async #press() {
    if (Date.now() - this.#sure > SURE_FOR) {
      this.#sure = Date.now();
      say(this.button, `Press again to drain node ${this.choice.value}`);
      this.#timer = setTimeout(() => this.#unsure(), SURE_FOR);
      return;
    }
    this.#unsure();
    const key = this.key.value;
    this.key.value = "";
    this.button.disabled = true;
    try {
      const { node, calls, seconds } = await this.api.request("POST", `/nodes/${this.choice.value}/drain`, {}, { key });
      const left = calls === 1 ? "1 call is" : `${calls} calls are`;
      say(this.result, `Node ${node} drains: ${left} left${seconds === null ? "" : `, to be ended in ${Math.round(seconds)} s`}.`);
    } catch (error) {
      this.complain(error);
    } finally {
      this.button.disabled = false;
    }
  }
}
