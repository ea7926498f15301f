/** The events of one call, as they happen. */

import { BridgeError } from "./bridge.js";

/** @typedef {{ type: string, data: any }} CallEvent */

const RETRY = 2_000; // ms
const OVER = [401, 403, 404, 409]; // statuses: the call has ended

/**
 * Listen to a call's events, with a new ticket whenever the bridge refuses the old one.
 *
 * @param {import("./bridge.js").BridgeApi} api
 * @param {string} callId
 * @param {(event: CallEvent) => void} take
 * @returns {() => void} stops it
 */
export function follow(api, callId, take) {
  let stopped = false;
  let last = "";
  /** @type {EventSource | null} */
  let source = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const open = async () => {
    try {
      const query = new URLSearchParams({ token: await api.ticket(callId), lastEventId: last });
      if (stopped) return;
      source = new EventSource(`${api.baseUrl}/call/${encodeURIComponent(callId)}/events?${query}`);
    } catch (error) {
      const over = error instanceof BridgeError && OVER.includes(error.status);
      if (!stopped && !over) timer = setTimeout(open, RETRY);
      return;
    }
    source.onmessage = ({ data, lastEventId }) => {
      last = lastEventId;
      if (!stopped) take(JSON.parse(data));
    };
    source.onerror = () => { // a lost connection the browser opens again by itself
      if (source?.readyState === EventSource.CLOSED && !stopped) timer = setTimeout(open, RETRY);
    };
  };
  void open();
  return () => {
    stopped = true;
    clearTimeout(timer);
    source?.close();
  };
}
