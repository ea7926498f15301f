"""The trunk that the bench calls."""

import asyncio
import socket

import pytest
from typing_extensions import override

from bridge.settings.model import load
from tests.bench.generators.trunk import OPUS, PCMU, PlainParty, settings, trunk
from tests.support.peers.light_peer import Arrival
from tests.support.waiting import until

OFFER = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio {port} RTP/AVP 0 98\r\na=rtpmap:98 opus/48000/2\r\n"
)


def request(method, *, body=""):
    return (
        f"{method} sip:+49301234@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK1\r\n"
        "From: <sip:bridge@test>;tag=1\r\nTo: <sip:+49301234@test>\r\nCall-ID: one\r\n"
        f"CSeq: 1 {method}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


class Bridge(asyncio.DatagramProtocol):
    """The near end: SIP and RTP on one socket each."""

    def __init__(self):
        self.got: asyncio.Queue[bytes] = asyncio.Queue()

    @override
    def datagram_received(self, data, addr):
        self.got.put_nowait(data)


@pytest.mark.parametrize(("codec", "kind", "step"), [(PCMU, 0, 160), (OPUS, 98, 960)])
async def test_a_call_is_answered_and_its_packets_have_the_codecs_clock(codec, kind, step):
    loop = asyncio.get_running_loop()
    media, protocol = await loop.create_datagram_endpoint(Bridge, local_addr=("127.0.0.1", 0))
    port = media.get_extra_info("sockname")[1]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        sip_port = probe.getsockname()[1]
    async with trunk(codec, sip_port) as far_end:
        sip, signalling = await loop.create_datagram_endpoint(
            Bridge, remote_addr=("127.0.0.1", sip_port)
        )
        sip.sendto(request("INVITE", body=OFFER.format(port=port)))
        answer = (await signalling.got.get()).decode()
        assert answer.startswith("SIP/2.0 200 OK")
        assert f"RTP/AVP {kind}\r\n" in answer
        sip.sendto(request("ACK"))
        party = await far_end.called()
        assert party.times["invite"] <= party.times["answer"] <= party.times["ack"]
        first = party.send(b"a" * 40)
        party.pause(960)
        party.send(b"b" * 40)
        one, other = await protocol.got.get(), await protocol.got.get()
        stamps = [int.from_bytes(data[4:8], "big") for data in (one, other)]
        assert stamps[1] - stamps[0] == 2 * step
        assert (one[1] & 127, other[1] & 128) == (kind, 128)
        media.sendto(one, ("127.0.0.1", party.port))
        await until(lambda: party.arrivals)
        assert isinstance(party.arrivals[0], Arrival)
        assert party.arrivals[0].sequence == first.sequence
        sip.sendto(request("BYE"))
        assert b"200 OK" in await signalling.got.get()
        sip.close()
    media.close()


def test_an_offer_without_audio_is_of_no_use():
    with pytest.raises(ConnectionError):
        PlainParty(PCMU, "v=0\r\n", ssrc=1)


def test_the_bridges_settings_are_valid(tmp_path):
    config = tmp_path / "bridge.toml"
    config.write_text(settings(5099, OPUS))
    line = load({}, config).lines["demo"]
    assert line.sip is not None
    assert (line.sip.trunk, line.sip.codecs) == ("sip:127.0.0.1:5099;transport=udp", ["opus"])
