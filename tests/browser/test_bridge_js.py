"""The client library alone, in a real Chromium, without the page."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Route

from tests.browser.stage.chromium import Visitor, record
from tests.browser.stage.speech import level, longest_gap
from tests.support.packets.impairment import ImpairmentProxy, impaired_path
from tests.support.server import Server, running

pytestmark = pytest.mark.browser

# An app of its own: a call to a contact, with everything the library tells kept in lists.
CONNECT = """
async ({ number, key, options }) => {
  const { BridgeApi, BridgeCall, openMicrophone } = await import("/web/bridge.js");
  const api = new BridgeApi({ key });
  const track = await openMicrophone({ echoCancellation: false, noiseSuppression: false, autoGainControl: false });
  const call = new BridgeCall(api, await api.dial(number), options);
  window.app = { api, call, track, states: [], qualities: [] };
  call.on("state", ({ state, error }) => window.app.states.push(error ? `${state}: ${error.code}` : state));
  call.on("quality", (quality) => window.app.qualities.push(quality));
  const player = new Audio();
  player.srcObject = call.remoteStream;
  player.autoplay = true;
  const begun = performance.now();
  await call.connect(track);
  return (performance.now() - begun) / 1000;
}
"""
FRAGMENT = """() => /a=ice-ufrag:(\\S+)/.exec(window.heard.peers.at(-1).localDescription.sdp)[1]"""
ECHO = "15550100001"


@pytest_asyncio.fixture(loop_scope="session")
async def app(browser: Browser, server: Server) -> AsyncIterator[Page]:
    async with Visitor.visit(browser, server, path="/healthz") as visitor:
        yield visitor.page


async def connect(page: Page, number: str = ECHO, key: str = "demo", **options: Any) -> float:
    """Call from the page; gives the seconds that it took."""
    wanted = {"number": number, "key": key, "options": options}
    seconds: float = await page.evaluate(CONNECT, wanted)
    return seconds


async def echoing(page: Page, seconds: float = 15.0) -> None:
    """Wait until the contact has answered and its sound arrives."""
    await page.evaluate(
        """(limit) => new Promise((done, fail) => {
          setTimeout(fail, limit * 1000, new Error("no sound arrived"));
          const stop = window.app.call.on("quality", ({ levelIn }) => levelIn > 0.01 && (stop(), done()));
        })""",
        seconds,
    )


async def refuse_offers(page: Page, count: int) -> list[Route]:
    """Let the next offers fail as if the network were down; gives all offers as they come."""
    offers: list[Route] = []

    async def refuse(route: Route) -> None:
        offers.append(route)
        await (route.abort() if len(offers) <= count else route.continue_())

    await page.route("**/call/webrtc/offer", refuse)
    return offers


def sum_of(metrics: str, name: str, label: str) -> float:
    lines = [line for line in metrics.splitlines() if line.startswith(name + "{") and label in line]
    assert lines, f"no {name} with {label}"
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


async def test_a_call_tells_its_states_and_figures(app: Page):
    await connect(app)
    await echoing(app)
    # While other tests keep the machine busy, even Chromium's own sound is not always good.
    await app.wait_for_function(
        "() => { const last = window.app.qualities.at(-1); return last.mos > 3.5 && !last.warnings.length; }",
        timeout=60_000,
    )

    told = await app.evaluate("async () => ({ ...window.app, call: undefined, track: undefined })")
    last = told["qualities"][-1]

    assert told["states"] == ["connecting", "connected"]
    assert 0 <= last["roundTrip"] < 0.5
    assert 0 <= last["jitter"] < 0.2
    assert last["loss"] < 0.05
    assert 3.5 < last["mos"] <= 4.5
    assert last["levelOut"] > 0.001
    assert 30 < last["packetsIn"] < 70
    assert last["warnings"] == []


async def test_the_bridge_reports_on_what_it_hears(app: Page):
    await connect(app)

    reported = await app.evaluate(
        """() => new Promise((done) => window.app.call.on("quality", (quality) =>
          quality.sentLoss !== null && quality.sentJitter !== null && done(quality)))"""
    )

    assert reported["sentLoss"] < 0.1
    assert reported["sentJitter"] < 0.2


@pytest.mark.full
async def test_a_bot_says_that_it_is_one(app: Page):
    offers = await refuse_offers(app, 0)
    await connect(app, machine=True)
    assert (offers[0].request.post_data_json or {})["machine"] is True


async def test_leaving_ends_the_leg_but_not_the_call(app: Page, server: Server):
    await connect(app)

    await app.evaluate("() => window.app.call.close()")

    assert await app.evaluate("() => window.app.states") == ["connecting", "connected", "closed"]
    assert [call["state"] for call in server.get("/call/status")["calls"]] != []
    assert sum_of(server.text("/metrics"), "bridge_legs", 'kind="webrtc"') == 0


async def test_a_dead_stun_server_does_not_hold_up_the_call(browser: Browser, tmp_path):
    """Gathering takes Chromium 10 s then; the offer goes out half a second after the first candidate."""
    dead = '["stun:192.0.2.200:3478"]'
    with running(tmp_path / "bridge", RTC__STUN_URLS=dead) as server:
        async with Visitor.visit(browser, server, path="/healthz") as visitor:
            seconds = await connect(visitor.page)

            assert seconds < 5


async def test_without_any_relay_a_relay_only_call_says_so(app: Page):
    told = await app.evaluate(
        """async () => {
          const { BridgeApi, BridgeCall } = await import("/web/bridge.js");
          const api = new BridgeApi({ key: "demo" });
          const call = new BridgeCall(api, await api.dial("15550100001"), { iceTransportPolicy: "relay" });
          return call.connect(null).catch(({ code, message }) => [code, message, call.state]);
        }"""
    )

    assert told == [
        "no_relay",
        "No TURN relay could be reached, and this page may only use one.",
        "failed",
    ]


async def test_an_ice_restart_keeps_the_sound_and_the_leg(app: Page):
    await connect(app)
    await echoing(app)
    leg, fragment = await app.evaluate("() => window.app.call.legId"), await app.evaluate(FRAGMENT)

    async def restart() -> None:
        await asyncio.sleep(2)
        await app.evaluate("() => window.app.call.reconnect()")

    heard, _ = await asyncio.gather(record(app, 6), restart())

    assert await app.evaluate("() => window.app.call.legId") == leg
    assert await app.evaluate(FRAGMENT) != fragment
    assert await app.evaluate("() => window.app.states.slice(-2)") == ["reconnecting", "connected"]
    assert await app.evaluate("() => window.heard.peers.length") == 1
    # Pauses between words apart, which differ by the delay of the echo; longer on a busy machine.
    assert longest_gap(heard.received, heard.microphone) < 1.0
    assert level(heard.received[-32_000:]) > -45


@pytest.mark.full
async def test_reconnecting_goes_on_while_the_bridge_does_not_reply(app: Page):
    await connect(app)
    await echoing(app)
    offers = await refuse_offers(app, 2)
    await app.evaluate("() => window.app.call.reconnect()")

    assert len(offers) == 3
    assert await app.evaluate("() => window.app.call.state") == "connected"
    assert level((await record(app, 3)).received) > -45


async def test_a_connection_that_does_not_restart_is_replaced_on_the_same_leg(app: Page):
    async with AsyncExitStack() as stack:
        proxies: list[ImpairmentProxy] = []
        offers: list[Route] = []

        async def divert(route: Route) -> None:
            offers.append(route)
            reply = await route.fetch()
            answer = await reply.json()
            if len(offers) == 1:
                proxy, answer["sdp"] = await stack.enter_async_context(impaired_path(answer["sdp"]))
                proxies.append(proxy)
            elif len(offers) == 2:
                answer["sdp"] = re.sub("a=ice-pwd:.*", "a=ice-pwd:" + "x" * 24, answer["sdp"])
            await route.fulfill(response=reply, json=answer)

        await app.route("**/call/webrtc/offer", divert)
        await connect(app)
        await echoing(app)
        leg = await app.evaluate("() => window.app.call.legId")
        proxies[0].silence()
        await app.evaluate("() => window.app.call.reconnect()")
        await echoing(app)

        assert await app.evaluate("() => window.app.call.legId") == leg
        assert await app.evaluate("() => window.heard.peers.length") == 2
        assert len(offers) == 3


@pytest.mark.full
async def test_a_restart_that_fails_leaves_the_sound_on_the_old_path(app: Page):
    async def garble(route: Route) -> None:
        reply = await route.fetch()
        answer = await reply.json()
        answer["sdp"] = re.sub("a=ice-pwd:.*", "a=ice-pwd:" + "x" * 24, answer["sdp"])
        await route.fulfill(response=reply, json=answer)

    await connect(app)
    await echoing(app)
    await app.route("**/call/webrtc/offer", garble)
    await app.evaluate("() => window.app.call.reconnect()")

    assert await app.evaluate("() => window.app.call.state") == "connected"
    assert await app.evaluate("() => window.heard.peers.length") == 1
    assert level((await record(app, 3)).received) > -45


async def test_a_leg_that_the_bridge_has_ended_comes_back_under_its_id(app: Page):
    await connect(app)
    await echoing(app)
    leg = await app.evaluate("() => window.app.call.legId")

    await app.evaluate("() => { window.heard.peers.at(-1).close(); }")  # says farewell
    await asyncio.sleep(0.5)
    await app.evaluate("() => window.app.call.reconnect()")
    await echoing(app)

    assert await app.evaluate("() => window.app.call.legId") == leg


async def test_a_call_that_is_gone_closes_instead_of_reconnecting(app: Page, server: Server):
    await connect(app)
    # As if the bridge's farewell had been lost on the way.
    await app.evaluate(
        "() => { window.heard.peers[0].getSenders()[0].transport.onstatechange = null; }"
    )
    server.post("/call/hangup", {"callId": await app.evaluate("() => window.app.call.callId")})

    await app.evaluate("() => window.app.call.reconnect()")

    assert await app.evaluate("() => window.app.states.at(-1)") == "closed: not_found"


async def test_another_microphone_takes_over_within_the_call(app: Page):
    await connect(app)
    await echoing(app)

    await app.evaluate(
        """async () => {
          const context = new AudioContext();
          const tone = new OscillatorNode(context, { frequency: 440 });
          const end = context.createMediaStreamDestination();
          tone.connect(end);
          tone.start();
          await window.app.call.replaceTrack(end.stream.getAudioTracks()[0]);
        }"""
    )
    await asyncio.sleep(1)
    heard = (await record(app, 2)).received

    # A steady tone has no pauses, unlike the speech before it.
    assert min(level(heard[at : at + 1600]) for at in range(0, len(heard), 1600)) > -30


@pytest.mark.parametrize("leave", ["about:blank", "close"])
async def test_a_closed_page_ends_its_leg_within_seconds(app: Page, server: Server, leave: str):
    await connect(app)
    assert sum_of(server.text("/metrics"), "bridge_legs", 'kind="webrtc"') == 1

    await (app.close(run_before_unload=True) if leave == "close" else app.goto(leave))

    for _ in range(50):
        if sum_of(server.text("/metrics"), "bridge_legs", 'kind="webrtc"') == 0:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the leg was still there after 5 s")


async def test_a_page_without_a_key_joins_with_a_ticket_and_gets_another_when_it_is_over(app: Page):
    told = await app.evaluate(
        """async () => {
          const { BridgeApi, BridgeCall, openMicrophone } = await import("/web/bridge.js");
          const server = new BridgeApi({ key: "demo" }); // stands for the customer's own server
          const callId = await server.dial("15550100001");
          const tickets = ["tk_over", await server.ticket(callId)];
          const page = new BridgeApi({ key: "" });
          let asked = 0;
          const call = new BridgeCall(page, callId, { ticket: async () => tickets[asked++] });
          await call.connect(await openMicrophone());
          await call.setMuted(true);
          const state = call.state;
          const hangup = await new BridgeApi({ key: tickets[1] }).hangup(callId).catch(({ status }) => status);
          await call.close();
          return { state, asked, hangup };
        }"""
    )

    assert told == {"state": "connected", "asked": 2, "hangup": 403}


@pytest.mark.parametrize(
    ("missing", "what"),
    [
        ("RTCPeerConnection", "no WebRTC"),
        ("MediaStream", "no WebRTC"),
        ("navigator.mediaDevices", "no microphone"),
    ],
)
async def test_a_browser_that_lacks_something_is_told_in_a_sentence(app: Page, missing, what):
    told = await app.evaluate(
        """async (missing) => {
          const owner = missing.startsWith("navigator.") ? navigator : window;
          Object.defineProperty(owner, missing.split(".").at(-1), { value: undefined });
          const { BridgeApi, BridgeCall, openMicrophone } = await import("/web/bridge.js");
          const call = new BridgeCall(new BridgeApi(), "any");
          const join = async () => call.connect(owner === navigator ? await openMicrophone() : null);
          return join().catch(({ name, code, message }) => [name, code, message]);
        }""",
        missing,
    )

    assert told[:2] == ["BridgeError", "unsupported_browser"]
    assert what in told[2]


async def test_errors_have_a_word_for_programs_and_one_for_people(app: Page):
    told = await app.evaluate(
        """async () => {
          const { BridgeApi } = await import("/web/bridge.js");
          const fail = (promise) => promise.then(() => null, ({ name, code, message, status }) => ({ name, code, message, status }));
          return {
            key: await fail(new BridgeApi({ key: "wrong" }).status()),
            call: await fail(new BridgeApi().hangup("nothing")),
            number: await fail(new BridgeApi().dial("not a number")),
            bridge: await fail(new BridgeApi({ baseUrl: "http://127.0.0.1:9" }).status()),
          };
        }"""
    )

    assert {name: (error["code"], error["status"]) for name, error in told.items()} == {
        "key": ("wrong_key", 401),
        "call": ("not_found", 404),
        "number": ("invalid_request", 400),
        "bridge": ("bridge_unreachable", 0),
    }
    assert all(error["name"] == "BridgeError" and error["message"] for error in told.values())


@pytest.mark.parametrize(
    ("delay", "loss", "expected"),
    [(0.15, 0.0, 4.08), (0.15, 0.05, 3.31), (0.15, 0.2, 1.97), (0.0, 1.0, 1.1)],
)
async def test_the_opinion_score_follows_the_e_model(app: Page, delay, loss, expected):
    # Expected: the E-model's formula worked out by hand with the factors that the code names.
    score = await app.evaluate(
        """async (heard) => (await import("/web/quality.js")).opinionScore(heard)""",
        {"delay": delay, "loss": loss},
    )

    assert score == pytest.approx(expected, abs=0.06)
