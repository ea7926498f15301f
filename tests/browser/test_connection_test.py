"""The test before a call, in real Chromium: each path alone, the echo, and what it says about them."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.stage.axe import needs_axe, violations
from tests.browser.stage.chromium import Visitor
from tests.browser.stage.network import Namespace, available, namespace
from tests.browser.stage.window import Engines, Window, window
from tests.support.machine import own_address
from tests.support.server import Server, running
from tests.support.servers.coturn import Coturn, running_coturn

pytestmark = pytest.mark.browser

KEY = "a-key-for-a-browser-that-tests"
SECRET = "a shared secret"
SECONDS = 2
"""How long the tests listen to the echo."""

TEST = """
async ({ key, options }) => {
  const { BridgeApi } = await import("/web/bridge.js");
  const steps = [];
  const onProgress = ({ step }) => steps.at(-1) !== step && steps.push(step);
  const result = await new BridgeApi({ key }).testConnection({ ...options, onProgress });
  return { ...result, steps };
}
"""
CANCELED = """
async ({ during }) => {
  const { BridgeApi } = await import("/web/bridge.js");
  const stop = new AbortController();
  const onProgress = ({ step }) => step === during && stop.abort();
  const told = await new BridgeApi().testConnection({ onProgress, signal: stop.signal }).catch(({ code }) => code);
  const { microphones, peers } = window.heard;
  return {
    told,
    microphones: microphones.map(({ readyState }) => readyState),
    peers: [...new Set(peers.map(({ connectionState }) => connectionState))],
  };
}
"""
STEPS = ["microphone", "udp", "turn_udp", "turn_tcp", "turn_tls", "websocket", "echo"]


async def run_test(page: Page | Window, key: str = "demo", **options: Any) -> dict[str, Any]:
    """Run a test with a short echo and return its result."""
    wanted = {"key": key, "options": {"seconds": SECONDS, **options}}
    result: dict[str, Any] = await page.evaluate(TEST, wanted)
    return result


def states(result: dict[str, Any]) -> dict[str, str]:
    return {path["name"]: path["state"] for path in result["paths"]}


def codes(result: dict[str, Any]) -> dict[str, str]:
    """Return the problems' codes, each with its severity."""
    return {found["code"]: found["severity"] for found in result["problems"]}


@asynccontextmanager
async def page_of(browser: Browser, server: Server) -> AsyncIterator[Page]:
    async with Visitor.visit(browser, server, path="/healthz") as visitor:
        yield visitor.page


async def test_a_good_path_is_measured_and_leaves_nothing_behind(browser: Browser, server: Server):
    async with page_of(browser, server) as page:
        result = await run_test(page)

    assert result["steps"] == STEPS
    assert states(result) == {
        "udp": "ok",
        "turn_udp": "not_configured",
        "turn_tcp": "not_configured",
        "turn_tls": "not_configured",
        "websocket": "ok",
    }
    assert codes(result)["turn_missing"] == "notice"
    assert result["verdict"] != "failed", result
    assert result["microphone"]["state"] == "ok"
    echo = result["echo"]
    assert 0 <= echo["roundTrip"] < 0.5
    assert echo["loss"] < 0.1
    assert echo["sentJitter"] < 0.2
    assert 0.04 < echo["delay"] < 1
    assert 1 < echo["mos"] <= 4.5
    assert echo["level"] > 0.001
    assert not echo["relayed"]
    assert 'bridge_legs{kind="webrtc",node="0"} 0.0' in server.text("/metrics")
    assert "bridge_calls_started_total" in server.text("/metrics")


@pytest.mark.firefox
@pytest.mark.full
async def test_firefox_measures_the_same(engines: Engines, server: Server):
    async with engines.window("firefox") as page:
        await page.goto(server.url + "/healthz")
        result = await run_test(page)

    assert (states(result)["udp"], states(result)["websocket"]) == ("ok", "ok")
    assert result["verdict"] != "failed", result
    assert result["echo"]["roundTrip"] < 0.5
    assert result["echo"]["mos"] > 1


