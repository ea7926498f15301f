/** The bridge's event streams, read with fetch: a key in a header stays out of addresses and logs. */

import { BridgeError } from "../errors.js";

const AGAIN_AFTER = 2_000; // ms
const SILENT_FOR = 20_000; // ms: then the connection counts as lost

/**
 * Read a stream until it ends or is aborted; a connection that breaks is made again.
 *
 * @param {import("../api.js").BridgeApi} api
 * @param {() => string} path  Asked for each connection.
 * @param {(message: any) => void} onMessage
 * @param {{ signal: AbortSignal, onState?: (state: "connected" | "lost") => void, ends?: boolean }} options
 *   `ends`: an orderly end of the stream is the end
 */
export async function follow(api, path, onMessage, { signal, onState = () => {}, ends = false }) {
  while (!signal.aborted) {
    try {
      await read(api, path(), onMessage, signal, () => onState("connected"));
      if (ends) return;
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof BridgeError && [401, 403, 404].includes(error.status)) throw error;
    }
    onState("lost");
    await new Promise((done) => setTimeout(done, AGAIN_AFTER));
  }
}

/**
 * @param {import("../api.js").BridgeApi} api @param {string} path @param {(message: any) => void} onMessage
 * @param {AbortSignal} signal @param {() => void} onOpen
 */
async function read(api, path, onMessage, signal, onOpen) {
  const watchdog = new AbortController();
  let timer = setTimeout(() => watchdog.abort(), SILENT_FOR);
  try {
    const response = await fetch(api.baseUrl + path, {
      headers: { token: api.key }, cache: "no-store", signal: AbortSignal.any([signal, watchdog.signal]),
    });
    if (!response.ok || !response.body) {
      const reply = await response.json().catch(() => null);
      throw new BridgeError("refused", reply?.error ?? `HTTP ${response.status}`, { status: response.status });
    }
    onOpen();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(timer);
      timer = setTimeout(() => watchdog.abort(), SILENT_FOR);
      const lines = (rest + value).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) if (line.startsWith("data: ")) onMessage(JSON.parse(line.slice(6)));
    }
  } finally {
    clearTimeout(timer);
  }
}
