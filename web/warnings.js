/** Warnings about the audio of a call; used by call.js. */

import { TrackLevel } from "./level.js";

/** @typedef {import("./quality.js").Quality} Quality */
/** @typedef {import("./quality.js").Warning} Warning */

/** @type {Record<Warning, number>} */
const AFTER = { microphone_silent: 3, nothing_received: 3, silence_received: 6 }; // seconds before a warning
const SILENT = 0.0005; // root mean square

export class Warnings {
  /** @type {Record<Warning, number>} */
  #seconds = { microphone_silent: 0, nothing_received: 0, silence_received: 0 };
  #microphone = new TrackLevel();
  #remote = new TrackLevel();

  /**
   * Add to a second of quality the levels missing from statistics, and the warnings.
   *
   * @param {Quality} quality
   * @param {MediaStreamTrack | null} sent  The microphone; null while it is muted.
   * @param {MediaStreamTrack | undefined} received
   */
  add(quality, sent, received) {
    if (sent && quality.levelOut === null) quality.levelOut = this.#microphone.measure(sent); // Firefox
    let silence = quality.packetsIn > 0 && quality.levelIn !== null && quality.levelIn < SILENT;
    if (!silence) this.#remote.close();
    else if (received) {
      // Chromium measures after the volume of the page's player: is the player muted?
      const level = this.#remote.measure(received);
      if (level !== null) quality.levelIn = level;
      silence = level !== null && level < SILENT;
    }
    this.#count("microphone_silent", sent !== null && quality.levelOut === 0, quality);
    this.#count("nothing_received", quality.packetsIn === 0, quality);
    this.#count("silence_received", silence, quality);
  }

  close() {
    this.#microphone.close();
    this.#remote.close();
  }

  /** @param {Warning} warning @param {boolean} wrong @param {Quality} quality */
  #count(warning, wrong, quality) {
    this.#seconds[warning] = wrong ? this.#seconds[warning] + 1 : 0;
    if (this.#seconds[warning] >= AFTER[warning]) quality.warnings.push(warning);
  }
}
