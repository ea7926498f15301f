"""Debian's Chromium under Playwright, with what a test wants to see and hear of a page."""

import base64
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.async_api import (
    Browser,
    ConsoleMessage,
    Locator,
    Page,
    Playwright,
    Request,
    expect,
)

SPEECH = Path(__file__).parents[2] / "support" / "sound" / "speech" / "female_us.wav"
RATE = 16_000

SCHEMES = ["light", pytest.param("dark", marks=pytest.mark.full)]
"""For what hardly depends on colours."""

ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    # The address bar's own pages and spare renderers took half of the time of these tests; the last of
    # two lists of features wins, and the rest of this one is Playwright's.
    "--disable-features=WebUIOmniboxPopup,WebUIOmniboxAimPopup,SpareRendererForSitePerProcess,"
    "DestroyProfileOnBrowserClose,HttpsUpgrades,MediaRouter,OptimizationHints,PaintHolding",
    # For machines without a network: without it Chromium offers no loopback address.
    "--allow-loopback-in-peer-connection",
    # An origin without TLS that is not loopback's name.
    "--host-resolver-rules=MAP bridge.test 127.0.0.1",
)

# Remembers the page's connections and microphones, which its modules keep to themselves; sound that
# comes without a connection a test puts at `remote`.
WATCH = """
window.heard = { peers: [], microphones: [] };
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...all) { super(...all); window.heard.peers.push(this); }
};
const open = navigator.mediaDevices?.getUserMedia.bind(navigator.mediaDevices);
if (open) navigator.mediaDevices.getUserMedia = async (wishes) => {
  const stream = await open(wishes);
  window.heard.microphones.push(stream.getAudioTracks()[0]);
  return stream;
};
"""

# Records the microphone and the sound of the other side on one clock.
RECORD = """
async ({ seconds, rate }) => {
  const context = new AudioContext({ sampleRate: rate });
  const code = `registerProcessor("recorder", class extends AudioWorkletProcessor {
    process([input]) {
      if (input.length === 2) this.port.postMessage([input[0].slice(), input[1].slice()]);
      return true;
    }
  });`;
  await context.audioWorklet.addModule(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
  const recorder = new AudioWorkletNode(context, "recorder", {
    numberOfInputs: 1, channelCount: 2, channelCountMode: "explicit", channelInterpretation: "discrete",
  });
  const merger = context.createChannelMerger(2);
  const receiver = window.heard.remote ? undefined : window.heard.peers.at(-1).getReceivers()[0];
  const remote = window.heard.remote ?? receiver.track;
  const played = async () => {
    const stats = receiver ? [...(await receiver.getStats()).values()] : [];
    const { jitterBufferDelay: delay = 0, jitterBufferEmittedCount: samples = 0 } =
      stats.find((one) => one.type === "inbound-rtp") ?? {};
    return { delay, samples };
  };
  const tracks = [window.heard.microphones.at(-1), remote];
  tracks.forEach((track, index) =>
    context.createMediaStreamSource(new MediaStream([track])).connect(merger, 0, index));
  merger.connect(recorder).connect(context.destination);
  const wanted = Math.round(seconds * rate);
  const before = await played();
  const sound = [new Float32Array(wanted), new Float32Array(wanted)];
  let at = 0;
  await new Promise((done) => {
    recorder.port.onmessage = ({ data }) => {
      const room = Math.min(data[0].length, wanted - at);
      if (room > 0) sound.forEach((channel, index) => channel.set(data[index].subarray(0, room), at));
      at += room;
      if (at >= wanted) done();
    };
  });
  const after = await played();
  await context.close();
  const buffered = (after.delay - before.delay) / Math.max(1, after.samples - before.samples);
  const coded = sound.map((channel) => {
    const bytes = new Uint8Array(channel.buffer);
    let text = "";
    for (let i = 0; i < bytes.length; i += 32768) text += String.fromCharCode(...bytes.subarray(i, i + 32768));
    return btoa(text);
  });
  return { coded, buffered };
}
"""

Sound = NDArray[np.float32]
"""Mono at 16 kHz, -1 to 1."""


@dataclass(frozen=True, slots=True)
class Recording:
    """What the microphone gave and what the page received, sample by sample on one clock."""

    microphone: Sound
    received: Sound
    buffered: float
    """Seconds that the page's jitter buffer held what it played, in the mean, by its own count; 0 without a connection."""


async def launch(
    playwright: Playwright, *, microphone: Path | None, more: tuple[str, ...] = ()
) -> Browser:
    """Start Chromium with a file as its microphone.

    Args:
        playwright: Runs it.
        microphone: WAV, repeated for ever; None for the machine's own devices.
        more: Further arguments; a later one wins over ours.
    """
    sound = ["--use-fake-ui-for-media-stream"]
    if microphone:
        sound.append("--use-fake-device-for-media-stream")
        sound.append(f"--use-file-for-fake-audio-capture={microphone}")
    return await playwright.chromium.launch(
        executable_path=shutil.which("chromium"), args=[*ARGUMENTS, *sound, *more]
    )


async def record(page: Page, seconds: float) -> Recording:
    """Record both directions of the page's latest call."""
    made = await page.evaluate(RECORD, {"seconds": seconds, "rate": RATE})
    microphone, received = (
        np.frombuffer(base64.b64decode(text), np.float32) for text in made["coded"]
    )
    return Recording(microphone, received, float(made["buffered"]))


class Site(Protocol):
    """A bridge that serves the page, in a process of its own or in the test's."""

    @property
    def url(self) -> str: ...


@dataclass(slots=True)
class Visitor:
    """A person at the page, and what went wrong before their eyes."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    """Errors on the console, exceptions, requests that failed or left the bridge's origin."""

    @classmethod
    @asynccontextmanager
    async def visit(
        cls, browser: Browser, server: Site, *, path: str = "/", **look: Any
    ) -> AsyncIterator["Visitor"]:
        """Open the page in a fresh window; `look` is Playwright's (viewport, color_scheme)."""
        context = await browser.new_context(bypass_csp=True, **look)
        page = await context.new_page()
        visitor = cls(page)
        visitor.listen(server.url)
        await page.add_init_script(WATCH)
        await page.goto(server.url + path)
        try:
            yield visitor
        finally:
            await context.close()

    def listen(self, origin: str) -> None:
        def said(message: ConsoleMessage) -> None:
            if message.type == "error":
                self.complaints.append(f"console: {message.text}")

        def asked(request: Request) -> None:
            if not request.url.startswith((origin, "data:", "blob:")):
                self.complaints.append(f"elsewhere: {request.url}")

        self.page.on("console", said)
        self.page.on("pageerror", lambda error: self.complaints.append(f"exception: {error}"))
        self.page.on("request", asked)

    def see(self, identity: str) -> Locator:
        """Return the element with this id."""
        return self.page.locator(f"#{identity}")

    async def call(self, number: str, *, clean: bool = False) -> None:
        """Call a number and wait for the sound.

        Args:
            number: Of the contact.
            clean: With the browser's echo and noise filters, which change the voice.
        """
        await self.see("clean").set_checked(clean)
        await self.see("number").fill(number)
        await self.page.get_by_role("button", name="Call", exact=True).click()
        await self.connected()

    async def connected(self) -> None:
        """Wait until the call is under way."""
        await expect(self.see("state")).to_have_text("Connected", timeout=20_000)
        await expect(self.see("mute")).to_be_enabled(timeout=20_000)
