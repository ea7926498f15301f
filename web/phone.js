/** The state of the page: its connection to the bridge, its call, and who rings. */

import { Transcript } from "./agent.js";
import { BridgeApi } from "./bridge.js";
import { DiagnosisView } from "./diagnosis.js";
import { givenKey } from "./memory.js";
import { TurnStrip } from "./turn-strip.js";

/**
 * @typedef {object} Conversation
 * @property {string} callId
 * @property {string} peer
 * @property {string} state  As the bridge says.
 * @property {import("./bridge.js").BridgeCall | null} media
 * @property {MediaStreamTrack | null} track
 * @property {number} since  When it became active, ms; 0 before.
 * @property {boolean} inbound
 * @property {number} looks  At its quality so far.
 * @property {number | null} opinion  What the bridge thinks of our sound: 1 (bad) to 4.5.
 * @property {number} asked  Up to which second of the call it has told so.
 * @property {boolean} renewed  The microphone was reopened because it went silent.
 * @property {boolean} muted  To begin with, after a reload.
 * @property {() => void} unfollow  Closes the stream of its events.
 */

/** The page as one telephone; every module gets the same one. */
export class Phone {
  api = new BridgeApi({ key: givenKey() ?? sessionStorage.getItem("key") ?? "demo" });
  /** @type {Conversation | null} */
  current = null;
  /** The inbound call. @type {import("./bridge.js").CallInfo | null} */
  ringing = null;
  /** Calls of others, or declined here. @type {Set<string>} */
  ignored = new Set();
  transcript = new Transcript("transcript");
  turns = new TurnStrip();
  diagnosis = new DiagnosisView(this.api);
  /** @type {AudioContext | null} */
  sound = null;
  /** Asks the bridge for the state of its calls now. */
  refresh = async () => {};
}

/** @param {string} peer @param {boolean} inbound @param {import("./memory.js").Kept | null} kept @returns {Conversation} */
export function newConversation(peer, inbound, kept) {
  return {
    callId: "", peer, state: "calling", media: null, track: null, since: kept?.since ?? 0, inbound,
    looks: 0, opinion: null, asked: 0, renewed: false, muted: kept?.muted ?? false,
    unfollow: () => {},
  };
}
