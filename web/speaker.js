/** Whether the page plays a stream, and where; used by report.js. */

/** @typedef {"playing" | "blocked" | "paused" | "none"} Playing */

export class SpeakerState {
  #blocked = false; // until it plays: a gesture elsewhere does not start it
  #device = ""; // the output that `#missing` is about
  #missing = false;
  #changed = () => { this.#device = ""; };

  constructor() {
    globalThis.navigator?.mediaDevices?.addEventListener?.("devicechange", this.#changed);
  }

  close() {
    globalThis.navigator?.mediaDevices?.removeEventListener?.("devicechange", this.#changed);
  }

  /**
   * Look at the element of the document that plays a stream.
   *
   * @param {MediaStream} stream
   * @returns {Promise<{ speaker: Playing | null, outputDevice: "default" | "selected" | "missing" }>}  `speaker`:
   *   null without such an element: another one, or Web Audio, may play the stream
   */
  async look(stream) {
    const elements = /** @type {HTMLMediaElement[]} */ ([...(globalThis.document?.querySelectorAll?.("audio, video") ?? [])]);
    const player = elements.find(({ srcObject }) => srcObject === stream);
    if (!player) return { speaker: null, outputDevice: "default" };
    const speaker = this.#playing(player);
    /** @type {string} */
    const device = /** @type {any} */ (player).sinkId ?? "";
    if (!device || device === "default") return { speaker, outputDevice: "default" };
    if (device !== this.#device) {
      const outputs = ((await navigator.mediaDevices?.enumerateDevices()) ?? []).filter(({ kind }) => kind === "audiooutput");
      // Without permission a browser lists none, or none by its name.
      this.#missing = outputs.some(({ deviceId }) => deviceId) && !outputs.some(({ deviceId }) => deviceId === device);
      this.#device = device;
    }
    return { speaker, outputDevice: this.#missing ? "missing" : "selected" };
  }

  /** @param {HTMLMediaElement} player @returns {Playing} */
  #playing(player) {
    if (!player.paused) {
      this.#blocked = false;
      return "playing";
    }
    const policy = /** @type {any} */ (navigator).getAutoplayPolicy?.(player); // Firefox
    this.#blocked ||= policy === "disallowed" || navigator.userActivation?.hasBeenActive === false;
    return this.#blocked ? "blocked" : "paused";
  }
}
