/**
 * The audio of one media socket, on the browser's audio thread: the microphone from the context's rate to
 * 16 kHz, what the bridge sends from 16 kHz to the context's rate. `pcm.js` loads it; nothing else needs to.
 *
 * It posts `Int16Array`s of `frameSamples` samples, and once a second `Figures`; it takes `Int16Array`s of
 * any length.
 *
 * @typedef {object} Figures
 * @property {number} buffered  Seconds of what was received that wait to be played.
 * @property {number} underruns  How often nothing was left to play, ever.
 * @property {number} dropped  Seconds that were thrown away because too much waited, ever.
 * @property {number} levelIn  Peak of what was played in the last second, 0 to 1.
 * @property {number} levelOut  Peak of the microphone in the last second, 0 to 1.
 */

const RATE = 16_000;
const CROSSINGS = 16; // of the filter on each side, at the lower of both rates
const CUTOFF = 0.94; // of the lower rate's half
const MAX_WAITING = 1.0; // seconds of audio that may wait
const MOST_PREBUFFER = 0.18;
const FADE = 64; // samples over which a cut is blended

/** A windowed sinc between two rates, for one stream of audio that arrives in pieces. */
export class Resampler {
  /** @param {number} from @param {number} to */
  constructor(from, to) {
    const divisor = gcd(from, to);
    this.up = to / divisor;
    this.down = from / divisor;
    const half = Math.ceil(CROSSINGS * Math.max(1, from / to));
    this.taps = 2 * half;
    this.table = design(this.up, half, CUTOFF * Math.min(1, to / from));
    this.held = new Float32Array(this.taps + 16_384);
    this.count = half - 1; // silence, so that the first sample lies in the middle of the filter
    this.phase = 0;
  }

  /**
   * Take a piece and emit the samples it completes.
   *
   * @param {Float32Array} piece
   * @param {(sample: number) => void} give
   */
  process(piece, give) {
    if (this.up === this.down) return piece.forEach(give);
    for (let from = 0; from < piece.length; from += 8_192) this.#some(piece.subarray(from, from + 8_192), give);
  }

  /** @param {Float32Array} piece @param {(sample: number) => void} give */
  #some(piece, give) {
    const { held, taps, table, up } = this;
    held.set(piece, this.count);
    this.count += piece.length;
    let begin = 0;
    while (begin + taps <= this.count) {
      const row = this.phase * taps;
      let sum = 0;
      for (let tap = 0; tap < taps; tap++) sum += /** @type {number} */ (held[begin + tap]) * /** @type {number} */ (table[row + tap]);
      give(sum);
      this.phase += this.down;
      begin += Math.floor(this.phase / up);
      this.phase %= up;
    }
    held.copyWithin(0, begin, this.count);
    this.count -= begin;
  }
}

/** @param {number} a @param {number} b @returns {number} */
function gcd(a, b) {
  return b ? gcd(b, a % b) : a;
}

/**
 * One row of filter coefficients for each phase.
 *
 * @param {number} phases @param {number} half  Taps on each side. @param {number} cutoff  Of the source's half rate.
 */
function design(phases, half, cutoff) {
  const taps = 2 * half;
  const table = new Float32Array(phases * taps);
  for (let phase = 0; phase < phases; phase++) {
    const row = table.subarray(phase * taps, (phase + 1) * taps);
    let sum = 0;
    for (let tap = 0; tap < taps; tap++) {
      const away = tap - (half - 1) - phase / phases;
      const x = Math.PI * cutoff * away;
      const place = (Math.PI * away) / half;
      const blackman = Math.abs(away) < half ? 0.42 + 0.5 * Math.cos(place) + 0.08 * Math.cos(2 * place) : 0;
      row[tap] = (x ? Math.sin(x) / x : 1) * blackman;
      sum += /** @type {number} */ (row[tap]);
    }
    for (let tap = 0; tap < taps; tap++) row[tap] = /** @type {number} */ (row[tap]) / sum;
  }
  return table;
}

/** A playback buffer that fills a little first, and shrinks back after a delay. */
export class Playout {
  /** @param {number} rate  Samples a second. @param {number} prebuffer  Seconds to collect first. */
  constructor(rate, prebuffer) {
    this.rate = rate;
    this.prebuffer = prebuffer;
    this.ring = new Float32Array(Math.ceil(rate * (MAX_WAITING + 0.25)));
    this.read = 0;
    this.count = 0;
    this.filling = true;
    this.underruns = 0;
    this.dropped = 0;
    this.lowest = Infinity;
    this.played = 0;
  }

