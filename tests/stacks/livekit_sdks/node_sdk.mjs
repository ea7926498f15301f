// A party made of LiveKit's SDK for Node; its commands stand in tests/stacks/livekit_sdks/party.py.
import {
  AudioFrame, AudioSource, AudioStream, DisconnectReason, LocalAudioTrack, Room, RoomEvent, TrackPublishOptions, TrackSource,
} from "@livekit/rtc-node";
import { serve, sleep } from "../program.mjs";

const RATE = 48_000;
const FRAME = RATE / 100;
const PEAK = 8_000;
const room = new Room();
const events = [];
let pieces;
let track;

const note = (...words) => events.push(words);
room.on(RoomEvent.TrackMuted, () => note("track_muted"));
room.on(RoomEvent.TrackUnmuted, () => note("track_unmuted"));
room.on(RoomEvent.Disconnected, (reason) => note("disconnected", DisconnectReason[reason]));
room.on(RoomEvent.TrackSubscribed, async (remote) => {
  note("track_subscribed");
  for await (const { data } of new AudioStream(remote, RATE, 1)) pieces?.push(Buffer.from(data.buffer, data.byteOffset, data.byteLength));
});

async function speak(source, hertz) {
  for (let at = 0; ; at += FRAME) {
    const samples = Int16Array.from({ length: FRAME }, (_, n) => PEAK * Math.sin((2 * Math.PI * hertz * (at + n)) / RATE));
    await source.captureFrame(new AudioFrame(samples, RATE, 1, FRAME));
  }
}

const commands = {
  async join({ url, token }) {
    await room.connect(url, token, { autoSubscribe: true, dynacast: false });
    return { others: [...room.remoteParticipants.values()].map(({ identity, kind, attributes }) => [identity, kind, attributes]) };
  },
  async publish({ hertz }) {
    const source = new AudioSource(RATE, 1);
    track = LocalAudioTrack.createAudioTrack("microphone", source);
    speak(source, hertz);
    await room.localParticipant.publishTrack(track, new TrackPublishOptions({ source: TrackSource.SOURCE_MICROPHONE }));
  },
  mute: ({ muted }) => (muted ? track.mute() : track.unmute()),
  async hear({ seconds }) {
    pieces = [];
    await sleep(seconds * 1000);
    const pcm = Buffer.concat(pieces).toString("base64");
    pieces = undefined;
    return { offset: 0, rate: RATE, pcm };
  },
  events: () => ({ events }),
  leave: () => room.disconnect(),
};
serve(async ({ do: name, ...options }) => (await commands[name](options)) ?? {});
