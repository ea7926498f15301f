"""An app that sends a steady tone to the echo contact and writes down when it comes back."""

import asyncio
import time
from typing import Any

from tests.browser.stage.window import Window

ECHO = "15550100001"
LOUD = 0.01
CLICK_MS = 150.0
# Everything the library tells, with the page's clock (ms since 1970), and how loud the bridge's sound is.
APP = """
async ({ number, key, options }) => {
  const { BridgeApi, BridgeCall } = await import("/web/bridge.js");
  const api = new BridgeApi({ key });
  const context = new AudioContext();
  const tone = new OscillatorNode(context, { frequency: 440 });
  const gain = new GainNode(context, { gain: 0.3 });
  const microphone = context.createMediaStreamDestination();
  tone.connect(gain).connect(microphone);
  tone.start();
  const callId = options.callId ?? await api.dial(number);
  const call = new BridgeCall(api, callId, options);
  const app = { api, call, context, gain, states: [], sound: [], qualities: [] };
  window.app = app;
  call.on("state", ({ state, error }) => app.states.push([Date.now(), error ? `${state}: ${error.code}` : state]));
  call.on("quality", (quality) => app.qualities.push(quality));
  app.player = new Audio();
  app.player.srcObject = call.remoteStream;
  app.player.autoplay = true;
  const analyser = new AnalyserNode(context, { fftSize: 1024 });
  const samples = new Float32Array(1024);
  let source = null;
  call.on("track", (track) => {
    source?.disconnect();
    source = context.createMediaStreamSource(new MediaStream([track]));
    source.connect(analyser);
  });
  setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    app.sound.push([Date.now(), Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length)]);
  }, 50);
  await call.connect(microphone.stream.getAudioTracks()[0]);
  return callId;
}
"""
SOUND = "(since) => window.app.sound.filter(([at]) => at > since)"
STATES = "() => window.app.states"


async def call(page: Window, key: str = "demo", number: str = ECHO, **options: Any) -> str:
    """Call from the page; gives the call's id."""
    wanted = {"number": number, "key": key, "options": options}
    call_id: str = await page.evaluate(APP, wanted)
    return call_id


async def loud(page: Window, seconds: float = 30.0) -> None:
    """Wait until the tone comes back, steadily for half a second."""
    async with asyncio.timeout(seconds):
        while True:
            last = await page.evaluate("() => window.app.sound.slice(-10)")
            if len(last) == 10 and all(level > LOUD for _, level in last):
                return
            await asyncio.sleep(0.1)


async def state(page: Window, wanted: str, seconds: float = 30.0) -> float:
    """Wait until the library tells this state; gives when it did, in seconds since 1970."""
    async with asyncio.timeout(seconds):
        while True:
            told = await page.evaluate(STATES)
            if told and told[-1][1] == wanted:
                return float(told[-1][0]) / 1000
            await asyncio.sleep(0.05)


async def sound_back(page: Window, since: float, *, within: float, settled: float = 3.0) -> float:
    """Seconds from `since` (since 1970) until the tone is back for good.

    Args:
        page: Runs the app.
        since: When the network came back.
        within: Seconds to wait at most.
        settled: The tone must have been there for so many seconds without a break.
    """
    while True:
        levels = await page.evaluate(SOUND, since * 1000)
        back = max(0.0, _last_silence(levels) / 1000 - since)
        if levels and levels[-1][0] / 1000 - since - back >= settled:
            return back
        if time.time() - since > within + settled:
            raise AssertionError(f"no sound for {back:.1f} s; {await page.evaluate(STATES)}")
        await asyncio.sleep(0.2)


def _last_silence(levels: list[tuple[float, float]]) -> float:
    """When the last stretch of silence ended; a click of a busy machine is none."""
    ended, begun = 0.0, None
    for at, level in levels:
        if level > LOUD:
            begun = None
            continue
        begun = begun or at
        if at - begun >= CLICK_MS:
            ended = at
    return ended
