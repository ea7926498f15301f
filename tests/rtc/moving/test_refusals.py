"""Peers that cannot be passed on, snapshots that cannot be restored, and what is left of either."""

import socket

import msgspec
import pytest

from bridge.errors import HandoverRefused, InvalidState
from tests.support.peers.bridge_peer import BridgePeer, RoamingPeer, talk
from tests.support.peers.light_peer import LightPeer
from tests.support.peers.moved import hand_over, passed, talking
from tests.support.waiting import until


async def test_a_peer_that_is_not_connected_is_refused():
    async with BridgePeer() as bridge, LightPeer() as browser:
        with pytest.raises(HandoverRefused):
            bridge.peer.suspend()
        await bridge.peer.create_answer(await browser.offer())
        with pytest.raises(HandoverRefused):
            bridge.peer.suspend()


async def test_a_peer_whose_ice_restarts_is_refused_and_goes_on():
    async with talking(RoamingPeer()) as (bridge, browser):
        path = browser._gatherer
        await bridge.exchange(await browser.reoffer())
        with pytest.raises(HandoverRefused):
            bridge.peer.suspend()
        browser._gatherer, unused = path, browser._gatherer
        await talk(browser)
        await unused.link.close()


async def test_a_peer_that_has_ended_is_refused():
    async with BridgePeer() as bridge, LightPeer() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        await browser.close()
        await until(lambda: bridge.over)
        with pytest.raises(HandoverRefused):
            bridge.peer.suspend()


async def test_what_a_successor_cannot_restore_it_refuses_and_the_sockets_stay_the_callers():
    async with talking(LightPeer()) as (bridge, browser):
        snapshot, sockets = bridge.peer.suspend()
        snapshot, transport = passed(snapshot), passed(snapshot).transport
        replace = msgspec.structs.replace
        short = replace(transport, srtp=replace(transport.srtp, send_key=b"short"))
        nowhere = replace(transport, ice=replace(transport.ice, nominated=3))
        unspoken = replace(snapshot.session.audio, codec="speex")
        refused = [
            (snapshot, []),
            (snapshot, [*sockets, *sockets]),
            (replace(snapshot, transport=short), sockets),
            (replace(snapshot, transport=nowhere), sockets),
            (replace(snapshot, session=replace(snapshot.session, audio=unspoken)), sockets),
        ]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as another:
            another.bind(("127.0.0.1", 0))
            for changed, given in [*refused, (snapshot, [another])]:
                async with BridgePeer(ports=bridge.pool) as new:
                    with pytest.raises(HandoverRefused):
                        new.peer.restore(changed, given)
                assert all(one.fileno() >= 0 for one in given)
        bridge.peer.resume()
        await talk(browser)
        assert browser.unreadable == 0


async def test_a_snapshot_prints_no_key():
    async with talking(LightPeer()) as (bridge, _browser):
        snapshot, _ = bridge.peer.suspend()
        srtp, ice, dtls = (
            snapshot.transport.srtp, snapshot.transport.ice, snapshot.transport.dtls,
        )  # fmt: skip
        assert dtls is not None
        printed = f"{snapshot!r} {snapshot} {[snapshot.transport]} {srtp} {ice} {dtls}"
        for secret in (srtp.send_key, srtp.receive_key, dtls.client_key, dtls.server_key):
            assert repr(secret)[2:-1] not in printed
        assert ice.pwd not in printed
        assert ice.remote_pwd not in printed


async def test_a_suspended_peer_takes_no_offer():
    async with talking(RoamingPeer()) as (bridge, browser):
        bridge.peer.suspend()
        with pytest.raises(InvalidState):
            await bridge.peer.reoffer(await browser.reoffer())


async def test_a_peer_that_may_lack_the_end_of_the_handshake_is_refused_for_a_moment():
    async with BridgePeer() as bridge, LightPeer() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        with pytest.raises(HandoverRefused, match="handshake"):
            bridge.peer.suspend()
        await talk(browser)
        async with await hand_over(bridge):
            await talk(browser)


async def test_numbers_that_do_not_agree_are_refused_and_the_peer_goes_on():
    """A packet that was numbered but not sent: nobody knows how far the roll-overs have come."""
    async with talking(LightPeer()) as (bridge, browser):
        stream = bridge.peer.session._sender.stream
        bridge.peer.session.flush()
        bridge.peer.session.set_transmit(lambda _: None, lambda _: None)
        stream.stamp(0, object(), 1e6)
        with pytest.raises(HandoverRefused, match="numbers"):
            bridge.peer.suspend()
        await talk(browser)
        assert browser.unreadable == 0
