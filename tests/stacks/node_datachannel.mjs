// A caller made of node-datachannel (libdatachannel); how it is spoken to stands in caller.py.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { Audio, PeerConnection, Video } from "node-datachannel";

const HEARD_ENOUGH = 25;
const SSRC = 7;
const PAYLOAD_TYPE = 111;
const [kinds, file] = process.argv.slice(2);
const sound = JSON.parse(readFileSync(file, "utf8")).map((text) => Buffer.from(text, "base64"));

const peer = new PeerConnection("caller", { iceServers: [], bindAddress: "127.0.0.1", disableAutoNegotiation: true });
const kept = [];  // so that nothing is collected
let track;
for (const kind of kinds.split(",")) {
  if (kind === "audio") {
    const audio = new Audio("voice", "SendRecv");
    audio.addOpusCodec(PAYLOAD_TYPE);
    audio.addSSRC(SSRC, "caller", "caller", "microphone");
    track = peer.addTrack(audio);
  }
  if (kind === "video") {
    const video = new Video("picture", "RecvOnly");
    video.addH264Codec(96);
    kept.push(peer.addTrack(video));
  }
  if (kind === "data") kept.push(peer.createDataChannel("chat"));
}
const heard = [];
track.onMessage((packet) => {
  if (packet[1] >= 192 && packet[1] < 224) return;  // RTCP
  const extension = packet[0] & 0x10 ? 4 + 4 * packet.readUInt16BE(14) : 0;
  heard.push(packet.subarray(12 + extension).toString("base64"));
  if (heard.length === HEARD_ENOUGH) {
    process.stdout.write(`${JSON.stringify({ heard })}\n`, () => process.exit(0));
  }
});
peer.onGatheringStateChange((state) => {
  if (state === "complete") console.log(JSON.stringify({ offer: peer.localDescription().sdp }));
});
peer.setLocalDescription("offer");
createInterface({ input: process.stdin }).once("line", (line) => {
  peer.setRemoteDescription(JSON.parse(line).answer, "answer");
  const begun = Date.now();
  let number = 0;
  setInterval(() => {
    if (!track.isOpen()) return;
    for (; number * 20 < Date.now() - begun; number++) {
      const header = Buffer.from([0x80, PAYLOAD_TYPE, 0, 0, 0, 0, 0, 0, 0, 0, 0, SSRC]);
      header.writeUInt16BE(number & 0xffff, 2);
      header.writeUInt32BE(number * 960, 4);
      track.sendMessageBinary(Buffer.concat([header, sound[number % sound.length]]));
    }
  }, 5);
});
