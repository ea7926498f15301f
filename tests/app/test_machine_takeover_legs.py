"""What becomes of the legs of a call that goes on at another machine, of which only the snapshot is left."""

import asyncio
from contextlib import asynccontextmanager

import msgspec
import numpy as np
import pytest

from bridge.app.handover import call_services, provider_keys
from bridge.app.machine_takeover import build_adoption
from bridge.call.model import CallId, State
from bridge.errors import HandoverRefused
from bridge.legs.webrtc import WebRtcSnapshot
from bridge.node import call_snapshot, portable_call
from bridge.node.handover import CallServices, Handover, leave
from bridge.node.lost_leg import LostLeg
from bridge.node.portable_call import PortableCalls
from bridge.node.recording.again import RecordAgain
from bridge.settings.model import Limits
from bridge.wire.call_event import CallEvent
from tests.calls.whatsapp.test_gateway import line
from tests.support.inprocess import one_node, settings
from tests.support.peers.stock_peer import StockPeer
from tests.support.sound.speech_compare import tone
from tests.support.waiting import until
from tests.support.whatsapp.gateway_double import DOUBLES
from tests.support.whatsapp.graph_double import USER

pytestmark = [pytest.mark.call, pytest.mark.virtual_time]

ECHO, NEVER = "15550100001", "15550100003"
TONE = (9000 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)).astype(np.int16)


class TwoMachines:
    """One bridge that has calls, and one that takes them over."""

    def __init__(self, old, new):
        self.old, self.new = old, new
        loop = asyncio.get_running_loop()
        self.services = [
            CallServices(
                {"recordings": RecordAgain(one.bridge.records.recordings, one.bridge.manager)}
            )
            for one in (old, new)
        ]
        self.calls = PortableCalls(
            old.bridge.manager,
            provider_keys=lambda call_id: provider_keys(old.bridge.manager, call_id),
            shared_now=loop.time,
            own_now=loop.time,
            services=self.services[0],
        )
        self.lost: list[str] = []
        """The kinds of the last call's lost legs."""
        self.told: list[CallEvent] = []
        new.bridge.manager.publisher.subscribe(lambda event: self.told.append(event))

    def types(self):
        return [event.type for event in self.told if not event.type.startswith("call.problem")]

    async def take_over(self, call_id, limits):
        """Let the new one go on with a call; the old one is not heard of any more."""
        loop = asyncio.get_running_loop()
        data = self.calls.snapshot(CallId(call_id))
        assert data is not None
        call = portable_call.unpack(data, shared_now=loop.time(), own_now=loop.time())
        control, lines = self.new.bridge.control, self.new.bridge.lines
        adoption = build_adoption(control, lines, self.services[1], limits.abandoned_seconds)
        assert adoption.adopt(call, []) == call_id
        runner = self.new.bridge.manager.running(CallId(call_id))
        assert runner is not None
        self.lost = [str(leg.kind) for leg in runner.legs() if isinstance(leg, LostLeg)]
        await adoption.aclose()
        return runner


@asynccontextmanager
async def two_machines(**changed):
    limits = Limits(overload_seconds=0.0, abandoned_seconds=30.0)
    chosen = [settings(limits=limits, **changed) for _ in range(2)]
    async with one_node(chosen[0], None) as old, one_node(chosen[1], None) as new:
        yield TwoMachines(old, new), limits


@pytest.fixture
async def machines():
    async with two_machines() as made:
        yield made


async def talking(client, page, **more):
    call_id = await client.dial(ECHO)
    exchange = client.exchange(call_id, **more)
    await page.call(exchange)
    await until(lambda: len(page.heard()) > 8000, timeout=10.0)
    return call_id, exchange.leg_id


async def hears(page):
    before = len(page.heard())
    await until(lambda: len(page.heard()) > before + 16_000, timeout=10.0)
    assert np.abs(page.heard()[before + 8000 :].astype(float)).max() > 1000


async def test_a_page_returns_under_its_leg_id_and_finds_the_call_as_it_was(machines):
    at, limits = machines
    async with StockPeer(TONE, repeat=True) as page, StockPeer(TONE, repeat=True) as again:
        call_id, leg_id = await talking(at.old, page)
        await at.old.data("/call/mute", {"callId": call_id, "muted": True})
        before = at.old.bridge.manager.running(CallId(call_id)).record()
        runner = await at.take_over(call_id, limits)
        after = runner.record()
        assert (after.facts, after.state, after.muted) == (before.facts, State.ACTIVE, True)
        assert [leg.leg_id for leg in after.legs] == [leg.leg_id for leg in before.legs]
        assert after.seconds == pytest.approx(before.seconds, abs=0.5)
        exchange = at.new.exchange(call_id, legID=leg_id)
        await again.call(exchange)
        assert exchange.leg_id == leg_id
        await at.new.data("/call/mute", {"callId": call_id, "muted": False})
        await hears(again)
        assert at.types().count("leg.connected") == 1
        assert "leg.left" not in at.types()


async def test_an_offer_that_is_repeated_while_it_is_answered_is_answered_again(machines):
    at, limits = machines
    async with StockPeer(TONE, repeat=True) as page, StockPeer(TONE, repeat=True) as again:
        call_id, leg_id = await talking(at.old, page)
        await at.take_over(call_id, limits)
        exchange = at.new.exchange(call_id, legID=leg_id)

        async def twice(offer):
            answers = await asyncio.gather(exchange(offer), exchange(offer))
            return answers[0]

        await again.call(twice)
        await hears(again)


