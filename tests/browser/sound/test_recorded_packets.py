"""Recordings of packets in the players of browsers: as long as they say, with sound and silence in their places."""

import base64

import pytest

from bridge.audio.codec.opus import candidates, load
from bridge.audio.file.ogg import PRE_SKIP, OggWriter
from bridge.audio.file.packet_track import PacketTrack
from tests.audio.file.test_packet_track import packet
from tests.browser.stage.window import Engines

pytestmark = pytest.mark.browser

PLAYED = """async (data) => {
  const audio = new Audio(`data:audio/ogg;base64,${data}`);
  await new Promise((resolve, reject) => {
    audio.onloadedmetadata = resolve;
    audio.onerror = () => reject(new Error(audio.error.message));
  });
  const content = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
  const context = new OfflineAudioContext(1, 48000, 48000);
  const sound = (await context.decodeAudioData(content.buffer)).getChannelData(0);
  const loudest = [];
  for (let start = 0; start < sound.length; start += 4800) {
    loudest.push(Math.max(...sound.slice(start, start + 4800).map(Math.abs)));
  }
  return { duration: audio.duration, samples: sound.length, loudest };
}"""


def recorded() -> bytes:
    """A track of 6 s: half a second late, a loss of 60 ms at 1.5 s, nothing from 2.5 to 4.5 s."""
    track, writer = PacketTrack(load(candidates())), OggWriter(1)
    numbers = [*range(50), *range(53, 100), *range(200, 275)]
    track.add([(0.5 + number * 0.02, packet(number)) for number in numbers])
    length = 6 * 48_000 + PRE_SKIP
    return writer.head() + writer.pages(track.finish(length), end=length)


@pytest.mark.parametrize("engine", ["chromium", "firefox"])
async def test_a_browser_plays_a_recording_of_packets(engine: str, engines: Engines):
    async with engines.window(engine) as page:
        played = await page.evaluate(PLAYED, base64.b64encode(recorded()).decode())
    assert played["duration"] == pytest.approx(6.0, abs=0.01)
    assert played["samples"] == pytest.approx(6 * 48_000, abs=480)
    loudest = played["loudest"]
    assert max(loudest[:4]) < 0.01
    assert min(loudest[6:14]) > 0.05
    assert max(loudest[27:44]) < 0.01
    assert min(loudest[46:59]) > 0.05
