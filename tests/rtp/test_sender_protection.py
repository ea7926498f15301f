"""In-band FEC towards a peer that loses packets, and the node's encoder level."""

import dataclasses

import pytest

from bridge.audio.codec.encoder_level import EncoderBudget, EncoderLevel
from bridge.audio.codec.opus_packet import has_fec
from bridge.audio.frame import FRAME_BYTES, Frame
from bridge.rtp.config import SessionConfig
from bridge.rtp.session import RtpSession
from bridge.wire.rtp.rtcp import ReceiverReport, ReportBlock, serialize
from bridge.wire.rtp.stream import StreamStart
from tests.support.packets.packet_sockets import Connected
from tests.support.packets.rtp_party import AUDIO, OPUS, OURS, THEIRS
from tests.support.sound.voices import words

WANTS_FEC = dataclasses.replace(AUDIO, parameters={"useinbandfec": "1"})
SPEECH = words(seconds=4.0).tobytes()
FRAMES = [SPEECH[at : at + FRAME_BYTES] for at in range(0, len(SPEECH), FRAME_BYTES)]
HEADER = 12


class Talk:
    """A session that talks without end, to a peer that reports once a second."""

    def __init__(self, audio=WANTS_FEC):
        self.encoder_budget = EncoderBudget()
        self.now = 0.0
        self.frame = 0
        self.session = RtpSession(
            SessionConfig(OPUS, self.encoder_budget),
            audio=audio,
            start=StreamStart(OURS, 1, 1),
            cname="bridge",
            on_digit=lambda digit: None,
            schedule_tick=lambda seconds: None,
            discarded={},
        )
        self.connected = Connected(self.session, OPUS, lambda data: None)

    @property
    def sent(self):
        return self.connected.packets

    def second(self, loss=None, *, ssrc=OURS):
        """Send for a second, then process a report; return the share of packets with FEC."""
        self.sent.clear()
        for _ in range(50):
            pcm = FRAMES[self.frame % len(FRAMES)]
            self.session.push(Frame(pcm, 320 * self.frame, "line"), self.now)
            self.frame += 1
            self.now += 0.02
        if loss is not None:
            block = ReportBlock(ssrc, round(256 * loss), 0, 0, 0, 0, 0)
            self.session.receive_rtcp(serialize([ReceiverReport(THEIRS, (block,))]), self.now)
        self.session.report(self.now, 1_800_000_000.0 + self.now)
        return sum(has_fec(packet[HEADER:]) for packet in self.sent) / len(self.sent)

    def seconds(self, count, loss):
        return [self.second(loss) for _ in range(count)]


def test_a_peer_without_loss_gets_no_fec():
    assert set(Talk().seconds(4, 0.0)) == {0.0}


def test_after_two_reports_of_loss_packets_carry_fec():
    talk = Talk()
    assert talk.seconds(2, 0.05) == [0.0, 0.0]
    shares = talk.seconds(4, 0.05)
    assert sum(shares) / len(shares) > 0.6
    assert talk.session.statistics().sent.fec


def test_one_report_of_loss_changes_nothing():
    talk = Talk()
    talk.second(0.05)
    assert set(talk.seconds(4, 0.0)) == {0.0}


def test_fec_ends_after_half_a_minute_without_loss():
    talk = Talk()
    talk.seconds(2, 0.05)
    shares = talk.seconds(30, 0.0)
    assert sum(shares[:4]) > 2.0
    talk.seconds(2, 0.0)
    assert set(talk.seconds(2, 0.0)) == {0.0}
    assert not talk.session.statistics().sent.fec


def test_a_peer_without_useinbandfec_gets_no_fec():
    assert set(Talk(AUDIO).seconds(6, 0.2)) == {0.0}


def test_reports_about_other_streams_change_nothing():
    talk = Talk()
    for _ in range(6):
        assert talk.second(0.2, ssrc=0x5555) == 0.0


def test_no_packet_is_missing_when_fec_comes_and_goes():
    talk = Talk()
    numbers = []
    for loss in (0.05, 0.05, 0.05, 0.0):
        talk.second(loss)
        numbers += [int.from_bytes(packet[2:4], "big") for packet in talk.sent]
    assert numbers == list(range(numbers[0], numbers[0] + 200))


@pytest.mark.parametrize("maximum", [20_000, 32_000])
def test_a_peer_with_a_limit_gets_fec_within_it(maximum):
    limited = {"useinbandfec": "1", "maxaveragebitrate": str(maximum)}
    talk = Talk(dataclasses.replace(AUDIO, parameters=limited))
    talk.seconds(2, 0.05)
    shares, octets = [], 0
    for _ in range(8):
        shares.append(talk.second(0.05))
        octets += sum(len(packet) - HEADER for packet in talk.sent)
    assert sum(shares) / len(shares) > 0.6
    assert octets * 8 / 8.0 <= maximum


def test_a_reloaded_page_begins_without_fec():
    talk = Talk()
    talk.seconds(2, 0.05)
    talk.session.restart_source(WANTS_FEC, StreamStart(OURS, 1, 1))
    assert talk.second() == 0.0


def test_a_renegotiation_keeps_fec():
    talk = Talk()
    talk.seconds(3, 0.05)
    talk.session.renegotiate(WANTS_FEC)
    assert sum(talk.seconds(2, 0.05)) > 1.0


def test_a_node_on_its_lowest_encoder_level_sends_no_fec():
    talk = Talk()
    talk.encoder_budget.level = EncoderLevel.MINIMAL
    assert set(talk.seconds(6, 0.2)) == {0.0}


def test_a_change_of_the_encoder_level_applies_while_sending():
    talk = Talk()
    talk.seconds(4, 0.05)
    talk.encoder_budget.level = EncoderLevel.MINIMAL
    talk.second(0.05)
    assert set(talk.seconds(2, 0.05)) == {0.0}
    talk.encoder_budget.level = EncoderLevel.NORMAL
    talk.second(0.05)
    assert sum(talk.seconds(4, 0.05)) > 2.0