async def test_without_a_microphone_the_connection_is_tested_all_the_same(
    browser: Browser, server: Server
):
    async with page_of(browser, server) as page:
        result = await run_test(page, microphone=None)
        assert await page.evaluate("() => window.heard.microphones.length") == 0

    assert result["verdict"] != "failed", result
    assert codes(result)["microphone_untested"] == "notice"
    assert result["microphone"] == {"state": "none", "level": None, "error": None}
    assert result["echo"]["roundTrip"] >= 0


async def test_a_refused_microphone_is_the_verdict(browser: Browser, server: Server):
    async with page_of(browser, server) as page:
        await page.evaluate(
            """() => { navigator.mediaDevices.getUserMedia = async () => {
              throw new DOMException("no", "NotAllowedError"); }; }"""
        )
        result = await run_test(page)

    assert result["verdict"] == "failed"
    assert result["summary"] == "The browser may not use the microphone."
    assert codes(result)["microphone_refused"] == "broken"
    assert states(result)["udp"] == "ok"
    assert result["echo"]


@pytest.mark.parametrize(
    "during",
    [pytest.param("microphone", marks=pytest.mark.full), "udp", "echo"],
)
async def test_a_cancelled_test_closes_everything(browser: Browser, server: Server, during: str):
    async with page_of(browser, server) as page:
        left = await page.evaluate(CANCELED, {"during": during})
        await page.wait_for_function(
            "() => window.heard.microphones.every(({ readyState }) => readyState === 'ended')"
        )

    assert left["told"] == "canceled"
    assert left["peers"] in ([], ["closed"])


async def test_a_ticket_is_enough(browser: Browser, server: Server):
    call_id = server.post("/call/dial", {"phone": "15550100003"})["callId"]
    ticket = server.post(f"/call/{call_id}/ticket", {})["ticket"]
    async with page_of(browser, server) as page:
        result = await run_test(page, key=ticket, microphone=None)

    assert states(result)["udp"] == "ok"


async def test_a_page_without_a_key_tests_in_calls_that_its_server_opened(
    browser: Browser, server: Server
):
    async with page_of(browser, server) as page:
        told = await page.evaluate(
            """async () => {
              const { BridgeApi } = await import("/web/bridge.js");
              const server = new BridgeApi({ key: "demo" }); // stands for the customer's own server
              const page = new BridgeApi({ key: "" });
              const testCall = () => server.request("POST", "/call/test");
              return page.testConnection({ testCall, microphone: null, seconds: 1 });
            }"""
        )

    assert states(told)["udp"] == "ok"
    assert told["echo"]


@pytest.fixture
def coturn(tmp_path: Path) -> Iterator[Coturn]:
    address = own_address()
    if address.startswith("127."):
        pytest.skip("the machine has no address but loopback, which coturn refuses to relay to")
    with running_coturn(tmp_path, address, peer=address, secret=SECRET) as server:
        yield server


def turn(coturn: Coturn, **more: str) -> dict[str, str]:
    """Settings of a bridge that offers this relay."""
    return {
        "RTC__BIND": json.dumps([coturn.address]),
        "TURN__MODE": "shared_secret",
        "TURN__SECRET": coturn.secret,
        "TURN__URLS": json.dumps(coturn.urls()),
        **more,
    }


@pytest.mark.coturn
async def test_the_relay_is_tested_over_udp_and_over_tcp(
    browser: Browser, coturn: Coturn, tmp_path: Path
):
    with running(tmp_path / "bridge", **turn(coturn)) as server:
        async with page_of(browser, server) as page:
            result = await run_test(page)

    assert states(result) == {
        "udp": "ok",
        "turn_udp": "ok",
        "turn_tcp": "ok",
        "turn_tls": "not_configured",
        "websocket": "ok",
    }
    assert not {code for code in codes(result) if code.startswith("turn")}


