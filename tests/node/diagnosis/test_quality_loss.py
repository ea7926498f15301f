"""Every kind of leg that carries RTP is rated: packets and reports are fed by hand, on the test's clock."""

from typing import cast

import pytest

from bridge.api.calls import render
from bridge.audio.codec.codec import OPUS
from bridge.audio.frame import Frame
from bridge.call import events
from bridge.call.model import CallRecord, Direction, LegFigures, LegId, LegKind, Party, State
from bridge.legs.base import Leg
from bridge.legs.cloud import CloudLeg, InboundCall
from bridge.legs.sip import SipLeg
from bridge.legs.sip_media import InboundInvite
from bridge.legs.webrtc import WebRtcLeg
from bridge.metrics.registry import Metrics
from bridge.rtc.config import PeerConfig
from bridge.rtc.dtls import Certificates
from bridge.rtc.peer import Peer
from bridge.rtc.plain_peer import PlainPeer
from bridge.rtc.ports import PortPool
from bridge.rtc.rtp_source import RtpSource
from bridge.rtp.session import RtpSession
from bridge.trunk.dialog import AgentDialog
from bridge.wire.rtp.rtcp import ReceiverReport, ReportBlock, SenderReport, ntp_middle
from bridge.wire.rtp.rtcp import parse_compound as parse_rtcp
from bridge.wire.rtp.rtcp import serialize as serialize_rtcp
from bridge.wire.sdp.dialect import BROWSER, WHATSAPP, SdpDialect
from tests.node.diagnosis.test_quality import CALL, Call
from tests.support.machine import free_port
from tests.support.packets.offers import offer
from tests.support.packets.rtp_party import PAYLOADS, THEIRS, VOICE, WALL, rtp
from tests.support.peers.bridge_peer import opus
from tests.support.peers.meta_sdp import MediaEnd, Writer
from tests.support.sip.telephone import ScriptedDialog
from tests.support.whatsapp.cloud_call import FakeMeta

META = MediaEnd(
    "203.0.113.1", (("203.0.113.1", 3480),), "ufrag", "p" * 24, ":".join(["AB"] * 32), THEIRS
)
TELEPHONE = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 40000 RTP/AVP 111\r\na=rtpmap:111 opus/48000/2\r\n"
)
SETUP = Metrics(version="1").setup
LOST = 20
"""Every twentieth packet: 5 %."""


class NoMeta(FakeMeta):
    """Nothing is asked of Meta here."""

    def __init__(self) -> None:
        self.asked = []


def peer_of(dialect: SdpDialect):
    config = PeerConfig(bind=("127.0.0.1",), ports=PortPool({1}), dialect=dialect)
    return lambda on_digit, on_restart: Peer(
        config=config, certificates=Certificates(), opus=opus(), on_digit=on_digit
    )


def browser() -> Leg:
    leg = WebRtcLeg(LegId("browser"), peer=peer_of(BROWSER), counters=SETUP)
    peer = leg._media.peer
    peer.set_remote(offer("minimal"))
    leg.source = leg.sink = peer.session
    return leg


def whatsapp_user() -> Leg:
    return CloudLeg(
        LegId("user"),
        signalling=NoMeta(),
        peer=peer_of(WHATSAPP),
        counters=SETUP,
        inbound=InboundCall("wacid.1", Writer().offer(META)),
    )