  /** @param {number} sample */
  add(sample) {
    if (this.count >= MAX_WAITING * this.rate) this.#skip(Math.round(this.count - this.prebuffer * this.rate));
    this.ring[(this.read + this.count++) % this.ring.length] = sample;
  }

  /** Fill `out`, with silence where there is no audio. @param {Float32Array} out */
  take(out) {
    out.fill(0);
    if (this.filling && this.count < this.prebuffer * this.rate) return;
    this.filling = false;
    const size = Math.min(out.length, this.count);
    this.#copy(out, size);
    this.lowest = Math.min(this.lowest, this.count);
    if (size < out.length) {
      this.filling = true;
      this.underruns += 1;
      this.prebuffer = Math.min(MOST_PREBUFFER, this.prebuffer + 0.02);
    }
    this.played += out.length;
    if (this.played >= this.rate) this.#shorten(out);
  }

  /** After each second: drop audio that was never needed, as it only adds delay. @param {Float32Array} out */
  #shorten(out) {
    const spare = Math.round(this.lowest - this.prebuffer * this.rate);
    this.played = 0;
    this.lowest = Infinity;
    if (spare <= 0) return;
    const back = out.length;
    this.#skip(spare - back); // so that playback continues as if from `back`
    const fade = Math.min(FADE, back);
    for (let i = 0; i < back; i++) {
      const share = i < back - fade ? 0 : (i - back + fade + 1) / fade;
      const later = /** @type {number} */ (this.ring[(this.read + i) % this.ring.length]);
      out[i] = /** @type {number} */ (out[i]) * (1 - share) + later * share;
    }
    this.read = (this.read + back) % this.ring.length;
    this.count -= back;
    this.dropped += back / this.rate;
  }

  /** @param {Float32Array} out @param {number} size */
  #copy(out, size) {
    for (let i = 0; i < size; i++) out[i] = /** @type {number} */ (this.ring[(this.read + i) % this.ring.length]);
    this.read = (this.read + size) % this.ring.length;
    this.count -= size;
  }

  /** @param {number} samples  Negative: none. */
  #skip(samples) {
    const skipped = Math.max(0, Math.min(samples, this.count));
    this.read = (this.read + skipped) % this.ring.length;
    this.count -= skipped;
    this.dropped += skipped / this.rate;
  }
}

// Globals of the audio thread, unknown to the type checker.
const scope = /** @type {{ sampleRate: number, AudioWorkletProcessor: new () => { readonly port: MessagePort }, registerProcessor(name: string, processor: unknown): void }} */ (/** @type {unknown} */ (globalThis));

class PcmProcessor extends scope.AudioWorkletProcessor {
  /** @param {{ processorOptions: { frameSamples: number, prebuffer: number } }} options */
  constructor({ processorOptions: { frameSamples, prebuffer } }) {
    super();
    this.down = new Resampler(scope.sampleRate, RATE);
    this.up = new Resampler(RATE, scope.sampleRate);
    this.playout = new Playout(scope.sampleRate, prebuffer);
    this.frame = new Int16Array(frameSamples);
    this.filled = 0;
    this.blocks = 0;
    this.levelIn = this.levelOut = 0;
    this.port.onmessage = ({ data }) => {
      const floats = Float32Array.from(/** @type {Int16Array} */ (data), (sample) => sample / 32768);
      this.up.process(floats, (sample) => this.playout.add(sample));
    };
  }

  /** @param {Float32Array[][]} inputs @param {Float32Array[][]} outputs */
  process([input], [output]) {
    const out = /** @type {Float32Array} */ (output?.[0]);
    this.playout.take(out);
    for (const sample of out) this.levelIn = Math.max(this.levelIn, Math.abs(sample));
    // Without a microphone the input is empty, and nothing is sent.
    if (input?.[0]) this.down.process(input[0], (sample) => this.#capture(sample));
    if (++this.blocks * out.length >= scope.sampleRate) this.#report();
    return true;
  }

  /** @param {number} sample */
  #capture(sample) {
    this.levelOut = Math.max(this.levelOut, Math.abs(sample));
    this.frame[this.filled++] = Math.max(-32768, Math.min(32767, Math.round(sample * 32767)));
    if (this.filled < this.frame.length) return;
    this.port.postMessage(this.frame, [this.frame.buffer]);
    this.frame = new Int16Array(this.filled);
    this.filled = 0;
  }

  #report() {
    const { rate, count, underruns, dropped } = this.playout;
    /** @type {Figures} */
    const figures = { buffered: count / rate, underruns, dropped, levelIn: this.levelIn, levelOut: this.levelOut };
    this.port.postMessage(figures);
    this.blocks = this.levelIn = this.levelOut = 0;
  }
}

scope.registerProcessor("bridge-pcm", PcmProcessor);