async def test_a_call_to_which_nobody_comes_back_ends_as_lost_once_the_time_is_over(machines):
    at, limits = machines
    async with StockPeer(TONE, repeat=True) as page:
        call_id, _ = await talking(at.old, page)
        runner = await at.take_over(call_id, limits)
        began = asyncio.get_running_loop().time()
        await until(lambda: not runner.live, timeout=100.0)
        assert asyncio.get_running_loop().time() - began == pytest.approx(30.0, abs=1.0)
        assert at.types() == ["leg.left", "leg.left", "call.ended"]
        assert at.told[-1].data["reason"] == "node_lost"


async def test_two_browsers_find_each_other_again(machines):
    at, limits = machines
    async with (
        StockPeer(TONE, repeat=True) as near,
        StockPeer(TONE, repeat=True) as far,
        StockPeer(TONE, repeat=True) as near_again,
        StockPeer(TONE, repeat=True) as far_again,
    ):
        opened = await at.old.data("/call/dial", {"channel": "webrtc"})
        call_id = opened["callId"]
        exchanges = at.old.exchange(call_id, party="far"), at.old.exchange(call_id)
        await far.call(exchanges[0])
        await near.call(exchanges[1])
        await hears(near)
        await at.take_over(call_id, limits)
        await far_again.call(at.new.exchange(call_id, legID=exchanges[0].leg_id))
        await near_again.call(at.new.exchange(call_id, legID=exchanges[1].leg_id))
        await hears(near_again)
        await hears(far_again)


@pytest.mark.parametrize("paused", [False, True])
async def test_another_recording_begins_in_place_of_the_lost_one(machines, paused):
    at, limits = machines
    async with StockPeer(TONE, repeat=True) as page:
        call_id, leg_id = await talking(at.old, page)
        await at.old.data("/call/record/start", {"callId": call_id})
        if paused:
            await at.old.data("/call/record/pause", {"callId": call_id})
        runner = await at.take_over(call_id, limits)
        assert set(at.lost) == {"recorder"}
        started = "recording.paused" if paused else "recording.started"
        await until(lambda: started in at.types())
        lost = [event.data for event in at.told if event.type == "leg.left"]
        assert {(one["kind"], one["reason"]) for one in lost} == {("recorder", "node_lost")}
        recorders = [leg for leg in runner.legs() if leg.kind == "recorder"]
        assert len(recorders) == 3
        assert {leg.paused for leg in recorders} == {paused}
        assert leg_id in {leg.leg_id for leg in runner.legs()}


async def test_what_is_written_has_no_key_and_no_password(machines):
    at, _ = machines
    async with StockPeer(TONE, repeat=True) as page:
        call_id, _ = await talking(at.old, page)
        written = at.calls.snapshot(CallId(call_id))
        found = call_services(at.old.bridge.control, at.old.bridge.media, at.old.bridge.records)
        handover = Handover(at.old.bridge.manager, found)
        await until(lambda: handover.movable() == [call_id], timeout=10.0)
        with handover.copied(CallId(call_id)) as (whole, _):
            copy = call_snapshot.decode(whole)
        [peer] = [one for one in copy.legs if one.kind == "webrtc"]
        transport = msgspec.msgpack.decode(peer.state, type=WebRtcSnapshot).peer.transport
        secrets = [transport.srtp.send_key, transport.srtp.receive_key]
        ice = transport.ice
        secrets += [
            text.encode() for text in (ice.pwd, ice.remote_pwd, ice.ufrag, ice.remote_ufrag)
        ]
        secrets += [transport.fingerprint.encode(), transport.own_fingerprint.encode()]
        assert all(secret in whole for secret in secrets)
        assert not [secret for secret in secrets if secret in written]


async def test_a_call_that_rings_is_not_described_yet(machines):
    at, _ = machines
    call_id = await at.old.dial(NEVER)
    with pytest.raises(HandoverRefused, match="not connected yet"):
        at.calls.snapshot(CallId(call_id))


@pytest.mark.parametrize("dialect", sorted(DOUBLES))
async def test_a_call_over_a_gateway_goes_on_by_a_socket_of_the_other_machine(dialect):
    async with DOUBLES[dialect]() as double, StockPeer(TONE, repeat=True) as page:
        double.speech = tone(60, 880)
        async with two_machines(lines={"main": line(double)}) as (at, limits):
            call_id = await at.old.dial(USER)
            exchange = at.old.exchange(call_id)
            await page.call(exchange)
            far = double.only
            await until(lambda: len(far.sockets) == 1 and len(far.heard) > 10)
            old = at.old.bridge.manager.running(CallId(call_id))
            assert old is not None
            await until(lambda: old.machine.state is State.ACTIVE)
            await at.take_over(call_id, limits)
            await leave(at.old.bridge.manager, lambda _: True)
            await until(lambda: far.opened == 2 and len(far.sockets) == 1)
            heard = len(far.heard)
            async with StockPeer(TONE, repeat=True) as again:
                await again.call(at.new.exchange(call_id, legID=exchange.leg_id))
                await until(lambda: len(far.heard) > heard + 30)
                assert np.abs(double.decode(b"".join(far.heard[-5:])).astype(float)).max() > 1000
                assert ("POST", "hangup") not in double.requests
                await at.new.data("/call/hangup", {"callId": call_id})
                await until(lambda: not double.calls)
