/** A call's hops as a picture: the parties on this side, the bridge, the far party. */

import { make } from "./dom.js";
import { CONDITIONS, HOPS } from "./words.js";

const FAR = ["provider.signalling", "provider.network", "provider.far"];

/** @param {any[]} hops  Of a diagnosis, in the order of the sound's way. @param {(legId: string | null) => string} nameOf */
export function picture(hops, nameOf) {
  const columns = [
    { title: "This side", hops: hops.filter(({ hop }) => hop !== "bridge" && !FAR.includes(hop)) },
    { title: "Bridge", hops: hops.filter(({ hop }) => hop === "bridge") },
    { title: "Other side", hops: hops.filter(({ hop }) => FAR.includes(hop)) },
  ];
  return make("div", { class: "hops" }, ...columns.filter((column) => column.hops.length).map((column) => {
    const legs = [...new Set(column.hops.map(({ legID }) => legID))];
    return make("div", { class: "hop-column" }, make("h4", { text: column.title }), ...legs.map((legId) => {
      const chain = column.hops.filter(({ legID }) => legID === legId);
      const name = legId === null ? "" : nameOf(legId);
      return make("div", { class: "hop-leg" },
        ...(name ? [make("p", { class: "quiet", text: name })] : []),
        make("ol", {}, ...chain.map(station)));
    }));
  }));
}

/** @param {{ hop: string, state: string }} hop */
function station({ hop, state }) {
  const [sign, word] = CONDITIONS[state] ?? ["?", state];
  return make("li", { class: `hop ${state}` },
    make("span", { class: "sign", "aria-hidden": "true", text: sign }),
    make("span", { text: HOPS[hop] ?? hop }),
    make("span", { class: "quiet", text: word }));
}
