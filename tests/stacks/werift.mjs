// A caller made of werift; its commands stand in tests/stacks/caller.py.
import { MediaStreamTrack, RTCPeerConnection, RtpHeader, RtpPacket } from "werift";
import { address, Conversation, film, readSound, serve, sleep } from "./program.mjs";

const SIGNATURES = { rsa: 1, ecdsa: 3 };  // RFC 5246, 7.4.1.4.1
const SHA256 = 4;
const conversation = new Conversation(readSound().packets, send);
let peer;
let audio;
let sequence = 0;

function send({ payload, timestamp }) {
  sequence = (sequence + 1) & 0xffff;
  const header = new RtpHeader({ payloadType: 96, sequenceNumber: sequence, timestamp, ssrc: 7 });
  microphone.writeRtp(new RtpPacket(header, payload));
}

const microphone = new MediaStreamTrack({ kind: "audio" });
const commands = {
  open({ lines, bundle, certificate, pem, relay, semantics, camera }) {
    if (semantics === "plan-b") return { cannot: "it speaks Unified Plan only" };
    const configuration = {
      iceServers: relay ? [relay] : [],
      iceTransportPolicy: relay ? "relay" : "all",
      iceAdditionalHostAddresses: [address],
      bundlePolicy: bundle === "separate" ? "disable" : "max-bundle",
    };
    if (certificate) {
      const signatureHash = { signature: SIGNATURES[certificate], hash: SHA256 };
      configuration.dtls = { keys: { certPem: pem.certificate, keyPem: pem.key, signatureHash } };
    }
    peer = new RTCPeerConnection(configuration);
    for (const line of lines) {
      if (line === "audio") audio = peer.addTransceiver(microphone, { direction: "sendrecv" });
      if (line === "video" && camera) {
        const track = new MediaStreamTrack({ kind: "video" });
        peer.addTransceiver(track, { direction: "sendrecv" });
        film((packet) => track.writeRtp(RtpPacket.deSerialize(packet)));
      } else if (line === "video") peer.addTransceiver("video", { direction: "recvonly" });
      if (line === "data") peer.createDataChannel("chat");
    }
    audio.onTrack.subscribe((track) => track.onReceiveRtp.subscribe((packet) => conversation.take(packet.payload)));
  },
  async offer({ restart, trickle }) {
    await peer.setLocalDescription(await peer.createOffer({ iceRestart: restart }));
    const { sdp } = peer.localDescription;
    return { sdp: trickle ? sdp.replace(/a=(candidate:.*|end-of-candidates)\r\n/g, "") : sdp };
  },
  async accept({ sdp, wait = true }) {
    await peer.setRemoteDescription({ type: "answer", sdp });
    for (let waited = 0; wait && peer.connectionState !== "connected"; waited++) {
      if (waited > 1500 || peer.connectionState === "failed") throw new Error(`it is ${peer.connectionState}`);
      await sleep(10);
    }
    conversation.start();
  },
  hold({ held }) {
    audio.setDirection(held ? "inactive" : "sendrecv");
  },
  mute({ muted }) {
    conversation.muted = muted;
  },
  press() {
    return { cannot: "its tracks write packets of one payload type" };
  },
  hear: ({ seconds }) => conversation.hear(seconds),
  close: () => peer.close(),
};
serve(async ({ do: name, ...options }) => (await commands[name](options)) ?? {});
