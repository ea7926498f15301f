/** What the page stores in its tab's session across reloads: the key, and its call. */

/**
 * @typedef {object} Kept
 * @property {string} callId
 * @property {string} legId
 * @property {string} peer
 * @property {boolean} inbound
 * @property {boolean} muted
 * @property {number} since  When it became active, ms since 1970; 0 before.
 */

/** The key in the fragment of the address, as in the QR code of `make run-lan`; it is removed from the address. */
export function givenKey() {
  const key = new URLSearchParams(location.hash.slice(1)).get("key");
  if (!key) return null;
  sessionStorage.setItem("key", key);
  history.replaceState(null, "", location.pathname + location.search);
  return key;
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
