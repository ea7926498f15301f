// A caller made of node-datachannel (libdatachannel); its commands stand in tests/stacks/caller.py.
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Audio, PeerConnection, Video } from "node-datachannel";
import { address, Conversation, film, readSound, serve, sleep } from "./program.mjs";

const SSRC = 7;
const OPUS = 111;
const EVENTS = 101;
const conversation = new Conversation(readSound().packets, send);
const kept = [];  // so that nothing is collected
let peer;
let audio;
let track;
let sequence = 0;

function send({ payload, timestamp, event }) {
  if (!track.isOpen()) return;
  sequence = (sequence + 1) & 0xffff;
  const header = Buffer.from([0x80, event ? EVENTS : OPUS, 0, 0, 0, 0, 0, 0, 0, 0, 0, SSRC]);
  header.writeUInt16BE(sequence, 2);
  header.writeUInt32BE(timestamp, 4);
  track.sendMessageBinary(Buffer.concat([header, payload]));
}

function take(packet) {
  if (packet[1] >= 192 && packet[1] < 224) return;  // RTCP
  const extension = packet[0] & 0x10 ? 4 + 4 * packet.readUInt16BE(14) : 0;
  conversation.take(packet.subarray(12 + extension));
}

function pemFiles(pem) {
  const folder = mkdtempSync(join(tmpdir(), "caller-"));
  const [certificatePemFile, keyPemFile] = ["certificate", "key"].map((name) => join(folder, name));
  writeFileSync(certificatePemFile, pem.certificate);
  writeFileSync(keyPemFile, pem.key);
  return { certificatePemFile, keyPemFile };
}

function server({ urls, username, credential }) {
  const [, hostname, port, transport] = /^turn:(.*):(\d+)\?transport=(\w+)$/.exec(urls);
  return { hostname, port: Number(port), username, password: credential, relayType: transport === "tcp" ? "TurnTcp" : "TurnUdp" };
}

const commands = {
  open({ lines, certificate, pem, relay, semantics, camera }) {
    if (semantics === "plan-b") return { cannot: "it speaks Unified Plan only" };
    if (relay?.urls.endsWith("tcp")) return { cannot: "its ICE agent (libjuice) has TURN over UDP alone" };
    peer = new PeerConnection("caller", {
      iceServers: relay ? [server(relay)] : [],
      iceTransportPolicy: relay ? "relay" : "all",
      bindAddress: address,
      disableAutoNegotiation: true,
      ...(certificate ? pemFiles(pem) : {}),
    });
    for (const line of lines) {
      if (line === "audio") {
        audio = new Audio("voice", "SendRecv");
        audio.addOpusCodec(OPUS);
        audio.addAudioCodec(EVENTS, "telephone-event/8000");
        audio.addSSRC(SSRC, "caller", "caller", "microphone");
        track = peer.addTrack(audio);
      }
      if (line === "video") {
        const video = new Video("picture", camera ? "SendRecv" : "RecvOnly");
        video.addH264Codec(96);
        if (camera) video.addSSRC(9, "caller", "caller", "camera");
        const picture = peer.addTrack(video);
        kept.push(picture);
        if (camera) film((packet) => picture.isOpen() && picture.sendMessageBinary(packet));
      }
      if (line === "data") kept.push(peer.createDataChannel("chat"));
    }
    track.onMessage(take);
  },
  async offer({ restart, trickle }) {
    if (restart) return { cannot: "libdatachannel has no ICE restart" };
    peer.setLocalDescription("offer");
    while (peer.gatheringState() !== "complete") await sleep(10);
    const { sdp } = peer.localDescription();
    return { sdp: trickle ? sdp.replace(/a=(candidate:.*|end-of-candidates)\r\n/g, "") : sdp };
  },
  async accept({ sdp, wait = true }) {
    peer.setRemoteDescription(sdp, "answer");
    for (let waited = 0; wait && (peer.state() !== "connected" || !track.isOpen()); waited++) {
      if (waited > 1500 || peer.state() === "failed") throw new Error(`it is ${peer.state()}`);
      await sleep(10);
    }
    conversation.start();
  },
  hold({ held }) {
    return { cannot: "its tracks keep the direction that they were made with", held };
  },
  mute({ muted }) {
    conversation.muted = muted;
  },
  press({ digit }) {
    conversation.digit = { event: "0123456789*#ABCD".indexOf(digit) };
  },
  hear: ({ seconds }) => conversation.hear(seconds),
  close: () => peer.close(),
};
serve(async ({ do: name, ...options }) => (await commands[name](options)) ?? {});
