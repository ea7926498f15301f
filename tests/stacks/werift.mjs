// A caller made of werift; how it is spoken to stands in tests/stacks/caller.py.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { MediaStreamTrack, RTCPeerConnection, RtpHeader, RtpPacket } from "werift";

const HEARD_ENOUGH = 25;
const [kinds, file] = process.argv.slice(2);
const sound = JSON.parse(readFileSync(file, "utf8")).map((text) => Buffer.from(text, "base64"));

const peer = new RTCPeerConnection({ iceServers: [], iceAdditionalHostAddresses: ["127.0.0.1"] });
const microphone = new MediaStreamTrack({ kind: "audio" });
let audio;
for (const kind of kinds.split(",")) {
  if (kind === "audio") audio = peer.addTransceiver(microphone, { direction: "sendrecv" });
  if (kind === "video") peer.addTransceiver("video", { direction: "recvonly" });
  if (kind === "data") peer.createDataChannel("chat");
}
const heard = [];
audio.onTrack.subscribe((track) => track.onReceiveRtp.subscribe((packet) => {
  heard.push(packet.payload.toString("base64"));
  if (heard.length === HEARD_ENOUGH) {
    process.stdout.write(`${JSON.stringify({ heard })}\n`, () => process.exit(0));
  }
}));

await peer.setLocalDescription(await peer.createOffer());
console.log(JSON.stringify({ offer: peer.localDescription.sdp }));
createInterface({ input: process.stdin }).once("line", async (line) => {
  await peer.setRemoteDescription({ type: "answer", sdp: JSON.parse(line).answer });
  const begun = Date.now();
  let number = 0;
  setInterval(() => {
    for (; number * 20 < Date.now() - begun; number++) {
      const header = new RtpHeader({ payloadType: 96, sequenceNumber: number, timestamp: number * 960, ssrc: 7 });
      microphone.writeRtp(new RtpPacket(header, sound[number % sound.length]));
    }
  }, 5);
});
