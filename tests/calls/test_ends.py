"""How calls and legs end: from either side, in any state, by vanishing; and what is left behind."""

import asyncio
import gc
import os
import random
import signal

import aiohttp
import pytest
from aiortc import RTCCertificate

from bridge.call.model import EndReason
from bridge.legs.webrtc import WebRtcLeg
from bridge.node.runner import CallRunner
from bridge.rtc.config import Timeouts
from tests.support import server
from tests.support.inprocess import running, with_limits
from tests.support.packets.offers import offer
from tests.support.peers.bridge_peer import RoamingPeer, speech, talk, talk_until_heard
from tests.support.peers.light_peer import LightPeer
from tests.support.peers.signalling import HttpExchange, SignallingError
from tests.support.peers.stock_peer import StockPeer
from tests.support.sampling import sample_calls
from tests.support.two_nodes import one_node_only
from tests.support.waiting import until

ECHO, NEVER, BUSY, REJECTS, SILENT = (f"1555010000{n}" for n in (1, 3, 4, 5, 8))
SHORT_SETUP = Timeouts(ice=0.3, dtls=0.3, setup=0.6)
SHORT_CONSENT = Timeouts(peer_timeout=0.6, consent=(0.05, 0.1))

pytestmark = pytest.mark.call


def runner_of(client, call_id):
    return next(one for one in client.bridge.manager.calls() if one.facts.call_id == call_id)


def browsers(client, call_id):
    return [leg for leg in runner_of(client, call_id).legs() if leg.kind == "webrtc"]


async def join(client, call_id, browser, **more) -> None:
    """Connect a browser and wait until the bridge has noticed."""
    exchange = client.exchange(call_id, **more)
    await browser.call(exchange)
    legs = runner_of(client, call_id).machine.legs.records
    await until(lambda: legs[exchange.leg_id].connected)


async def figure(client, name: str, **labels: str) -> float:
    """Return one series of the metrics."""
    wanted = (
        "{" + ",".join(f'{key}="{value}"' for key, value in (labels | {"node": "0"}).items()) + "}"
    )
    return float(await client.total(name + wanted))


async def ended_as(client, call_id) -> str:
    """Wait for the call's end and tell its reason."""
    await client.until_state(call_id, "gone")
    return str((await client.quality(call_id))["endReason"])


# Browsers that go, or say nothing


async def test_a_browser_that_vanishes_is_noticed_and_ended_while_the_call_goes_on():
    async with running() as client, RoamingPeer() as browser:
        call_id = await client.dial(ECHO)
        await join(client, call_id, browser)
        await talk(browser)
        sample_calls(client.bridge.manager, 0.0)
        [leg] = browsers(client, call_id)
        record = runner_of(client, call_id).machine
        browser.leave()
        await until(lambda: record.legs.records[leg.leg_id].silent)
        for _ in range(2):
            sample_calls(client.bridge.manager, 0.0)
        assert await figure(client, "bridge_legs_stalled", kind="webrtc") == 1
        await until(lambda: browsers(client, call_id) == [], timeout=60)
        await until(lambda: client.ports.used == 0)
        assert await figure(client, "bridge_legs_stalled", kind="webrtc") == 0
        lost = {"reason": "consent_lost", "stage": "ice"}
        assert await figure(client, "bridge_transport_failures_total", **lost) == 1
        assert await client.state(call_id) == "active"


@one_node_only  # nothing of it is another node's
@pytest.mark.parametrize("direction", ["recvonly", "sendrecv", "inactive"])
async def test_a_browser_is_never_ended_for_saying_nothing(direction):
    async with running(timeouts=SHORT_CONSENT) as client, LightPeer(direction=direction) as browser:
        call_id = await client.dial(ECHO)
        await join(client, call_id, browser)
        await asyncio.sleep(3 * SHORT_CONSENT.peer_timeout)
        assert len(browsers(client, call_id)) == 1
        assert not browser.closed


async def test_an_offer_that_ice_never_follows_is_freed():
    async with running(timeouts=SHORT_SETUP) as client:
        call_id = await client.dial(SILENT)
        await client.exchange(call_id)(offer("minimal"))
        assert client.ports.used == 1
        await until(lambda: browsers(client, call_id) == [])
        await until(lambda: client.ports.used == 0)
        assert await client.state(call_id) == "active"


async def test_a_browser_that_stops_after_ice_is_freed(monkeypatch):
    async with running(timeouts=SHORT_SETUP) as client, LightPeer() as browser:
        call_id = await client.dial(SILENT)
        monkeypatch.setattr(browser.dtls, "start", lambda _: asyncio.Event().wait())
        with pytest.raises(TimeoutError):
            await browser.call(client.exchange(call_id), timeout=1.0)
        await until(lambda: browsers(client, call_id) == [])
        await until(lambda: client.ports.used == 0)
        late = {"reason": "timeout", "stage": "dtls"}
        assert await figure(client, "bridge_transport_failures_total", **late) == 1


