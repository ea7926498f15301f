"""A page holds its call by renegotiation and takes it back: what WebAudio hears of it."""

import pytest
from playwright.async_api import Browser

from tests.browser.stage.chromium import Visitor, record
from tests.browser.stage.speech import level
from tests.support.server import Server

pytestmark = pytest.mark.browser

CONNECT = """
async () => {
  const { BridgeApi, BridgeCall, openMicrophone } = await import("/web/bridge.js");
  const api = new BridgeApi({ key: "demo" });
  const call = new BridgeCall(api, await api.dial("15550100001"));
  window.app = { call };
  const player = new Audio();  // without one Chromium gives WebAudio nothing of a remote track
  player.srcObject = call.remoteStream;
  player.autoplay = true;
  await call.connect(await openMicrophone());
}
"""
RENEGOTIATE = """
async (direction) => {
  const peer = window.heard.peers.at(-1);
  peer.getTransceivers()[0].direction = direction;
  await peer.setLocalDescription();
  const { callId, legId } = window.app.call;
  const reply = await fetch("/call/webrtc/offer", {
    method: "POST",
    headers: { token: "demo", "Content-Type": "application/json" },
    body: JSON.stringify({ callID: callId, legID: legId, type: "offer", sdp: peer.localDescription.sdp }),
  });
  if (!reply.ok) throw new Error(`refused: ${reply.status}`);
  await peer.setRemoteDescription({ type: "answer", sdp: (await reply.json()).sdp });
}
"""


async def test_web_audio_hears_the_call_again_after_hold(browser: Browser, server: Server):
    async with Visitor.visit(browser, server, path="/healthz") as visitor:
        page = visitor.page
        await page.evaluate(CONNECT)
        before = await record(page, 3.0)
        for direction in ("inactive", "sendrecv"):
            await page.evaluate(RENEGOTIATE, direction)
        after = await record(page, 3.0)
    assert level(before.received) > -50
    assert level(after.received) > level(before.received) - 15
