"""No step of the event loop takes longer the more legs there are.

A step's work is counted in calls of functions, which is the same on every machine and every run, unlike
its time: 2,500 calls take about a quarter of a millisecond.
"""

import asyncio
import sys
from collections import Counter
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import pytest
from typing_extensions import override

from bridge.api.operations.scrape import merge_slices
from bridge.call.events import LegConnected
from bridge.call.model import LegKind, Party
from bridge.call.routing import LegRole
from bridge.legs.webrtc import WebRtcLeg, make_reports
from bridge.metrics.calls import SetupMetrics
from bridge.node.console.console import NodeFigures, NodeView
from bridge.node.runner import CallRunner
from bridge.rtc.config import PeerConfig
from bridge.rtc.dtls import Certificates
from bridge.rtc.peer import Peer
from bridge.rtc.ports import PortPool
from bridge.settings.model import Limits
from bridge.slices import in_steps
from tests.support.fake_node import ONE, Node
from tests.support.packets.offers import offer
from tests.support.packets.rtp_party import PAYLOADS, rtp
from tests.support.peers.bridge_peer import opus

MAX_CALLS = 2_500
MAX_SAMPLE_CALLS = 420
"""Of one call of two legs, once a second."""


class NoSetup:
    """Counts no set-ups."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


class Browser(WebRtcLeg):
    """A leg whose session is real, and whose packets lead nowhere."""

    def __init__(self, name, reports):
        config = PeerConfig(bind=("127.0.0.1",), ports=PortPool({1}))
        super().__init__(
            name,
            peer=lambda on_digit, on_restart: Peer(
                config=config, certificates=CERTIFICATES, opus=opus(), on_digit=on_digit
            ),
            counters=cast("SetupMetrics", NoSetup()),
            reports=reports,
        )
        peer = self._media.peer
        peer.set_remote(offer("minimal"))
        peer.session.set_transmit(lambda packet: None, lambda packet: None)
        self.source = self.sink = self.session = peer.session

    @override
    async def run(self, emit):
        emit(LegConnected(self.leg_id))
        self._reports.join(self)
        await asyncio.Event().wait()

    def speak(self, number, now):
        packet = rtp(PAYLOADS[number], sequence=number, timestamp=960 * number)
        self.session.receive_rtp(packet, now)


CERTIFICATES = Certificates()


@pytest.fixture
async def node():
    made = Node(Limits(calls=1000, kept_seconds=60.0))
    yield made
    await made.manager.aclose()


async def join(node, calls):
    """Open calls of two legs each, all connected."""
    reports = make_reports()
    for number in range(calls):
        runner = await node.manager.open(ONE)
        for party in (Party.FAR, Party.NEAR):
            leg = Browser(f"{party}{number}", reports)
            runner.add_leg(leg, LegRole(party))
        await asyncio.sleep(0)
    assert all(kind is LegKind.WEBRTC for one in node.manager.calls() for kind in one.kinds())


async def talk(node):
    """Let every leg say a few packets, in a step of their own each."""
    for number in range(3):
        for runner in node.manager.calls():
            for leg in runner.legs():
                leg.speak(number, asyncio.get_running_loop().time())
                await asyncio.sleep(0)
        await asyncio.sleep(1.0)


async def scrape(node):
    took = partial(node.metrics.steps.took, "scrape")
    for _ in range(2):  # the first creates the series
        texts = [text async for text in in_steps(node.metrics.slices(), took)]
        async for _text in in_steps(merge_slices({0: "".join(texts).encode()}), took):
            pass


async def describe(node):
    """What lists and consoles ask for."""
    view = NodeView(node.manager, node=0, figures=lambda: NodeFigures(0, "ready"), lines=list)
    await node.manager.describe(None, CallRunner.record)
    await view.snapshot(history=True)


def count_calls(function, *arguments):
    """Return how many functions a function calls, itself included."""
    calls = 0

    def count(frame, event, argument):
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        function(*arguments)
    finally:
        sys.setprofile(None)
    return calls


@contextmanager
def steps_counted(monkeypatch):
    """Count the function calls of each step of the event loop; give the most of any, by its callback."""
    most: Counter[str] = Counter()
    run = asyncio.Handle._run

    def counted(handle):
        calls = count_calls(run, handle)
        name = repr(getattr(handle._callback, "__self__", handle._callback))
        most[name] = max(most[name], calls)

    with monkeypatch.context() as patch:
        patch.setattr(asyncio.Handle, "_run", counted)
        yield most


@pytest.mark.virtual_time
@pytest.mark.parametrize("work", [talk, scrape, describe])
async def test_no_step_grows_with_four_hundred_legs(node, monkeypatch, work):
    await join(node, 200)
    await asyncio.sleep(2.5)
    with steps_counted(monkeypatch) as most:
        await work(node)
        await asyncio.sleep(0)
    assert most
    [(name, calls)] = most.most_common(1)
    assert calls <= MAX_CALLS, name


@pytest.mark.virtual_time
async def test_a_call_of_two_legs_is_sampled_in_few_function_calls(node):
    await join(node, 1)
    await talk(node)
    [runner] = node.manager.calls()
    sampler, counted = node.manager.sampler, []
    for number in range(3, 6):
        for leg in runner.legs():
            leg.speak(number, asyncio.get_running_loop().time())
        now = asyncio.get_running_loop().time()
        counted.append(count_calls(sampler.sample, runner, now))
        await asyncio.sleep(0.5)
    assert max(counted) <= MAX_SAMPLE_CALLS
