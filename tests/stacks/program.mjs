// Runs a caller in Node: a JSON command a line on standard input, its reply a line on standard output.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const SLOT_MS = 20;

// What the program is to say: { rate, pcm: Int16Array, packets: [Buffer or null] }.
export function readSound() {
  const { rate, pcm, packets } = JSON.parse(readFileSync(process.argv[2], "utf8"));
  const bytes = new Uint8Array(Buffer.from(pcm, "base64"));
  return {
    rate,
    pcm: new Int16Array(bytes.buffer),
    packets: packets.map((text) => (text === null ? null : Buffer.from(text, "base64"))),
  };
}

// The address to send from; a program in a network of its own is told which.
export const address = process.argv[3] ?? "127.0.0.1";

// Takes commands until standard input ends; a command that fails is replied to with `error`.
export function serve(run) {
  const lines = createInterface({ input: process.stdin });
  let last = Promise.resolve();
  const answer = async (line) => {
    const reply = await run(JSON.parse(line)).catch((error) => ({ error: String(error?.stack ?? error) }));
    process.stdout.write(`${JSON.stringify(reply)}\n`);
  };
  lines.on("line", (line) => (last = last.then(() => answer(line))));
  lines.on("close", () => process.exit(0));
}

// Says packets over and over, one every 20 ms, and keeps what is heard with its time.
export class Conversation {
  constructor(packets, send) {
    this.packets = packets;
    this.send = send;
    this.muted = false;
    this.digit = null;
    this.heard = null;
  }

  start() {
    if (this.began) return;
    this.began = performance.now();
    let slot = 0;
    setInterval(() => {
      for (; slot * SLOT_MS < performance.now() - this.began; slot++) this.say(slot);
    }, 5);
  }

  say(slot) {
    const packet = this.packets[slot % this.packets.length];
    if (this.digit) return this.press(slot);
    if (packet && !this.muted) this.send({ payload: packet, timestamp: slot * 960, event: false });
  }

  // Sends a telephone-event (RFC 4733) of 100 ms instead of the sound; its end three times.
  press(slot) {
    const { digit } = this;
    digit.first ??= slot;
    const packets = slot - digit.first + 1;
    const payload = Buffer.from([digit.event, packets >= 5 ? 0x8a : 0x0a, 0, 0]);
    payload.writeUInt16BE(Math.min(packets, 5) * 160, 2);
    this.send({ payload, timestamp: digit.first * 960, event: true });
    if (packets === 7) this.digit = null;
  }

  take(payload) {
    this.heard?.push([(performance.now() - this.began) / 1000, payload.toString("base64")]);
  }

  async hear(seconds) {
    this.heard = [];
    await sleep(seconds * 1000);
    const packets = this.heard;
    this.heard = null;
    return { packets };
  }
}

// Gives packets of video over and over: 30 pictures a second of 8 packets each, 2 Mbit/s.
export function film(send) {
  const began = performance.now();
  let number = 0;
  setInterval(() => {
    for (; number / 240 < (performance.now() - began) / 1000; number++) {
      const packet = Buffer.alloc(1000, 0x10);
      packet.writeUInt16BE(0x8060, 0);
      packet.writeUInt16BE(number & 0xffff, 2);
      packet.writeUInt32BE(Math.floor(number / 8) * 3000, 4);
      packet.writeUInt32BE(9, 8);
      send(packet);
    }
  }, 5);
}

export function sleep(ms) {
  return new Promise((done) => setTimeout(done, ms));
}
