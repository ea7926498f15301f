/** The error that everything of the library raises. */

/** An error with a message for people and a stable `code` for programs. */
export class BridgeError extends Error {
  /**
   * @param {string} code  e.g. wrong_key, bridge_unreachable, microphone_refused, no_media_path
   * @param {string} message
   * @param {{ status?: number, callId?: string, cause?: unknown }} [more]  `status`: of the HTTP reply, if any; `callId`: of
   *   the call that a refused dial began and ended
   */
  constructor(code, message, { status = 0, callId = "", cause } = {}) {
    super(message, { cause });
    this.name = "BridgeError";
    this.code = code;
    this.status = status;
    this.callId = callId;
  }
}
