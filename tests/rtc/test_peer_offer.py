"""Peers that we offer to, and ICE-lite ones that offer to us."""

import asyncio
from functools import partial

import pytest
from aiortc import RTCSessionDescription

from bridge.errors import InvalidState, LimitExceeded, NegotiationFailed, SdpError
from bridge.rtc.config import Timeouts
from bridge.wire.sdp.dialect import WHATSAPP
from tests.support.peers.bridge_peer import (
    BridgePeer,
    Echo,
    RoamingPeer,
    talk,
    talk_until_heard,
    value,
)
from tests.support.peers.light_peer import LightPeer
from tests.support.peers.meta_peer import ANSWER_FORMS, MetaPeer
from tests.support.peers.stock_peer import StockPeer
from tests.support.waiting import until

pytestmark = pytest.mark.virtual_time

SHORT = Timeouts(ice=0.5, dtls=0.5, setup=1.0)


class FarPeer(BridgePeer):
    """A bridge-side peer for WhatsApp's media servers."""

    def __init__(self, **more):
        super().__init__(dialect=WHATSAPP, **more)

    async def connect(self):
        await self.peer.connect()
        self.peer.session.start_sending(asyncio.get_running_loop().time())


async def ring(bridge, meta):
    """Offer, take the answer and connect."""
    await bridge.peer.set_answer(await meta.answer(await bridge.peer.create_offer()))
    await bridge.connect()


# We offer


@pytest.mark.parametrize("form", ANSWER_FORMS)
async def test_a_media_server_answers_and_receives_audio(form):
    async with FarPeer() as bridge, MetaPeer(answer_form=form) as meta:
        await ring(bridge, meta)
        await until(lambda: meta.rtp_packets)
        assert meta.complaints == []
        assert bridge.serving.local.ice_controlling
        assert bridge.serving.role == ("client" if form == "actpass" else "server")


async def test_a_full_ice_agent_answers_too():
    async with FarPeer() as bridge, StockPeer() as browser:
        await browser.connection.setRemoteDescription(
            RTCSessionDescription(await bridge.peer.create_offer(), "offer")
        )
        await browser.connection.setLocalDescription(await browser.connection.createAnswer())
        await bridge.peer.set_answer(browser.connection.localDescription.sdp)
        await bridge.connect()
        await browser.wait_connected()
        assert bridge.serving.local.ice_controlling


async def test_an_offer_acquires_a_port_and_closing_releases_it():
    bridge = FarPeer()
    await bridge.peer.create_offer()
    assert bridge.pool.used == 1
    await bridge.peer.aclose()
    assert bridge.pool.used == 0


async def test_an_offer_without_a_free_port_is_refused():
    async with FarPeer(ports=0) as bridge:
        with pytest.raises(LimitExceeded):
            await bridge.peer.create_offer()


async def test_there_is_one_answer_to_an_offer():
    async with FarPeer() as bridge, MetaPeer() as meta:
        with pytest.raises(InvalidState):
            await bridge.peer.set_answer(await meta.offer())
        offer = await bridge.peer.create_offer()
        with pytest.raises(InvalidState):
            await bridge.peer.create_answer(offer)
        async with MetaPeer() as other:
            answer = await other.answer(offer)
            await bridge.peer.set_answer(answer)
            with pytest.raises(InvalidState):
                await bridge.peer.set_answer(answer)


async def test_an_answer_that_cannot_be_used_leaves_the_offer_open():
    async with FarPeer() as bridge, MetaPeer() as meta:
        offer = await bridge.peer.create_offer()
        with pytest.raises(SdpError):
            await bridge.peer.set_answer("v=0\r\n")
        await bridge.peer.set_answer(await meta.answer(offer))
        await bridge.connect()


async def test_an_offer_may_be_answered_once_we_connect():
    async with FarPeer() as bridge, StockPeer() as browser:
        offer = await bridge.peer.create_offer()
        connecting = asyncio.create_task(bridge.connect())
        await browser.connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await browser.connection.setLocalDescription(await browser.connection.createAnswer())
        await bridge.peer.set_answer(browser.connection.localDescription.sdp)
        await connecting


async def test_an_offer_that_is_never_answered_fails_the_ice_stage():
    async with FarPeer(timeouts=SHORT) as bridge:
        await bridge.peer.create_offer()
        with pytest.raises(NegotiationFailed) as failed:
            await bridge.connect()
        assert (failed.value.stage, failed.value.reason) == ("ice", "nothing_received")


