"""A live peer whose process has died goes on from a copy that is older, and uses no number twice."""

import asyncio
import ctypes
import mmap

import msgspec
import pytest

from bridge.errors import HandoverRefused, LimitExceeded
from bridge.rtc import peer as peer_module
from bridge.wire.rtp.stream import StreamStart
from bridge.wire.rtp.used_numbers import BYTES, Ceilings, Ledger, read
from bridge.wire.snapshot.advance import advanced
from bridge.wire.snapshot.peer import PeerSnapshot
from tests.support.peers.bridge_peer import BridgePeer, talk
from tests.support.peers.light_peer import LightPeer
from tests.support.peers.moved import Indexes, take_over
from tests.support.virtual_time import monotonic
from tests.support.waiting import until


class State(msgspec.Struct):
    """As legs have it."""

    peer: PeerSnapshot


class Memory:
    """What outlives a process."""

    def __init__(self) -> None:
        self.map = mmap.mmap(-1, BYTES)
        address = ctypes.addressof(ctypes.c_char.from_buffer(self.map))
        self.ledger = Ledger(memoryview(self.map), address)

    def read(self) -> dict[int, Ceilings]:
        return read(bytes(self.map))


def after(snapshot: PeerSnapshot, memory: Memory) -> PeerSnapshot:
    state = advanced(msgspec.msgpack.encode(State(snapshot)), memory.read(), monotonic())
    return msgspec.msgpack.decode(state, type=State).peer


def report(bridge):
    bridge.peer.session.report(monotonic(), 1.8e9 + monotonic())


@pytest.mark.parametrize("forwards", [False, pytest.param(True, marks=pytest.mark.full)])
async def test_no_index_is_used_twice_and_sound_goes_on(monkeypatch, forwards):
    start = StreamStart(ssrc=0xABCD, sequence=0xFFD0, timestamp=0)  # wraps after the copy
    monkeypatch.setattr(peer_module, "new_start", lambda: start)
    memory = Memory()
    async with BridgePeer(ledger=memory.ledger) as bridge, LightPeer() as browser:
        await browser.call(bridge.exchange)
        if forwards:
            bridge.echo = None
            bridge.peer.session.attach(bridge.peer.session.push)
        await bridge.connected()
        noted = Indexes.of(browser)
        await talk(browser)
        report(bridge)
        snapshot, sockets = bridge.peer.suspend()
        bridge.peer.resume()
        for _ in range(8):
            await talk(browser)
            report(bridge)
        before = len(browser.arrivals)
        bridge.peer.suspend()  # dies
        async with take_over(
            after(snapshot, memory), sockets, bridge, ledger=Memory().ledger
        ) as new:
            if forwards:
                new.peer.session.attach(new.peer.session.push)
            await bridge.peer.aclose()
            assert memory.read() == {}
            await talk(browser, 30)
            report(new)
            await until(lambda: len(browser.rtcp) == 10)
            assert not browser.closed
        assert len({*noted.packets}) == len(noted.packets)
        assert noted.reports == sorted({*noted.reports})
        assert browser.unreadable == 0
        first, second = browser.arrivals[before - 1 : before + 1]
        assert 0 < (second.sequence - first.sequence) & 0xFFFF <= 65


async def test_a_process_that_dies_before_its_first_report_is_succeeded_too():
    first, second = Memory(), Memory()
    async with BridgePeer(ledger=first.ledger) as bridge, LightPeer() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        await talk(browser)
        report(bridge)
        snapshot, sockets = bridge.peer.suspend()
        async with take_over(after(snapshot, first), sockets, bridge, ledger=second.ledger) as new:
            await bridge.peer.aclose()
            copy, _ = new.peer.suspend()
            assert isinstance(after(copy, second), PeerSnapshot)
            new.peer.resume()


async def test_an_offer_that_is_refused_leaves_no_slot_taken(monkeypatch):
    memory = Memory()
    async with BridgePeer(ledger=memory.ledger) as bridge, LightPeer() as browser:

        async def no_port(*_: object) -> None:
            raise LimitExceeded("no port is free")

        monkeypatch.setattr(bridge.peer, "_open_transport", no_port)
        with pytest.raises(LimitExceeded):
            await browser.call(bridge.exchange)
        assert memory.read() == {}


@pytest.mark.virtual_time
async def test_a_copy_from_before_the_first_packet_goes_on():
    memory = Memory()
    async with BridgePeer(ledger=memory.ledger) as bridge, LightPeer() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        await asyncio.sleep(3.0)  # the handshake is surely over
        snapshot, sockets = bridge.peer.suspend()
        bridge.peer.resume()
        await talk(browser)
        bridge.peer.suspend()
        noted = Indexes.of(browser)
        async with take_over(after(snapshot, memory), sockets, bridge):
            await bridge.peer.aclose()
            await talk(browser, 20)
            assert len(noted.packets) >= 10
            assert browser.unreadable == 0


@pytest.mark.parametrize(
    "known", [{}, {1: Ceilings(5, 5)}, {0xABCD: Ceilings(1, 5)}, {0xABCD: Ceilings(1 << 40, 5)}]
)
async def test_a_leg_whose_numbers_are_not_known_is_refused(monkeypatch, known):
    start = StreamStart(ssrc=0xABCD, sequence=100, timestamp=0)
    monkeypatch.setattr(peer_module, "new_start", lambda: start)
    async with BridgePeer() as bridge, LightPeer() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        await talk(browser)
        snapshot, _ = bridge.peer.suspend()
        state = msgspec.msgpack.encode(State(snapshot))
        with pytest.raises(HandoverRefused, match="not known"):
            advanced(state, known, 1.0)
        for broken in (b"\x93", b"\x01", msgspec.msgpack.encode({"peer": {}})):
            with pytest.raises(HandoverRefused, match="cannot be read"):
                advanced(broken, known, 1.0)


def test_a_leg_without_a_peer_stays_as_it_is():
    state = msgspec.msgpack.encode({"says": 3})
    assert advanced(state, {}, 1.0) == state
