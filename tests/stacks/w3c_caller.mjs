// A caller with the API of the W3C, in a page or in Node; its commands stand in tests/stacks/caller.py.
// `platform` has RTCPeerConnection, microphone(), camera(), ear(track) and, if it can be, certificate(kind).

const RELAY = { iceTransportPolicy: "relay" };
const POLICIES = { bundled: "max-bundle", balanced: "balanced", separate: "max-compat" };

export class Caller {
  constructor(platform) {
    this.platform = platform;
  }

  // Runs a command; what the platform cannot do is told as `cannot`.
  async run({ do: name, ...options }) {
    return (await this[name](options)) ?? {};
  }

  async open({ lines = ["audio"], bundle = "balanced", certificate, relay, semantics, tracks = 1, dtx = false, camera = false }) {
    const { platform } = this;
    if (semantics === "plan-b" && !platform.planB) return { cannot: "it speaks Unified Plan only" };
    if (certificate === "rsa" && !platform.certificate) return { cannot: "its API has no choice of certificate" };
    const configuration = { iceServers: relay ? [relay] : [], bundlePolicy: POLICIES[bundle], ...(relay ? RELAY : {}) };
    if (certificate && platform.certificate) configuration.certificates = [await platform.certificate(certificate)];
    if (semantics) configuration.sdpSemantics = semantics;
    this.dtx = dtx;
    this.peer = new platform.RTCPeerConnection(configuration);
    this.microphone = await platform.microphone();
    for (const line of lines) {
      if (line === "audio" && semantics === "plan-b") {
        const all = await Promise.all(Array.from({ length: tracks }, () => platform.microphone()));
        for (const track of all) this.sender = this.peer.addTrack(track, new platform.MediaStream());
      } else if (line === "audio") {
        this.transceiver = this.peer.addTransceiver(this.microphone, { direction: "sendrecv" });
        this.sender = this.transceiver.sender;
      }
      if (line === "video" && camera) this.peer.addTransceiver(platform.camera(), { direction: "sendrecv" });
      else if (line === "video") this.peer.addTransceiver("video", { direction: "recvonly" });
      if (line === "data") this.peer.createDataChannel("chat");
    }
  }

  async offer({ restart = false, trickle = false }) {
    const { peer } = this;
    await peer.setLocalDescription(await peer.createOffer({ iceRestart: restart }));
    if (trickle) return { sdp: peer.localDescription.sdp.replace(/a=(candidate:.*|end-of-candidates)\r\n/g, "") };
    while (peer.iceGatheringState !== "complete") await sleep(10);
    return { sdp: peer.localDescription.sdp };
  }

  async accept({ sdp }) {
    const { peer } = this;
    const spoken = this.dtx ? sdp.replace("usedtx=0", "usedtx=1") : sdp;
    await peer.setRemoteDescription({ type: "answer", sdp: spoken });
    const until = Date.now() + 15000;
    while (peer.connectionState !== "connected") {
      if (peer.connectionState === "failed" || Date.now() > until) throw new Error(`it is ${peer.connectionState}`);
      await sleep(10);
    }
    if (this.transceiver && !this.ear) this.ear = await this.platform.ear(this.transceiver.receiver.track);
  }

  hold({ held }) {
    this.transceiver.direction = held ? "inactive" : "sendrecv";
  }

  mute({ muted }) {
    this.microphone.enabled = !muted;
  }

  async press({ digit }) {
    const { dtmf } = this.sender;
    if (!dtmf) return { cannot: "its API has no RTCDTMFSender" };
    while (!dtmf.canInsertDTMF) await sleep(10);
    dtmf.insertDTMF(digit, 100, 50);
  }

  hear({ seconds }) {
    return this.ear(seconds);
  }

  close() {
    this.peer.close();
  }
}

function sleep(ms) {
  return new Promise((done) => setTimeout(done, ms));
}