def telephone() -> Leg:
    ports = PortPool({2 * (free_port() // 2) + more for more in (0, 1)})
    config = PeerConfig(bind=("127.0.0.1",), ports=ports)
    leg = SipLeg(
        LegId("telephone"),
        dialog=cast("AgentDialog", ScriptedDialog()),
        media=lambda on_digit, signaller: PlainPeer(
            config=config,
            opus=opus(),
            codecs=(OPUS,),
            security="off",
            on_digit=on_digit,
            source=RtpSource(signaller=signaller),
        ),
        counters=SETUP,
        inbound=InboundInvite(TELEPHONE),
    )
    peer = leg._peer
    remote = peer._remote
    assert remote is not None
    peer.session.renegotiate(remote.audio)
    return leg


LEGS = {
    LegKind.WEBRTC: browser,
    LegKind.WHATSAPP: whatsapp_user,
    LegKind.SIP: telephone,
}


class FarEnd:
    """The other end of a leg's session: sends, and reports what it received."""

    def __init__(self, session: RtpSession) -> None:
        self.session = session
        self.rtcp: list[bytes] = []
        session.set_transmit(lambda packet: None, self.rtcp.append)
        session.start_sending(0.0)

    def second(self, second: int, *, lossy: bool) -> None:
        """Exchange 50 packets each way and a report, one in twenty lost each way or none."""
        session = self.session
        for number in range(50 * second, 50 * second + 50):
            now = 0.02 * number
            if not lossy or number % LOST != 7:
                payload = PAYLOADS[number % len(PAYLOADS)]
                session.receive_rtp(rtp(payload, sequence=number, timestamp=960 * number), now)
            session.push(Frame(VOICE[number % len(VOICE)], 320 * number, "bus"), now)
        session.report(second + 0.99, WALL + second)
        ours = parse_rtcp(self.rtcp[-1])[0]
        assert isinstance(ours, SenderReport)
        block = ReportBlock(
            ssrc=session.ssrc,
            fraction_lost=round(256 / LOST) if lossy else 0,
            packets_lost=0,
            highest_sequence=0,
            jitter=48 if lossy else 24,
            last_report=ntp_middle(ours.ntp),
        )
        session.receive_rtcp(
            serialize_rtcp([ReceiverReport(THEIRS, (block,))]), second + 0.99 + 0.08
        )


def test_every_kind_of_leg_that_carries_rtp_is_tried():
    assert set(LEGS) == {kind for kind in LegKind if kind.traits.carries_rtp}


@pytest.mark.parametrize("kind", LEGS)
async def test_five_per_cent_loss_lowers_the_mos_of_both_directions(kind):
    call, leg = Call(), LEGS[kind]()
    assert isinstance(leg.source, RtpSession)
    far_end = FarEnd(leg.source)
    figures = LegFigures(leg.leg_id, leg.kind, Party.FAR, leg.statistics())
    for second in range(6):
        far_end.second(second, lossy=second >= 3)
        figures = LegFigures(leg.leg_id, leg.kind, Party.FAR, leg.statistics())
        call.log.observe(call.runner, [figures], call.began + second, {})
    clean, lossy = (call.rows()[row][2] for row in (1, 4))
    assert clean.mos > 4
    assert lossy.mos < clean.mos - 0.2
    assert lossy.sent_mos < clean.sent_mos - 0.1
    assert (clean.loss, lossy.loss) == (0.0, pytest.approx(0.05, abs=0.02))
    assert lossy.sent_loss == pytest.approx(0.05, abs=0.01)
    assert lossy.jitter is not None
    assert lossy.sent_jitter == pytest.approx(0.001)
    assert lossy.round_trip == pytest.approx(0.08, abs=0.001)
    counted = [line for line in call.metrics.render().decode().splitlines() if "_count{" in line]
    for metric in ("bridge_mos_count", "bridge_recovered_ratio_count"):
        assert any(line.startswith(metric) and f'kind="{kind.value}"' in line for line in counted)
    record = CallRecord(
        call.runner.facts, Direction.OUTBOUND, State.ACTIVE, None, 6.0, legs=(figures,)
    )
    shown = render.quality(record, call.log.legs(CALL))
    rated, column = shown.legs[0].mos, shown.timeline[0].received["mos"]
    assert 1 < (rated or 0) < 4.3
    assert column[-1] == round(lossy.mos, 2)
    call.runner.dispatch(events.HangupRequested())
    await call.runner.wait_cleaned()
