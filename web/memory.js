/** What the page keeps in its tab's session over a reload: the key, and the call it is in. */

/**
 * @typedef {object} Kept
 * @property {string} callId
 * @property {string} legId
 * @property {string} peer
 * @property {boolean} inbound
 * @property {boolean} muted
 * @property {number} since  When it became active, ms since 1970; 0 before.
 */

/** A key that came behind the # of the address, as on the QR code of `make run-lan`; it does not stay there. */
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