async def test_a_tab_that_closes_ends_its_leg_at_once():
    async with running() as client, LightPeer() as stays, LightPeer() as leaves:
        call_id = await client.dial(ECHO)
        await join(client, call_id, stays)
        await join(client, call_id, leaves)
        await leaves.close()
        await until(lambda: len(browsers(client, call_id)) == 1, timeout=1.0)
        assert await client.state(call_id) == "active"
        await talk(stays)


async def test_a_call_whose_last_browser_has_left_ends_after_a_while():
    async with running(with_limits(abandoned_seconds=0.1)) as client, LightPeer() as browser:
        call_id = await client.dial(ECHO)
        await join(client, call_id, browser)
        await browser.close()
        assert await ended_as(client, call_id) == EndReason.HANGUP


async def test_a_browser_may_come_back_before_its_call_ends():
    async with running(with_limits(abandoned_seconds=0.5)) as client, LightPeer() as comes_back:
        call_id = await client.dial(ECHO)
        async with LightPeer() as leaves:
            await join(client, call_id, leaves)
        await until(lambda: browsers(client, call_id) == [])
        await join(client, call_id, comes_back)
        await asyncio.sleep(0.7)
        assert await client.state(call_id) == "active"


# Hanging up


async def waiting_for_a_browser(client) -> str:
    return str((await client.data("/call/dial", {"channel": "webrtc"}))["callId"])


async def incoming(client) -> str:
    return str((await client.data("/simulator/incoming", {"from": ECHO}))["callId"])


async def nobody_answers(client) -> str:
    return str(await client.dial(NEVER))


@pytest.mark.parametrize(
    ("begin", "reason"),
    [
        (nobody_answers, EndReason.CANCELED),
        (waiting_for_a_browser, EndReason.CANCELED),
        (incoming, EndReason.REJECTED),
    ],
)
async def test_a_call_may_be_hung_up_before_it_is_answered(begin, reason):
    async with running() as client:
        call_id = await begin(client)
        await client.exchange(call_id)(offer("minimal"))
        await client.data("/call/hangup", {"callId": call_id})
        assert await client.state(call_id) == "gone"
        assert await ended_as(client, call_id) == reason


async def test_hanging_up_an_active_call_says_goodbye_to_every_browser():
    async with running() as client, LightPeer() as one, StockPeer() as other:
        call_id = await client.dial(ECHO)
        await join(client, call_id, one)
        await join(client, call_id, other)
        await client.data("/call/hangup", {"callId": call_id})
        await one.wait_closed()
        await other.wait_ended()
        assert await ended_as(client, call_id) == EndReason.HANGUP
        await until(lambda: client.ports.used == 0)


async def test_hanging_up_while_a_browser_connects_frees_it():
    async with running() as client, LightPeer() as browser:
        call_id = await client.dial(ECHO)
        answer = await client.exchange(call_id)(await browser.offer())
        connecting = asyncio.create_task(browser.accept(answer, timeout=1.0))
        await asyncio.sleep(0)
        await client.data("/call/hangup", {"callId": call_id})
        await asyncio.gather(connecting, return_exceptions=True)
        await until(lambda: client.ports.used == 0)


@pytest.mark.parametrize(("number", "reason"), [(BUSY, "busy"), (REJECTS, "rejected")])
async def test_a_contact_that_does_not_take_the_call_ends_it_for_the_browser_too(number, reason):
    async with running() as client, LightPeer() as browser:
        call_id = await client.dial(number)
        try:
            await browser.call(client.exchange(call_id))
            await browser.wait_closed()
        except (SignallingError, ConnectionError):
            pass  # it was quicker than the browser
        assert await ended_as(client, call_id) == reason
        await until(lambda: client.ports.used == 0)


async def test_the_far_browser_ends_the_call_by_leaving():
    async with running() as client, LightPeer() as near, LightPeer() as far:
        call_id = await waiting_for_a_browser(client)
        await join(client, call_id, near)
        await join(client, call_id, far, party="far")
        await until(lambda: runner_of(client, call_id).machine.state == "active")
        await far.close()
        assert await ended_as(client, call_id) == EndReason.REMOTE_HANGUP
        await near.wait_closed()


async def test_a_far_browser_that_never_connects_fails_the_call():
    async with running(timeouts=SHORT_SETUP) as client:
        call_id = await waiting_for_a_browser(client)
        await client.exchange(call_id, party="far")(offer("minimal"))
        assert await ended_as(client, call_id) == EndReason.FAILED


async def test_a_call_rings_no_longer_than_it_may():
    async with running(with_limits(ring_seconds=0.1)) as client:
        assert await ended_as(client, await client.dial(NEVER)) == EndReason.NO_ANSWER


async def test_a_call_lasts_no_longer_than_it_may():
    async with running(with_limits(call_seconds=0.1)) as client:
        assert await ended_as(client, await client.dial(ECHO)) == EndReason.HANGUP


