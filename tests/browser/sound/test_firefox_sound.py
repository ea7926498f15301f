"""What a person says and hears in a real Firefox, through its own sound system and a PulseAudio server."""

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest
import pytest_asyncio

from tests.browser import test_bridge_js, test_pcm_js
from tests.browser.stage.chromium import SPEECH, WATCH
from tests.browser.stage.firefox import Firefox, FirefoxPage, firefox
from tests.browser.stage.pulse import SoundCard, sound_card
from tests.browser.stage.speech import read
from tests.support.server import Server
from tests.support.sound.speech_compare import RATE, align, clearness, level_db, likeness

pytestmark = [
    pytest.mark.browser,
    pytest.mark.firefox,
    pytest.mark.pulseaudio,
]

CLEAR = pytest.mark.parametrize("clear", [False, pytest.param(True, marks=pytest.mark.full)])
"""Whether the speech must be as it was said from beginning to end, which a busy machine may not manage."""
ECHO = "15550100001"
SPOKEN_SECONDS = 3.0
"""Of the speech, which are compared."""
LATE_SECONDS = 1.5
"""Time for an echo to arrive; PulseAudio alone buffers up to half a second on either side."""
CALL = """
async (number) => {
  const see = (id) => document.getElementById(id);
  const until = async (what, holds) => {
    for (let tries = 0; !holds(); tries += 1) {
      if (tries > 200) throw new Error(`${what}: ${see("state").textContent} ${see("problem-text").textContent}`);
      await new Promise((done) => setTimeout(done, 100));
    }
  };
  await until("loaded", () => see("bridge").textContent === "Ready for calls");
  see("clean").checked = false;
  see("number").value = number;
  [...document.querySelectorAll("button")].find(({ textContent }) => textContent.trim() === "Call").click();
  await until("connected", () => see("state").textContent === "Connected" && !see("mute").disabled);
}
"""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def card() -> AsyncIterator[SoundCard]:
    async with sound_card() as card:
        yield card


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(card: SoundCard) -> AsyncIterator[Firefox]:
    """A Firefox that uses the sound card."""
    async with firefox(sound=card.environment) as started:
        yield started


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Firefox) -> AsyncIterator[FirefoxPage]:
    async with browser.window() as page:
        await page.add_init_script(WATCH)
        yield page


async def understood(card: SoundCard, *, clear: bool) -> None:
    """Say something, and fail unless its echo is heard, within three attempts.

    All processes share the machine with other tests: where it stands still, the buffers on the way run empty and what
    follows is late. Hence the pieces of the speech are looked for one by one, unless it must be `clear` as a whole.
    """
    said = (read(SPEECH)[: round(SPOKEN_SECONDS * RATE)] * 32767).astype(np.int16)
    found = []
    for _ in range(3):
        heard = await card.converse(SPEECH, SPOKEN_SECONDS + LATE_SECONDS)
        found.append(clearness(said, heard) if clear else likeness(said, heard))
        if found[-1] > 0.9:
            assert abs(level_db(heard) - level_db(said)) < 6.0
            assert not clear or 0.0 < align(said, heard).seconds < LATE_SECONDS
            return
    raise AssertionError(f"the speech was not heard: {found}")


@CLEAR
async def test_the_page_carries_a_voice_from_the_microphone_to_the_bridge_and_back_to_the_speaker(
    page: FirefoxPage, server: Server, card: SoundCard, *, clear: bool
):
    await page.goto(server.url)
    await page.evaluate(CALL, ECHO)
    await asyncio.sleep(1.0)

    await understood(card, clear=clear)


@CLEAR
async def test_the_library_alone_does_so_too(
    page: FirefoxPage, server: Server, card: SoundCard, *, clear: bool
):
    await page.goto(f"{server.url}/healthz")
    await page.evaluate(test_bridge_js.CONNECT, {"number": ECHO, "key": server.key, "options": {}})
    await asyncio.sleep(1.5)

    await understood(card, clear=clear)


@CLEAR
async def test_a_media_socket_does_so_too(
    page: FirefoxPage, server: Server, card: SoundCard, *, clear: bool
):
    call_id = await test_pcm_js.answered(server, ECHO)
    await page.goto(f"{server.url}/healthz")
    ticket = test_pcm_js.ticket_for(server, call_id)
    await page.evaluate(test_pcm_js.CONNECT, {"callId": call_id, "ticket": ticket})
    await asyncio.sleep(1.0)

    await understood(card, clear=clear)
