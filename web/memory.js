/** What the pages store in their tab's session across reloads: the keys, and the page its call. */

/** Where the console's key is: one of console.keys, or the token in the link that the bridge prints. */
export const CONSOLE_KEY = "console-key";

/**
 * @typedef {object} Kept
 * @property {string} callId
 * @property {string} legId
 * @property {string} peer
 * @property {boolean} inbound
 * @property {boolean} muted
 * @property {number} since  When it became active, ms since 1970; 0 before.
 */

/**
 * The key in the fragment of the address, as in the QR code of `make run-lan`; it is removed from the address.
 *
 * @param {string} [name]  In the fragment.
 * @param {string} [kept]  In the session.
 */
export function givenKey(name = "key", kept = "key") {
  const key = new URLSearchParams(location.hash.slice(1)).get(name);
  if (!key) return null;
  sessionStorage.setItem(kept, key);
  history.replaceState(null, "", location.pathname + location.search);
  return key;
}

/** Take the local token from the fragment, for the console. */
export function takeToken() {
  givenKey("token", CONSOLE_KEY);
}

/** @param {Kept | null} call  null: there is nothing to come back to. */
export function keepCall(call) {
  if (call) sessionStorage.setItem("call", JSON.stringify(call));
  else sessionStorage.removeItem("call");
}

/** @returns {Kept | null} the call that this page was in before its reload; a second tab has none */
export function keptCall() {
  const [navigation] = /** @type {PerformanceNavigationTiming[]} */ (performance.getEntriesByType("navigation"));
  if (!["reload", "back_forward"].includes(navigation?.type ?? "")) keepCall(null);
  const text = sessionStorage.getItem("call");
  return text ? JSON.parse(text) : null;
}