@pytest.mark.parametrize("seed", range(10))
async def test_whatever_is_asked_at_once_a_call_ends_once_and_leaves_nothing(seed):
    async with running(timeouts=SHORT_SETUP) as client:
        call_id = await (incoming(client) if seed % 2 else client.dial(ECHO))
        leg = {"callID": call_id, "sdp": offer("minimal")}
        asked = [
            *[("/call/webrtc/offer", leg)] * 4,
            *[("/call/hangup", {"callId": call_id})] * 3,
            *[("/call/webrtc/close", {"callID": call_id})] * 3,
            ("/call/answer", {"callId": call_id}),
            ("/call/mute", {"callId": call_id, "muted": True}),
            ("/call/dtmf", {"callId": call_id, "digits": "1"}),
        ]
        random.Random(seed).shuffle(asked)
        replies = await asyncio.gather(*(client.post(path, body) for path, body in asked))
        assert {reply.status for reply in replies} <= {200, 404, 409}
        hangups = [
            reply.status
            for reply, (path, _) in zip(replies, asked, strict=True)
            if path == "/call/hangup"
        ]
        assert sorted(hangups) == [200, 404, 404]
        await until(lambda: client.ports.used == 0)
        assert await client.total("bridge_calls_ended_total") == 1
        assert await figure(client, "bridge_legs", kind="webrtc") == 0


# Nothing is left behind


def sockets() -> int:
    links = []
    for number in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{number}"))
        except FileNotFoundError:
            continue
    return sum(link.startswith("socket:") for link in links)


def bridge_timers() -> list[str]:
    """The pending timers that call something of the bridge's."""
    scheduled = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
    names = [
        getattr(handle._callback, "__module__", "") or ""
        for handle in scheduled
        if not handle.cancelled()
    ]
    return [name for name in names if name.startswith("bridge.")]


def alive(kind: type) -> int:
    gc.collect()
    return sum(isinstance(found, kind) for found in gc.get_objects())


async def one_call(client, number: int, certificate: RTCCertificate) -> None:
    """Open and close a call: some with a browser that talks, most with half of one or none."""
    call_id = await client.dial((ECHO, SILENT, NEVER)[number % 3])
    if number % 10 == 0:
        async with LightPeer(certificate=certificate) as browser:
            await join(client, call_id, browser)
            if number % 3 == 0:
                await talk(browser, 2)
    elif number % 45 == 1:
        async with StockPeer() as browser:
            await join(client, call_id, browser)
    elif number % 4 == 0:
        await client.exchange(call_id)(offer("minimal"))
    await client.data("/call/hangup", {"callId": call_id})


@pytest.mark.parametrize("count", [20, pytest.param(200, marks=pytest.mark.long)])
async def test_calls_leave_no_task_timer_socket_or_port_behind(count):
    speech()
    certificate = RTCCertificate.generateCertificate()
    others = alive(CallRunner), alive(WebRtcLeg)  # of a test that failed, whose frames pytest keeps
    async with running(with_limits(kept_seconds=0.0)) as client:
        for number in range(2):
            await one_call(client, number, certificate)
        await until(lambda: alive(CallRunner) <= others[0])
        tasks, open_before = len(asyncio.all_tasks()), sockets()
        for number in range(count):
            await one_call(client, number, certificate)
        await until(lambda: client.ports.used == 0)
        await until(lambda: len(asyncio.all_tasks()) <= tasks)
        await until(lambda: sockets() <= open_before)
        sample_calls(client.bridge.manager, asyncio.get_running_loop().time() + 1)
        assert client.ports.free == 40
        assert bridge_timers() == []
        await until(lambda: alive(CallRunner) <= others[0])
        assert alive(WebRtcLeg) <= others[1]
        assert await figure(client, "bridge_legs", kind="webrtc") == 0
        assert await figure(client, "bridge_legs", kind="simulator") == 0


# Shutting down


@one_node_only  # the other node still takes calls
async def test_a_bridge_that_shuts_down_says_it_is_not_ready_and_takes_no_calls():
    async with running() as client, LightPeer() as browser:
        call_id = await client.dial(ECHO)
        await join(client, call_id, browser)
        closing = asyncio.create_task(client.bridge.manager.aclose())
        await asyncio.sleep(0)
        ready = await client.get("/readyz")
        assert (ready.status, await ready.json()) == (503, {"status": "draining"})
        refused = await client.post("/call/dial", {"phone": ECHO})
        assert refused.status == 503
        assert int(refused.headers["Retry-After"]) > 0
        await closing
        await browser.wait_closed()
        assert (await client.get("/healthz")).status == 200
        assert await ended_as(client, call_id) == EndReason.DRAINED


@pytest.mark.real_time  # its bridge is another process
async def test_a_process_that_is_told_to_stop_says_goodbye_and_exits_with_0(tmp_path):
    with server.running(tmp_path, SIMULATOR__RING_SECONDS="0") as bridge:
        call_id = await asyncio.to_thread(bridge.post, "/call/dial", {"phone": ECHO})
        async with aiohttp.ClientSession() as http, LightPeer() as browser:
            await browser.call(HttpExchange(http.post, bridge.url, call_id=call_id["callId"]))
            await talk_until_heard(browser)
            bridge.process.send_signal(signal.SIGTERM)
            await browser.wait_closed()
        assert await asyncio.to_thread(bridge.process.wait, 8) == 0
        assert "Traceback" not in bridge.log()
