"""A live peer passed from one `Peer` to another, which share nothing but the sockets and a snapshot."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import numpy as np
import pytest

from bridge.errors import HandoverRefused, InvalidState
from bridge.rtc.config import PeerConfig
from bridge.wire.snapshot.peer import PeerSnapshot
from tests.support.peers.bridge_peer import BridgePeer, Echo, RoamingPeer, talk
from tests.support.peers.light_peer import LightPeer
from tests.support.peers.stock_peer import StockPeer
from tests.support.waiting import until

TONE = (9000 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)).astype(np.int16)


def passed(snapshot: PeerSnapshot) -> PeerSnapshot:
    """Return what another process gets."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(snapshot), type=PeerSnapshot)


def successor(bridge: BridgePeer, snapshot: PeerSnapshot, sockets: list[socket.socket]) -> BridgePeer:
    """Return a peer that has taken over, with duplicates of the sockets."""
    new = BridgePeer(ports=bridge.pool)
    new.peer.restore(passed(snapshot), [one.dup() for one in sockets])
    new.echo = Echo(new.peer)
    new._end = asyncio.create_task(new.peer.wait_closed())
    new.connecting = asyncio.create_task(asyncio.sleep(0))
    return new


async def hand_over(bridge: BridgePeer) -> BridgePeer:
    snapshot, sockets = bridge.peer.suspend()
    new = successor(bridge, snapshot, sockets)
    await bridge.peer.abandon()
    return new


async def test_sound_goes_both_ways_before_and_after():
    async with BridgePeer() as bridge, RoamingPeer() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        await talk(browser)
        async with await hand_over(bridge) as new:
            await talk(browser)
            await talk(browser)
            sequences = [arrival.sequence for arrival in browser.arrivals]
            assert sequences == [*range(sequences[0], sequences[0] + 30)]
            assert len({arrival.ssrc for arrival in browser.arrivals}) == 1
            assert browser.unreadable == 0
            statistics = new.peer.statistics()
            assert (statistics.received.packets, statistics.sent.packets) == (30, 30)
            assert statistics.received.lost == 0
            assert new.discarded == {}
