"""A person in a real Chromium talks with a WhatsApp user at a double of Meta's API."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page
from pystoi import stoi

from tests.browser.stage.chromium import RATE, SPEECH, Sound, Visitor, record
from tests.browser.stage.speech import level, read, scores
from tests.support.peers.stock_peer import read_wav
from tests.support.server import running
from tests.support.sound.voices import SPEECH as VOICES
from tests.support.waiting import until
from tests.support.whatsapp.graph_double import (
    NUMBER_ID,
    SECRET,
    TOKEN,
    USER,
    VERIFY,
    DoubleCall,
    GraphDouble,
)

pytestmark = pytest.mark.browser

# Calls a number, or answers the call that rings, with the library as an app of its own would.
TALK = """
async ({ number, key }) => {
  const { BridgeApi, BridgeCall, openMicrophone } = await import("/web/bridge.js");
  const api = new BridgeApi({ key });
  const told = new EventSource(`/events?token=${key}`);
  await new Promise((done) => { told.onopen = done; });
  const events = [];
  told.onmessage = ({ data }) => events.push(JSON.parse(data));
  const track = await openMicrophone({ echoCancellation: false, noiseSuppression: false, autoGainControl: false });
  const ringing = async () => {
    for (;;) {
      const calls = await api.status();
      if (calls.length) return calls[0].callId;
      await new Promise((done) => setTimeout(done, 50));
    }
  };
  const callId = number ? await api.dial(number) : await ringing();
  const call = new BridgeCall(api, callId);
  window.app = { api, call, callId, events };
  const player = new Audio();
  player.srcObject = call.remoteStream;
  player.autoplay = true;
  await call.connect(track);
  if (!number) await api.answer(callId);
  return callId;
}
"""
DIGITS = """() => window.app.events
  .filter(({ type }) => type === "digit.received").map(({ data }) => data.digit).join("")"""


@dataclass
class World:
    graph: GraphDouble
    page: Page

    async def talk(self, *, inbound: bool) -> DoubleCall:
        """Bring up a call until both sides have heard something."""
        wanted = {"number": "" if inbound else USER, "key": "demo"}
        if inbound:
            user = await self.graph.ring()
            await self.page.evaluate(TALK, wanted)
        else:
            await self.page.evaluate(TALK, wanted)
            user = self.graph.last
            await self.graph.pick_up(user)
        await user.media.wait_heard(1.0)
        return user

    async def told(self, script: str, expected: str) -> None:
        """Wait until a script in the page gives what is expected."""
        await self.page.wait_for_function(f"(wanted) => ({script})() === wanted", arg=expected)


@pytest_asyncio.fixture(loop_scope="session")
async def world(browser: Browser, tmp_path: Path) -> AsyncIterator[World]:
    async with running_world(browser, tmp_path) as made:
        yield made
    assert made.graph.complaints == []


@asynccontextmanager
async def running_world(browser: Browser, folder: Path) -> AsyncIterator[World]:
    async with GraphDouble(speech=read_wav(VOICES[1]), repeat=True) as graph:
        whatsapp = {
            "provider": "cloud", "phone_number_id": NUMBER_ID, "access_token": TOKEN,
            "app_secret": SECRET, "verify_token": VERIFY, "base_url": graph.url,
        }  # fmt: skip
        line = {"keys": ["demo"], "numbers": ["15550101000"], "whatsapp": whatsapp}
        bridge = running(folder / "bridge", LINES=json.dumps({"main": line}))
        loop = asyncio.get_running_loop()
        server = await loop.run_in_executor(None, bridge.__enter__)
        try:
            graph.webhook = f"{server.url}/whatsapp/webhook"
            async with Visitor.visit(browser, server, path="/healthz") as visitor:
                yield World(graph, visitor.page)
        finally:
            await loop.run_in_executor(None, bridge.__exit__, None, None, None)


def intelligibility(original: Sound, copy: Sound) -> float:
    return float(stoi(original, copy, RATE))


async def clear(listen: Callable[[], Awaitable[Sound]], original: Path) -> float:
    """Listen until it is clear, three times at most, and give the best score.

    Chromium without a sound card tears what it plays while something else takes the machine, which
    says nothing about the bridge.
    """
    best = 0.0
    for _ in range(3):
        heard = await listen()
        best = max(best, median(scores(intelligibility, read(original), heard, seconds=1.5)))
        if best > 0.9:
            break
    return best


@pytest.mark.parametrize("inbound", [True, pytest.param(False, marks=pytest.mark.full)])
async def test_a_person_at_the_page_and_a_user_understand_each_other(world: World, inbound: bool):
    user = await world.talk(inbound=inbound)
    await asyncio.sleep(2)  # the jitter buffer settles

    said: list[Sound] = []

    async def at_the_page() -> Sound:
        heard = await record(world.page, 6)
        said.append(heard.microphone)
        return heard.received

    async def at_the_user() -> Sound:
        await asyncio.sleep(1)
        heard: Sound = user.media.heard[-6 * RATE :].astype(np.float32) / np.float32(32768)
        return heard

    # 1 is the file itself, another sound has less than 0.3; at both ends sit peers in Python or
    # without a sound card, which tear some of it where the machine is busy.
    assert await clear(at_the_page, VOICES[1]) > 0.8
    assert await clear(at_the_user, SPEECH) > 0.8
    # A step of 6 dB is a factor of two somewhere.
    assert abs(level(await at_the_user()) - level(said[-1])) < 6


@pytest.mark.parametrize("inbound", [True, False])
async def test_digits_pass_both_ways(world: World, inbound: bool):
    user = await world.talk(inbound=inbound)
    await world.page.evaluate("() => window.app.api.dtmf(window.app.callId, '12#')")
    await until(lambda: user.media.digits == "12#")
    for digit in "09*":
        await user.media.send_digit(digit)
    await world.told(DIGITS, "09*")


async def test_keys_that_the_browser_itself_sends_reach_the_user(world: World):
    user = await world.talk(inbound=True)
    await world.page.evaluate(
        "() => window.heard.peers.at(-1).getSenders()[0].dtmf.insertDTMF('47A', 100, 70)"
    )
    await until(lambda: len(user.media.digits) >= 3, timeout=10)
    assert user.media.digits == "47A"
    assert len(user.media.ssrcs) == 1


async def test_each_side_can_hang_up(world: World):
    user = await world.talk(inbound=True)
    await world.page.evaluate("() => window.app.api.hangup(window.app.callId)")
    await until(lambda: user.state == "ENDED")
    assert user.actions == ["pre_accept", "accept", "terminate"]
    await world.page.reload()
    user = await world.talk(inbound=False)
    await world.graph.hang_up(user)
    ends = "() => window.app.events.filter(({ type }) => type === 'call.ended').length + ''"
    await world.told(ends, "1")
    assert "terminate" not in user.actions
