// Makes window.caller of w3c_caller.mjs: a microphone that says samples over and over, and an ear on the same clock.
async ({ pcm, rate }) => {
  const context = new AudioContext({ sampleRate: rate });
  await context.resume();
  const samples = Float32Array.from(new Int16Array(Uint8Array.from(atob(pcm), (c) => c.charCodeAt(0)).buffer), (x) => x / 32768);
  const buffer = context.createBuffer(1, samples.length, rate);
  buffer.copyToChannel(samples, 0);
  const code = `registerProcessor("recorder", class extends AudioWorkletProcessor {
    process([input]) {
      this.port.postMessage({ at: currentTime, samples: input[0]?.slice() });
      return true;
    }
  });`;
  await context.audioWorklet.addModule(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
  let began;

  const microphone = () => {
    const source = new AudioBufferSourceNode(context, { buffer, loop: true });
    const destination = context.createMediaStreamDestination();
    source.connect(destination);
    began ??= context.currentTime + 0.05;
    source.start(began);
    return destination.stream.getAudioTracks()[0];
  };

  const camera = () => {
    const canvas = document.createElement("canvas");
    const picture = canvas.getContext("2d");
    setInterval(() => {
      picture.fillStyle = `rgb(${[0, 0, 0].map(() => Math.floor(Math.random() * 256))})`;
      picture.fillRect(0, 0, canvas.width, canvas.height);
    }, 33);
    return canvas.captureStream(30).getVideoTracks()[0];
  };

  const ear = (track) => {
    const stream = new MediaStream([track]);
    const player = new Audio();  // without one Chromium gives WebAudio nothing of a remote track
    player.srcObject = stream;
    player.play();
    const recorder = new AudioWorkletNode(context, "recorder", { channelCount: 1, channelCountMode: "explicit" });
    context.createMediaStreamSource(stream).connect(recorder).connect(context.destination);
    return async (seconds) => {
      const pieces = [];
      recorder.port.onmessage = ({ data }) => data.samples && pieces.push(data);
      await new Promise((done) => setTimeout(done, seconds * 1000));
      recorder.port.onmessage = null;
      const sound = Int16Array.from(pieces.flatMap((one) => [...one.samples]), (x) => Math.max(-1, Math.min(1, x)) * 32767);
      const bytes = new Uint8Array(sound.buffer);
      let text = "";
      for (let i = 0; i < bytes.length; i += 32768) text += String.fromCharCode(...bytes.subarray(i, i + 32768));
      return { offset: pieces.length ? pieces[0].at - began : 0, rate, pcm: btoa(text) };
    };
  };

  window.caller = new Caller({
    RTCPeerConnection, MediaStream, microphone, camera, ear,
    certificate: (kind) => RTCPeerConnection.generateCertificate(kind === "rsa"
      ? { name: "RSASSA-PKCS1-v1_5", modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]), hash: "SHA-256" }
      : { name: "ECDSA", namedCurve: "P-256" }),
  });
}