async def test_an_offer_of_ours_restarts_ice():
    async with BridgePeer(timeouts=Timeouts(linger=0.0)) as bridge, RoamingPeer() as browser:
        await asyncio.gather(browser.call(partial(swap, bridge)), connect_when_offered(bridge))
        bridge.echo = Echo(bridge.peer)
        await talk(browser)
        browser.leave()
        await browser.restart(partial(swap, bridge, restart=True))
        await until(lambda: bridge.restarts == [True])
        await talk(browser)
        assert len({arrival.ssrc for arrival in browser.arrivals}) == 1
        await until(lambda: bridge.pool.used == 1)


async def test_a_new_page_that_we_offer_to_replaces_the_one_before():
    async with BridgePeer(timeouts=Timeouts(linger=0.0)) as bridge, LightPeer() as one:
        await asyncio.gather(one.call(partial(swap, bridge)), connect_when_offered(bridge))
        session, bridge.echo = bridge.peer.session, Echo(bridge.peer)
        await talk(one)
        async with LightPeer(ssrc=77) as other:
            await other.call(partial(swap, bridge))
            await talk_until_heard(other)
            assert bridge.peer.session is session
            assert other.arrivals[0].ssrc == session.ssrc != one.arrivals[0].ssrc
        await until(lambda: bridge.pool.used == 1)


async def test_ice_restarts_with_the_page_that_there_is():
    async with BridgePeer() as bridge, LightPeer() as browser, LightPeer() as other:
        with pytest.raises(InvalidState):
            await bridge.peer.create_offer(restart=True)
        await swap(bridge, await browser.offer())
        await bridge.peer.create_offer(restart=True)
        with pytest.raises(InvalidState):
            await bridge.peer.set_answer(await other.offer())


async def connect_when_offered(bridge):
    await until(lambda: bridge.transports.newest)
    await bridge.peer.connect()


async def swap(bridge, description, *, restart=False):
    """Offer, take another offer for the answer, and return ours."""
    offer = await bridge.peer.create_offer(restart=restart)
    await bridge.peer.set_answer(description)
    return offer


async def test_a_media_server_that_answers_no_check_fails_the_ice_stage():
    async with FarPeer(timeouts=SHORT) as bridge, MetaPeer() as meta:
        meta.vanish()
        with pytest.raises(NegotiationFailed) as failed:
            await ring(bridge, meta)
        assert failed.value.stage == "ice"


async def test_another_certificate_than_the_answer_names_is_refused():
    async with FarPeer() as bridge, MetaPeer() as meta:
        answer = await meta.answer(await bridge.peer.create_offer())
        wrong = ":".join(["AB"] * 32)
        await bridge.peer.set_answer(answer.replace(value(answer, "fingerprint")[8:], wrong))
        with pytest.raises(NegotiationFailed) as failed:
            await bridge.peer.connect()
        assert (failed.value.stage, failed.value.reason) == ("dtls", "fingerprint")


# They offer


async def test_the_session_is_there_before_the_offer_is_answered():
    async with FarPeer() as bridge, MetaPeer() as meta:
        offer = await meta.offer()
        bridge.peer.set_remote(offer)
        session = bridge.peer.session
        await meta.take_answer(await bridge.peer.create_answer(offer))
        await bridge.connect()
        assert bridge.peer.session is session
        await until(lambda: meta.rtp_packets)
        assert meta.ssrcs == {session.ssrc}


async def test_candidates_of_a_signed_message_are_probed_also_where_they_are_private():
    async with FarPeer(probe_private=False) as bridge, MetaPeer() as meta:
        await meta.take_answer(await bridge.peer.create_answer(await meta.offer()))
        await bridge.connect()
        assert meta.checked_first


@pytest.mark.parametrize("bind", [("127.0.0.1",), ("127.0.0.1", "::1"), ("::1", "127.0.0.1")])
async def test_an_ipv6_candidate_of_higher_priority_that_leads_nowhere_does_no_harm(bind):
    async with FarPeer(bind=bind) as bridge, MetaPeer() as meta:
        await meta.take_answer(await bridge.peer.create_answer(await meta.offer()))
        await bridge.connect()
        tried = {pair.remote_candidate.host for pair in bridge.serving.local._check_list}
        assert ("2001:db8::face" in tried) == ("::1" in bind)
