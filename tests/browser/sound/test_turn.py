"""A browser that may only use a TURN relay: Chromium through Debian's coturn to the bridge."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, Route

from tests.browser.stage.chromium import Visitor, record
from tests.browser.stage.speech import level, longest_gap
from tests.browser.test_bridge_js import connect, echoing
from tests.support.machine import own_address
from tests.support.server import running
from tests.support.servers.coturn import Coturn, running_coturn

pytestmark = [pytest.mark.browser, pytest.mark.coturn]

# Between which candidates the media goes, as Chromium itself says.
SELECTED = """
async () => {
  const stats = await window.heard.peers.at(-1).getStats();
  const all = [...stats.values()];
  const { selectedCandidatePairId } = all.find(({ type }) => type === "transport");
  const pair = stats.get(selectedCandidatePairId);
  const local = stats.get(pair.localCandidateId);
  const remote = stats.get(pair.remoteCandidateId);
  return {
    kind: local.candidateType, over: local.relayProtocol, relay: local.address, bridge: remote.address,
    gathered: [...new Set(all.filter(({ type }) => type === "local-candidate").map((one) => one.candidateType))],
  };
}
"""
REFUSAL = """
async () => {
  const { BridgeApi, BridgeCall } = await import("/web/bridge.js");
  const api = new BridgeApi({ key: "demo" });
  const call = new BridgeCall(api, await api.dial("15550100001"), { iceTransportPolicy: "relay" });
  const refused = [];
  const watched = new Set();
  const watch = setInterval(() => {
    for (const peer of window.heard.peers) {
      if (watched.has(peer)) continue;
      watched.add(peer);
      peer.addEventListener("icecandidateerror", (event) => refused.push(event.errorCode));
    }
  }, 1);
  const told = await call.connect(null).catch(({ code, message }) => ({ code, message }));
  clearInterval(watch);
  const sdp = window.heard.peers.at(-1).localDescription?.sdp ?? "";
  return { ...told, state: call.state, refused: [...new Set(refused)], candidates: sdp.match(/a=candidate:.*/g) ?? [] };
}
"""


@pytest.fixture
def coturn(tmp_path: Path) -> Iterator[Coturn]:
    address = own_address()
    if address.startswith("127."):
        pytest.skip("the machine has no address but loopback, which coturn refuses to relay to")
    with running_coturn(tmp_path, address, peer=address, secret="a shared secret") as server:
        yield server


@asynccontextmanager
async def relayed(
    browser: Browser, coturn: Coturn, folder: Path, urls: list[str], *, ttl: int = 600
) -> AsyncIterator[Page]:
    """Open an empty page of a bridge on the machine's own address that names these TURN URLs."""
    settings = {
        "RTC__BIND": json.dumps([coturn.address]),
        "SIMULATOR__RING_SECONDS": "0.3",
        "TURN__MODE": "shared_secret",
        "TURN__SECRET": coturn.secret,
        "TURN__TTL": str(ttl),
        "TURN__URLS": json.dumps(urls),
    }
    with running(folder / "bridge", **settings) as server:
        async with Visitor.visit(browser, server, path="/healthz") as visitor:
            yield visitor.page


@pytest.mark.parametrize("transport", ["udp", pytest.param("tcp", marks=pytest.mark.full)])
async def test_a_voice_comes_back_through_the_relay_alone(
    browser: Browser, coturn: Coturn, tmp_path: Path, transport: str
):
    urls = [url for url in coturn.urls() if url.endswith(transport)]
    async with relayed(browser, coturn, tmp_path, urls) as page:
        await connect(page, iceTransportPolicy="relay")
        await echoing(page)
        await asyncio.sleep(2)  # the jitter buffer settles

        heard = await record(page, 6)
        selected = await page.evaluate(SELECTED)

    assert selected == {
        "kind": "relay",
        "over": transport,
        "relay": coturn.address,
        "bridge": coturn.address,
        "gathered": ["relay"],
    }
    assert abs(level(heard.received) - level(heard.microphone)) < 3
    # Pauses between words apart, which differ by the delay of the echo; longer on a busy machine.
    assert longest_gap(heard.received, heard.microphone) < 1.5


async def test_a_credential_past_its_time_is_refused_and_the_page_says_why(
    browser: Browser, coturn: Coturn, tmp_path: Path
):
    async def linger(route: Route) -> None:
        """Hand the page its credential when it is good no more."""
        reply = await route.fetch()
        await asyncio.sleep(3)
        await route.fulfill(response=reply)

    async with relayed(browser, coturn, tmp_path, coturn.urls(), ttl=1) as page:
        await page.route("**/call/webrtc/config", linger)
        told = await page.evaluate(REFUSAL)

    # Chromium also tries from loopback, and reports (701) that TCP does not lead out of there.
    assert 401 in told.pop("refused")
    assert told == {
        "code": "no_relay",
        "message": "No TURN relay could be reached, and this page may only use one.",
        "state": "failed",
        "candidates": [],
    }
