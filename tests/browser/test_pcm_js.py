"""The library for media sockets, in a real Chromium: speech both ways, tickets, ends."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import numpy as np
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page
from pystoi import stoi

from tests.browser.stage.chromium import RATE, SPEECH, Sound, Visitor, launch, record
from tests.browser.stage.speech import delays, read, scores
from tests.browser.stage.window import Engines
from tests.browser.test_bridge_js import sum_of
from tests.support.peers.signalling import Exchange
from tests.support.peers.stock_peer import StockPeer
from tests.support.server import Server
from tests.support.sound.voices import TALKING

pytestmark = pytest.mark.browser

# An app of its own, which holds a ticket and no key.
CONNECT = """
async ({ callId, ticket }) => {
  const { BridgeApi, openMicrophone } = await import("/web/bridge.js");
  const { PcmCall } = await import("/web/pcm.js");
  const api = new BridgeApi({ key: "" });
  const track = await openMicrophone({ echoCancellation: false, noiseSuppression: false, autoGainControl: false });
  const call = new PcmCall(api, callId, { ticket: async () => ticket });
  window.app = { call, track, states: [], figures: [] };
  window.heard.remote = call.remoteStream.getAudioTracks()[0];
  call.on("state", ({ state, error }) => window.app.states.push(error ? `${state}: ${error.code}` : state));
  call.on("figures", (figures) => window.app.figures.push(figures));
  const player = new Audio();
  player.srcObject = call.remoteStream;
  player.autoplay = true;
  await call.connect(track);
}
"""
ECHO, TALKER, SILENT = "15550100001", "15550100002", "15550100008"


@pytest_asyncio.fixture(loop_scope="session")
async def app(browser: Browser, server: Server) -> AsyncIterator[Page]:
    async with Visitor.visit(browser, server, path="/healthz") as visitor:
        yield visitor.page


def ticket_for(server: Server, call_id: str) -> str:
    ticket: str = server.post(f"/call/{call_id}/ticket", {})["ticket"]
    return ticket


async def connect(page: Page, server: Server, call_id: str) -> None:
    await page.evaluate(CONNECT, {"callId": call_id, "ticket": ticket_for(server, call_id)})


async def states(page: Page, *wanted: str) -> None:
    """Wait until these are the states that were told."""
    async with asyncio.timeout(15):
        while await page.evaluate("() => window.app.states") != list(wanted):
            await asyncio.sleep(0.05)


def clear(original: Sound, copy: Sound) -> float:
    return float(stoi(original, copy, RATE, extended=False))


def good(original: Sound, copy: Sound) -> float:
    from pesq import pesq

    return float(pesq(RATE, original, copy, "wb"))


async def answered(server: Server, number: str) -> str:
    call_id: str = server.post("/call/dial", {"phone": number})["callId"]
    async with asyncio.timeout(10):
        while server.get("/call/status")["calls"][0]["state"] != "active":
            await asyncio.sleep(0.05)
    return call_id


@pytest.mark.full
async def test_the_echo_of_speech_is_not_late(app: Page, server: Server):
    await connect(app, server, await answered(server, ECHO))
    await asyncio.sleep(1.0)
    late = list[float]()
    while len(late) < 6 and not (late and 0.0 < late[-1] < 0.5):
        heard = await record(app, 6.0)
        late.append(float(np.median(delays(heard.microphone, heard.received))))
    # The best of six: a page that a busy machine has stopped plays late for a while.
    assert 0.0 < late[-1] < 0.5, late
    figures = await app.evaluate("() => window.app.figures")
    # The least of the last seconds: what came while a busy machine stopped the page waits for a moment.
    assert 0.0 <= min(one["buffered"] for one in figures[-5:]) < 0.3
    assert figures[-1]["levelIn"] > 0.01
    assert figures[-1]["levelOut"] > 0.01


@pytest.mark.pesq
async def test_a_page_hears_what_the_contact_says_as_it_was_said(app: Page, server: Server):
    await connect(app, server, await answered(server, TALKER))

    async def heard() -> Sound:
        return (await record(app, 9.0)).received

    best = await best_of_six(read(TALKING), heard, [0.95, 4.0])
    assert best[0] > 0.95
    assert best[1] > 4.0


@pytest.mark.pesq
async def test_a_party_on_webrtc_hears_what_a_page_says(app: Page, server: Server):
    async with StockPeer() as far:
        call_id = server.post("/call/dial", {"channel": "webrtc"})["callId"]
        await connect(app, server, call_id)
        await far.call(exchange(server, call_id))

        async def heard() -> Sound:
            await asyncio.sleep(9.0)
            return far.heard()[-8 * RATE :].astype(np.float32) / np.float32(32768)

        best = await best_of_six(read(SPEECH), heard, [0.95, 3.5])
    assert best[0] > 0.95
    assert best[1] > 3.5


async def best_of_six(
    said: Sound, heard: Callable[[], Awaitable[Sound]], enough: list[float]
) -> list[float]:
    """Return STOI and PESQ, the medians of pieces; the best while somebody else keeps the machine busy."""
    best = [0.0, 0.0]
    for _ in range(6):
        sound = await heard()
        for place, judge in enumerate((clear, good)):
            judged = np.median(scores(judge, said, sound, seconds=1.5))
            best[place] = max(best[place], float(judged))
        if all(one > least for one, least in zip(best, enough, strict=True)):
            break
    return best


def exchange(server: Server, call_id: str) -> Exchange:
    async def ask(offer: str) -> str:
        body = {"callID": call_id, "type": "offer", "sdp": offer, "party": "far"}
        answer = await asyncio.to_thread(server.post, "/call/webrtc/offer", body)
        return str(answer["sdp"])

    return ask


async def test_a_call_that_is_hung_up_closes_the_pages_leg(app: Page, server: Server):
    call_id = await answered(server, SILENT)
    await connect(app, server, call_id)
    server.post("/call/hangup", {"callId": call_id})
    await states(app, "connecting", "connected", "closed")


async def test_leaving_ends_the_leg_but_not_the_call(app: Page, server: Server):
    call_id = await answered(server, SILENT)
    await connect(app, server, call_id)
    await app.evaluate("() => window.app.call.close()")
    await states(app, "connecting", "connected", "closed")
    async with asyncio.timeout(5):
        while sum_of(server.text("/metrics"), "bridge_legs", 'kind="socket"') > 0:
            await asyncio.sleep(0.05)
    assert [call["callId"] for call in server.get("/call/status")["calls"]] == [call_id]


async def test_a_muted_page_sends_silence(app: Page, server: Server):
    await connect(app, server, await answered(server, ECHO))
    await app.evaluate("() => window.app.call.setMuted(true)")
    await asyncio.sleep(1.5)
    heard = await record(app, 1.0)
    assert float(np.abs(heard.received).max()) == 0.0


async def test_a_socket_that_is_refused_fails_with_a_reason(browser: Browser, server: Server):
    async with Visitor.visit(browser, server, path="/healthz") as visitor:
        error = await visitor.page.evaluate(
            """async () => {
              const { BridgeApi } = await import("/web/bridge.js");
              const { PcmCall } = await import("/web/pcm.js");
              const call = new PcmCall(new BridgeApi(), "0".repeat(32));
              try { await call.connect(null); } catch (error) { return [error.code, call.state]; }
            }"""
        )
    assert error == ["socket_refused", "failed"]


# A page that nobody has touched: it runs by itself, since a test's own scripts count as a gesture.
UNTOUCHED = """(async () => {
  const { BridgeApi } = await import("/web/bridge.js");
  const { PcmCall } = await import("/web/pcm.js");
  const call = new PcmCall(new BridgeApi(), "CALL");
  const told = [];
  call.on("audio_blocked", ({ blocked }) => told.push(blocked));
  call.on("figures", ({ levelIn }) => levelIn > 0.01 && console.info(`heard ${told}`));
  await call.connect(null);
  console.info(`${call.state} ${told}`);
})();"""


async def test_a_page_that_nobody_has_touched_connects_and_sounds_at_the_first_gesture(
    engines: Engines, server: Server
):
    call_id = await answered(server, TALKER)
    strict = ("--autoplay-policy=document-user-activation-required",)
    async with await launch(engines.playwright, microphone=None, more=strict) as browser:
        page = await browser.new_page()
        await page.add_init_script(UNTOUCHED.replace("CALL", call_id))

        async with page.expect_console_message(lambda said: said.text == "connected true"):
            await page.goto(server.url + "/healthz")
        async with page.expect_console_message(lambda said: said.text == "heard true,false"):
            await page.mouse.click(10, 10)
