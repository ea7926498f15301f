/**
 * The media bridge's client library: an ES module for any page or app that has WebRTC.
 *
 *     import { BridgeApi, BridgeCall, openMicrophone } from "./bridge.js";
 *     const api = new BridgeApi({ baseUrl: "https://bridge.example", key: "…" });
 *     const track = await openMicrophone();                    // inside a click
 *     const call = new BridgeCall(api, await api.dial("15550100001"));
 *     audioElement.srcObject = call.remoteStream;
 *     call.on("quality", (quality) => console.log(quality.mos));
 *     await call.connect(track);                               // both directions are up
 *     …
 *     await api.hangup(call.callId);
 *     await call.close();
 *
 * A page without a key gets a ticket for its call from your server, which has the key:
 *
 *     const api = new BridgeApi({ baseUrl: "https://bridge.example", key: "" });
 *     const call = new BridgeCall(api, callId, { ticket: () => askMyServer(callId) });
 *
 * It changes no element of a page. Times are seconds, ratios and levels are 0 to 1.
 */

/** @typedef {import("./api.js").CallInfo} CallInfo */
/** @typedef {import("./api.js").Contact} Contact */
/** @typedef {import("./api.js").Diagnosis} Diagnosis */
/** @typedef {import("./call.js").CallEvents} CallEvents */
/** @typedef {import("./connection-test.js").ConnectionTest} ConnectionTest */
/** @typedef {import("./connection-test.js").TestOptions} TestOptions */
/** @typedef {import("./connection-test.js").TestProgress} TestProgress */
/** @typedef {import("./test-calls.js").TestCall} TestCall */
/** @typedef {import("./call.js").MediaState} MediaState */
/** @typedef {import("./call.js").Quality} Quality */

export { BridgeApi } from "./api.js";
export { BridgeCall } from "./call.js";
export { BridgeError } from "./errors.js";
export { openMicrophone } from "./microphone.js";
