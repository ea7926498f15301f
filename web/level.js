/** The level of a track by Web Audio, where the browser's statistics lack it; used by warnings.js and connection-test.js. */

const SAMPLES = 32_768; // 0.7 s at 48 kHz: most of the second between two measurements

/** Measures one track at a time. */
export class TrackLevel {
  /** @param {number} [samples]  That each measurement covers: a power of two. */
  constructor(samples = SAMPLES) {
    this.samples = samples;
  }

  /** @type {AudioContext | null} */ #context = null;
  /** @type {MediaStreamTrack | null} */ #track = null;
  /** @type {MediaStreamAudioSourceNode | null} */ #source = null;
  /** @type {AnalyserNode | null} */ #analyser = null;

  /**
   * @param {MediaStreamTrack} track
   * @returns {number | null} root mean square, 0 to 1; null at first, and while the browser starts no sound
   */
  measure(track) {
    if (track !== this.#track) {
      this.#listen(track);
      return null;
    }
    if (!this.#analyser || this.#context?.state !== "running") return null;
    const samples = new Float32Array(this.samples);
    this.#analyser.getFloatTimeDomainData(samples);
    return Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / this.samples);
  }

  /** Release its resources; `measure` may be called again. */
  close() {
    this.#source?.disconnect();
    this.#track = this.#source = this.#analyser = null;
    void this.#context?.close().catch(() => {});
    this.#context = null;
  }

  /** @param {MediaStreamTrack} track */
  #listen(track) {
    this.#source?.disconnect();
    this.#track = track;
    if (!globalThis.AudioContext) return;
    this.#context ??= new AudioContext();
    void this.#context.resume().catch(() => {});
    this.#analyser = new AnalyserNode(this.#context, { fftSize: this.samples });
    this.#source = this.#context.createMediaStreamSource(new MediaStream([track]));
    this.#source.connect(this.#analyser);
  }
}
