/** Level meters and charts, on canvases, in the colors of the style sheet. */

const FLOOR = -60; // dBFS: the left end of a meter
const LOUD = -6; // dBFS: above it the meter warns
const HISTORY = 120; // seconds in a full chart
const HISTORY_FIRST = 30; // seconds in a new chart

/** @param {string} id @returns {any} */
export const element = (id) => document.getElementById(id);

/** Set a text only if it changes: screen readers and layouts react to each change. @param {string} id @param {string} text */
export function write(id, text) {
  if (element(id).textContent !== text) element(id).textContent = text;
}

/** @param {HTMLCanvasElement} canvas  Made sharp for the screen. @returns {CanvasRenderingContext2D} */
export function surface(canvas) {
  const scale = globalThis.devicePixelRatio || 1;
  const [width, height] = [Math.round(canvas.clientWidth * scale), Math.round(canvas.clientHeight * scale)];
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, canvas.clientWidth, canvas.clientHeight);
  return context;
}

/** @param {string} name  A custom property of the style sheet. */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** A live level meter of one audio track, with peak hold. */
export class Meter {
  /** @type {AnalyserNode | null} */ #analyser = null;
  /** @type {MediaStreamAudioSourceNode | null} */ #source = null;
  #samples = new Float32Array(1024);
  #shown = FLOOR;
  #peak = FLOOR;
  #told = 0;

  /** @param {string} id  Of the canvas; `<id>-text` shows the figure. */
  constructor(id) {
    this.canvas = /** @type {HTMLCanvasElement} */ (element(id));
    this.text = /** @type {HTMLOutputElement} */ (element(`${id}-text`));
  }

  /** @param {AudioContext} context @param {MediaStreamTrack} track */
  listen(context, track) {
    this.stop();
    this.#analyser = new AnalyserNode(context, { fftSize: this.#samples.length });
    this.#source = context.createMediaStreamSource(new MediaStream([track]));
    this.#source.connect(this.#analyser);
  }

  stop() {
    this.#source?.disconnect();
    this.#source = this.#analyser = null;
    this.#shown = this.#peak = FLOOR;
    this.text.value = "–";
  }

  /** @param {number} now  Milliseconds; once per picture. */
  draw(now) {
    const context = surface(this.canvas);
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const level = this.#level();
    this.#shown = Math.max(level, this.#shown - 1.2);
    this.#peak = Math.max(level, this.#peak - 0.25);
    const at = (/** @type {number} */ value) => (1 - value / FLOOR) * width;
    context.save();
    context.fillStyle = colour("--track");
    context.beginPath();
    context.roundRect(0, 0, width, height, height / 2);
    context.fill();
    context.clip();
    context.fillStyle = colour("--accent");
    context.fillRect(0, 0, at(Math.min(this.#shown, LOUD)), height);
    context.fillStyle = colour("--loud");
    if (this.#shown > LOUD) context.fillRect(at(LOUD), 0, at(this.#shown) - at(LOUD), height);
    context.fillStyle = colour("--text");
    if (this.#peak > FLOOR) context.fillRect(at(this.#peak) - 2, 0, 2, height);
    context.restore();
    if (this.#analyser && now - this.#told > 250) {
      this.#told = now;
      this.text.value = this.#peak > FLOOR ? `${Math.round(this.#shown)} dB` : "silent";
      this.canvas.ariaValueNow = String(Math.round(this.#shown));
      this.canvas.ariaValueText = this.text.value;
    }
  }

  /** @returns {number} dBFS of the last 20 ms or so */
  #level() {
    if (!this.#analyser) return FLOOR;
    this.#analyser.getFloatTimeDomainData(this.#samples);
    let sum = 0;
    for (const sample of this.#samples) sum += sample * sample;
    return Math.min(0, Math.max(FLOOR, 10 * Math.log10(sum / this.#samples.length + 1e-12)));
  }
}

/** One value over the last two minutes: received as a filled line, sent (if known) dashed. */
export class Chart {
  /** @type {{ heard: number | null, sent: number | null }[]} */ #points = [];

  /**
   * @param {string} id  `<id>-chart` is the canvas, `<id>-value` shows the figure.
   * @param {{ low: number, high: number, grows?: boolean, good: number, show: (value: number) => string }} scale
   *   `good`: a thin line between fine and not; `grows`: `high` makes room for what is larger
   */
  constructor(id, scale) {
    this.canvas = /** @type {HTMLCanvasElement} */ (element(`${id}-chart`));
    this.text = /** @type {HTMLOutputElement} */ (element(`${id}-value`));
    this.scale = scale;
  }

  clear() {
    this.#points = [];
    this.text.value = "–";
    this.draw();
  }

  /** @param {number | null} heard @param {number | null} [sent] */
  add(heard, sent = null) {
    this.#points = [...this.#points, { heard, sent }].slice(-HISTORY);
    this.text.value = heard === null ? "–" : this.scale.show(heard);
    this.draw();
  }

  draw() {
    const context = surface(this.canvas);
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const { low, grows, good } = this.scale;
    const values = this.#points.flatMap(({ heard, sent }) => [heard ?? low, sent ?? low]);
    const high = grows ? Math.max(this.scale.high, ...values) : this.scale.high;
    const y = (/** @type {number} */ value) => height - 2 - ((Math.max(low, value) - low) / (high - low)) * (height - 4);
    const span = Math.max(HISTORY_FIRST, this.#points.length) - 1;
    const x = (/** @type {number} */ index) => width - ((this.#points.length - 1 - index) / span) * width;
    context.strokeStyle = colour("--line");
    context.lineWidth = 1;
    stroke(context, [[0, y(good)], [width, y(good)]], [2, 3]);
    context.lineWidth = 2;
    for (const which of /** @type {const} */ (["sent", "heard"])) {
      /** @type {[number, number][]} */
      const line = this.#points.flatMap((point, index) => (point[which] === null ? [] : [[x(index), y(point[which])]]));
      if (!line.length) continue;
      context.strokeStyle = colour(which === "heard" ? "--accent" : "--sent");
      stroke(context, line, which === "heard" ? [] : [4, 3]);
      if (which === "heard") fill(context, line, height);
    }
  }
}

/** @param {CanvasRenderingContext2D} context @param {[number, number][]} line @param {number[]} dash */
export function stroke(context, line, dash) {
  context.setLineDash(dash);
  context.beginPath();
  for (const [x, y] of line) context.lineTo(x, y);
  context.stroke();
}

/** @param {CanvasRenderingContext2D} context @param {[number, number][]} line @param {number} bottom */
function fill(context, line, bottom) {
  context.lineTo(line.at(-1)?.[0] ?? 0, bottom);
  context.lineTo(line[0]?.[0] ?? 0, bottom);
  context.globalAlpha = 0.14;
  context.fillStyle = colour("--accent");
  context.fill();
  context.globalAlpha = 1;
}
