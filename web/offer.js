/** Requests while the network may be returning; used by call.js. */

import { BridgeError } from "./errors.js";

const LIMIT = 3_000; // ms for the reply
const EVERY = 1_000; // ms after which another connection is tried: the previous one may be dead unnoticed

/**
 * Repeat an idempotent request until the bridge replies.
 *
 * @template T
 * @param {(signal: AbortSignal) => Promise<T>} ask
 * @param {AbortSignal} stop  Ends it early.
 * @returns {Promise<T>}
 * @throws {BridgeError} what the bridge replied, or bridge_unreachable
 */
export async function insist(ask, stop) {
  const over = new AbortController();
  const signal = AbortSignal.any([over.signal, stop, AbortSignal.timeout(LIMIT)]);
  const attempts = [];
  for (let wait = 0; wait < LIMIT; wait += EVERY) {
    attempts.push(pause(wait, signal).then(() => ask(signal)).then(
      (reply) => ({ reply, refused: null }),
      (error) => {
        if (error instanceof BridgeError && error.status) return { reply: null, refused: error };
        throw error;
      },
    ));
  }
  try {
    const { reply, refused } = await Promise.any(attempts);
    if (refused) throw refused;
    return /** @type {T} */ (reply);
  } catch (error) {
    throw error instanceof AggregateError ? error.errors[0] : error;
  } finally {
    over.abort();
  }
}

/**
 * @param {number} milliseconds
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 * @throws {BridgeError} bridge_unreachable, when it is given up before
 */
function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const give = () => {
      clearTimeout(timer);
      reject(new BridgeError("bridge_unreachable", "The bridge cannot be reached."));
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", give);
      resolve();
    }, milliseconds);
    if (signal.aborted) give();
    else signal.addEventListener("abort", give, { once: true });
  });
}
