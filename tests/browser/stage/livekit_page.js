// Makes window.party of livekit-client; its commands stand in tests/stacks/livekit_sdks/party.py.
() => {
  const { DisconnectReason, Room, RoomEvent, Track } = window.LivekitClient;
  const context = new AudioContext({ sampleRate: 16000 });
  const worklet = `registerProcessor("recorder", class extends AudioWorkletProcessor {
    process([input]) {
      if (input[0]) this.port.postMessage(input[0].slice());
      return true;
    }
  });`;
  const loaded = context.audioWorklet.addModule(URL.createObjectURL(new Blob([worklet], { type: "text/javascript" })));
  let room, events, recorder, published;

  const commands = {
    async join({ url, token, single = true }) {
      await loaded;
      room = new Room({ singlePeerConnection: single });
      events = [];
      room.on(RoomEvent.TrackMuted, () => events.push(["track_muted"]));
      room.on(RoomEvent.Disconnected, (reason) => events.push(["disconnected", DisconnectReason[reason]]));
      room.on(RoomEvent.TrackSubscribed, (track) => {
        track.attach().play();  // without a player Chromium gives WebAudio nothing of a remote track
        recorder = new AudioWorkletNode(context, "recorder", { channelCount: 1, channelCountMode: "explicit" });
        context.createMediaStreamSource(new MediaStream([track.mediaStreamTrack])).connect(recorder).connect(context.destination);
      });
      await room.connect(url, token);
    },
    async publish({ hertz }) {
      const tone = new OscillatorNode(context, { frequency: hertz });
      const destination = context.createMediaStreamDestination();
      tone.connect(new GainNode(context, { gain: 8000 / 32768 })).connect(destination);
      tone.start();
      const [track] = destination.stream.getAudioTracks();
      published = await room.localParticipant.publishTrack(track, { source: Track.Source.Microphone });
    },
    mute: ({ muted }) => (muted ? published.track.mute() : published.track.unmute()),
    async hear({ seconds }) {
      const pieces = [];
      if (recorder) recorder.port.onmessage = ({ data }) => pieces.push(...data);
      await new Promise((done) => setTimeout(done, seconds * 1000));
      if (recorder) recorder.port.onmessage = null;
      const bytes = new Uint8Array(Int16Array.from(pieces, (x) => x * 32767).buffer);
      return { offset: 0, rate: 16000, pcm: btoa(bytes.reduce((text, byte) => text + String.fromCharCode(byte), "")) };
    },
    events: () => ({ events }),
    async leave() {
      await room.disconnect();
      recorder = undefined;
    },
  };
  window.party = { run: async ({ do: name, ...options }) => (await commands[name](options)) ?? {} };
}
