"""A live call written down and read again."""

import msgspec

from bridge.call.live_record import LiveRecord, live_record
from bridge.call.model import State
from bridge.rtp.session import RtpSession
from bridge.wire.rtp.stream import OutgoingStream
from tests.support.inprocess import running
from tests.support.peers.bridge_peer import talk_until_heard
from tests.support.peers.light_peer import LightPeer

ECHO = "15550100001"


async def test_a_live_call_can_be_written_down_with_its_routes_and_numbering():
    async with running() as client, LightPeer() as browser:
        call_id = await client.dial(ECHO)
        await browser.call(client.exchange(call_id))
        await talk_until_heard(browser)
        [call] = client.bridge.manager.calls()
        numbering = {
            leg.leg_id: leg.source.numbering
            for leg in call.legs()
            if isinstance(leg.source, RtpSession)
        }
        record = live_record(call.facts, call.machine, numbering)
        written = msgspec.msgpack.encode(record)
        read = msgspec.msgpack.decode(written, type=LiveRecord)
        assert read == record
        assert read.state is State.ACTIVE
        [near] = numbering
        assert {near} in read.routes.values()  # the far party hears the browser
        assert len(read.routes[near]) == 1
        resumed = OutgoingStream.resumed(read.numbering[near])
        assert resumed.ssrc == browser.arrivals[-1].ssrc
        assert resumed.numbering() == numbering[near]
