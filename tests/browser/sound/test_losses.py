"""A whole call of a real Chromium that loses packets on their way to it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.async_api import Browser, Page, Route

from bridge.node.load import Load
from tests.browser.stage.chromium import Visitor
from tests.browser.test_bridge_js import connect, echoing
from tests.support.inprocess import Client, running
from tests.support.packets.impairment import (
    Impairment,
    ImpairmentProxy,
    impaired_path,
    without_candidates,
)

pytestmark = pytest.mark.browser

LOSS = "................x"
"""One packet in 17: the receiver's reports say 6 %."""
# NetEQ counts a packet that carries in-band FEC (LBRR), and whether its second frame was of no use.
RECEIVED = """
async () => {
  const stats = [...(await window.heard.peers.at(-1).getStats()).values()];
  const found = stats.find(({ type, kind }) => type === "inbound-rtp" && kind === "audio");
  return { packets: found.packetsReceived, lost: found.packetsLost,
    fec: found.fecPacketsReceived ?? 0, unused: found.fecPacketsDiscarded ?? 0 };
}
"""


@dataclass(frozen=True)
class Site:
    """The bridge in the test's own process."""

    url: str


@asynccontextmanager
async def lossy(page: Page) -> AsyncIterator[list[ImpairmentProxy]]:
    """Put the bad network between the page's next connection and the bridge."""
    async with AsyncExitStack() as stack:
        proxies: list[ImpairmentProxy] = []

        async def divert(route: Route) -> None:
            asked = json.loads(route.request.post_data or "")
            asked["sdp"] = without_candidates(asked["sdp"])
            reply = await route.fetch(post_data=json.dumps(asked))
            answer = await reply.json()
            path = impaired_path(answer["sdp"], down=Impairment(pattern=LOSS))
            proxy, answer["sdp"] = await stack.enter_async_context(path)
            proxies.append(proxy)
            await route.fulfill(response=reply, json=answer)

        await page.route("**/call/webrtc/offer", divert)
        yield proxies


async def near_leg(client: Client, page: Page) -> Any:
    told = await client.quality(await page.evaluate("() => window.app.call.callId"))
    [leg] = [leg for leg in told["legs"] if leg["kind"] == "webrtc"]
    return leg


async def test_a_chromium_that_loses_packets_is_sent_fec_and_mends_its_sound_with_it(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
):
    # Under load encoders step down to settings without FEC; other tests may make some.
    monkeypatch.setattr(Load, "update", lambda *_: None)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(running())
        site = Site(str(client.http.make_url("")).rstrip("/"))
        visitor = await stack.enter_async_context(Visitor.visit(browser, site, path="/healthz"))
        page = visitor.page
        proxies = await stack.enter_async_context(lossy(page))
        await connect(page)
        await echoing(page)
        before = await page.evaluate(RECEIVED)
        async with asyncio.timeout(40):  # Chromium reports every five seconds or so
            while not (await near_leg(client, page))["sent"]["fec"]:
                await asyncio.sleep(0.5)
        begun = await page.evaluate(RECEIVED)
        await asyncio.sleep(4)
        ended = await page.evaluate(RECEIVED)
        leg = await near_leg(client, page)
    assert len(proxies) == 1
    assert before["fec"] == 0
    assert leg["sent"]["remoteLossRatio"] > 0.01
    arrived = ended["packets"] - begun["packets"]
    carried = ended["fec"] - begun["fec"]
    assert arrived > 100
    # In speech nearly all of them, in pauses none.
    assert carried > 0.3 * arrived
    used = carried - (ended["unused"] - begun["unused"])
    assert used > 0