@pytest.mark.coturn
async def test_a_relay_that_refuses_the_browser_is_told_from_one_that_does_not_answer(
    browser: Browser, coturn: Coturn, tmp_path: Path
):
    urls = [coturn.urls()[0], f"turn:{coturn.address}:9?transport=tcp"]
    wrong = turn(coturn, TURN__SECRET="another secret", TURN__URLS=json.dumps(urls))
    with running(tmp_path / "bridge", **wrong) as server:
        async with page_of(browser, server) as page:
            result = await run_test(page)

    errors = {path["name"]: path["errorCode"] for path in result["paths"]}
    assert (errors["turn_udp"], errors["turn_tcp"]) == (401, None)
    assert codes(result)["turn_refused"] == "notice"
    assert codes(result)["turn_unreachable"] == "notice"


# A network that blocks UDP


@asynccontextmanager
async def without_udp(
    network: Namespace, folder: Path, **settings: str
) -> AsyncIterator[tuple[Window, str]]:
    """Open an empty page of a bridge to which only TCP leads."""
    network.block_udp()
    with running(
        folder,
        key=KEY,
        HTTP__HOST="0.0.0.0",
        LINES__TESTS__KEYS=json.dumps([KEY]),
        **{"RTC__BIND": json.dumps([network.gateway]), **settings},
    ) as server:
        origin = f"http://{network.gateway}:{server.port}"
        async with window("chromium", namespace=network, secure=[origin]) as page:
            await page.goto(origin + "/healthz")
            yield page, origin


needs_namespaces = pytest.mark.skipif(
    not available(), reason="network namespaces cannot be made (as root, with iproute2)"
)


@pytest.mark.full
@needs_namespaces
async def test_without_udp_and_without_a_relay_there_is_no_path(tmp_path: Path):
    with namespace() as network:
        async with without_udp(network, tmp_path / "bridge") as (page, _):
            result = await run_test(page, KEY)

    assert result["verdict"] == "failed"
    assert codes(result)["turn_missing"] == "broken"
    assert states(result)["udp"] == "failed"
    assert states(result)["websocket"] == "ok"
    assert "PcmCall" in result["problems"][0]["fix"]
    assert result["paths"][0]["reason"] in {"ice_no_checks", "turn_missing"}
    assert result["echo"] is None


@pytest.mark.full
@needs_namespaces
@pytest.mark.coturn
async def test_without_udp_a_relay_over_tcp_carries_the_audio(tmp_path: Path):
    with (
        namespace() as network,
        running_coturn(tmp_path, network.gateway, peer=network.gateway, secret=SECRET) as coturn,
    ):
        async with without_udp(network, tmp_path / "bridge", **turn(coturn)) as (page, _):
            result = await run_test(page, KEY)

    assert {name: states(result)[name] for name in ("udp", "turn_udp", "turn_tcp")} == {
        "udp": "failed",
        "turn_udp": "failed",
        "turn_tcp": "ok",
    }
    assert codes(result)["udp_blocked"] == "degraded"
    assert codes(result)["turn_unreachable"] == "notice"
    assert result["verdict"] != "failed", result
    assert result["echo"]["relayed"]


# On the page


@needs_axe
async def test_the_page_tests_the_connection(visitor: Visitor):
    await visitor.page.get_by_role("button", name="Test call", exact=True).click()
    await expect(visitor.see("test-running")).to_be_visible()
    assert await violations(visitor.page) == []
    await expect(visitor.see("test-summary")).to_contain_text("Calls will", timeout=40_000)

    await expect(visitor.see("test-verdict")).to_have_text(re.compile("Good|Fair|Poor"))
    await expect(visitor.see("test-running")).to_be_hidden()
    await expect(visitor.page.locator("#test-paths li")).to_have_count(5)
    await expect(visitor.see("test-figures")).to_contain_text("MOS to expect")
    await expect(visitor.see("test-problems")).to_contain_text("No TURN relay is configured")
    assert await violations(visitor.page) == []
    assert visitor.complaints == []


async def test_a_call_cancels_the_test(visitor: Visitor):
    await visitor.page.get_by_role("button", name="Test call", exact=True).click()
    await expect(visitor.see("test-running")).to_be_visible()
    await visitor.call("15550100001")

    await expect(visitor.see("test-running")).to_be_hidden()
    await expect(visitor.see("test-summary")).to_have_text("The test was cancelled.")
