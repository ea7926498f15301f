"""Browsers offer video and data beside their microphone, in any order and bundled or not."""

import pytest

from tests.browser.stage.window import ENGINES, Engines
from tests.support.server import Server

CALL = """
async ({ lines, policy }) => {
  const ask = async (path, body) => {
    const reply = await fetch(path, {
      method: "POST", headers: { token: "demo", "Content-Type": "application/json" }, body: JSON.stringify(body),
    });
    if (!reply.ok) throw new Error(`${path}: ${reply.status}`);
    return reply.json();
  };
  const callID = (await ask("/call/dial", { phone: "15550100001" })).data.callId;
  const microphone = await navigator.mediaDevices.getUserMedia({ audio: true });
  const peer = new RTCPeerConnection({ bundlePolicy: policy === "none" ? "max-compat" : policy });
  let sound;
  for (const line of lines) {
    if (line === "audio") sound = peer.addTransceiver(microphone.getAudioTracks()[0]);
    if (line === "video") peer.addTransceiver("video", { direction: "recvonly" });
    if (line === "data") peer.createDataChannel("chat");
  }
  await peer.setLocalDescription();
  await new Promise((done) => {
    const look = () => peer.iceGatheringState === "complete" && done();
    peer.onicegatheringstatechange = look;
    look();
  });
  let sdp = peer.localDescription.sdp;
  if (policy === "none") sdp = sdp.replace(/a=group:.*\\r\\n/, "");
  const answer = await ask("/call/webrtc/offer", { callID, type: "offer", sdp });
  await peer.setRemoteDescription({ type: "answer", sdp: answer.sdp });
  const player = new Audio();
  player.srcObject = new MediaStream([sound.receiver.track]);
  player.play();
  const energy = async () => {
    for (const one of (await sound.receiver.getStats()).values())
      if (one.type === "inbound-rtp") return one.totalAudioEnergy ?? 0;
    return 0;
  };
  const until = performance.now() + 10000;
  while (performance.now() < until && !(await energy() > 0.001)) await new Promise((done) => setTimeout(done, 50));
  const heard = await energy();
  peer.close();
  return heard;
}
"""
LAST, FIRST = ("audio", "video", "data"), ("video", "audio", "data")
OFFERS = ((LAST, "balanced"), (LAST, "none"), (FIRST, "balanced"), (FIRST, "max-bundle"))


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_browser_hears_itself_whatever_else_it_offers(
    engine: str, engines: Engines, server: Server
):
    async with engines.window(engine) as page:
        await page.goto(f"{server.url}/healthz")
        heard = {
            (lines, policy): await page.evaluate(CALL, {"lines": lines, "policy": policy})
            for lines, policy in OFFERS
        }
    assert {key: energy for key, energy in heard.items() if energy <= 0.001} == {}
