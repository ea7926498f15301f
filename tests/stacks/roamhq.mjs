// A caller made of @roamhq/wrtc (libwebrtc); its commands stand in tests/stacks/caller.py.
import wrtc from "@roamhq/wrtc";
import { readSound, serve, sleep } from "./program.mjs";
import { Caller } from "./w3c_caller.mjs";

const { RTCAudioSink, RTCAudioSource, RTCVideoSource } = wrtc.nonstandard;
const RATE = 48000;
const STEP_MS = 10;
const sound = readSound();
// The same at the rate of the stack, each sample so often.
const wide = new Int16Array(sound.pcm.length * (RATE / sound.rate));
wide.forEach((_, index) => (wide[index] = sound.pcm[Math.floor((index * sound.rate) / RATE)]));
const size = (RATE * STEP_MS) / 1000;
let began;

function microphone() {
  const source = new RTCAudioSource();
  const track = source.createTrack();
  began ??= performance.now();
  let step = 0;
  setInterval(() => {
    for (; step * STEP_MS < performance.now() - began; step++) {
      const at = (step * size) % wide.length;
      source.onData({ samples: wide.slice(at, at + size), sampleRate: RATE, bitsPerSample: 16, channelCount: 1 });
    }
  }, 5);
  return track;
}

function camera() {
  const source = new RTCVideoSource();
  const [width, height] = [320, 240];
  const data = new Uint8ClampedArray((width * height * 3) / 2);
  setInterval(() => source.onFrame({ width, height, data: data.map(() => Math.random() * 256) }), 33);
  return source.createTrack();
}

function ear(track) {
  const sink = new RTCAudioSink(track);
  return async (seconds) => {
    let offset = 0;
    const pieces = [];
    let rate = RATE;
    sink.ondata = ({ samples, sampleRate, channelCount }) => {
      rate = sampleRate;
      if (!pieces.length) offset = (performance.now() - began) / 1000 - samples.length / channelCount / rate;
      pieces.push(Buffer.from(samples.filter((_, index) => index % channelCount === 0).buffer));
    };
    await sleep(seconds * 1000);
    sink.ondata = null;
    return { offset, rate, pcm: Buffer.concat(pieces).toString("base64") };
  };
}

const caller = new Caller({
  RTCPeerConnection: wrtc.RTCPeerConnection,
  MediaStream: wrtc.MediaStream,
  planB: true,
  microphone,
  camera,
  ear,
});
serve((command) => caller.run(command));
