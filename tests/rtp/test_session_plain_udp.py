"""An RTP party with nothing but a UDP socket below it: no ICE, no DTLS, no WebRTC library."""

import socket
import subprocess
import sys

import pytest

from bridge.audio.codec.encoder_level import EncoderBudget
from bridge.audio.frame import Frame
from bridge.rtp.config import SessionConfig
from bridge.rtp.session import RtpSession
from bridge.wire.rtp.stream import StreamStart
from tests.support.packets.rtp_party import AUDIO, OPUS, VOICE, WALL, correlation

LOADED = """
import sys
import bridge.audio.codec.opus, bridge.rtp.session
print([name for name in sys.modules if name.startswith(("aiortc", "aioice", "bridge.rtc"))])
"""


class UdpParty:
    """A session on a loopback socket, RTP and RTCP on the same port (RFC 5761)."""

    def __init__(self, ssrc: int):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(5)
        self.socket.bind(("127.0.0.1", 0))
        self.frames: list[Frame] = []
        self.digits: list[str] = []
        self.session = RtpSession(
            SessionConfig(OPUS, EncoderBudget()),
            audio=AUDIO,
            start=StreamStart(ssrc, sequence=1, timestamp=0),
            cname=str(ssrc),
            on_digit=self.digits.append,
            schedule_tick=lambda _seconds: None,
            discarded={},
        )
        self.session.set_transmit(self._send, self._send)
        self.session.attach(lambda frame, _now: self.frames.append(frame))

    def _send(self, packet: bytes) -> None:
        self.socket.send(packet)

    def receive(self, now: float) -> None:
        """Receive one datagram."""
        data = self.socket.recv(1500)
        if 192 <= data[1] <= 223:
            self.session.receive_rtcp(data, now)
        else:
            self.session.receive_rtp(data, now)


@pytest.fixture
def parties():
    one, other = UdpParty(1), UdpParty(2)
    one.socket.connect(other.socket.getsockname())
    other.socket.connect(one.socket.getsockname())
    with one.socket, other.socket:
        yield one, other


def test_speech_passes_both_ways(parties):
    for number, pcm in enumerate(VOICE):
        for speaker in parties:
            speaker.session.push(Frame(pcm, 320 * number, "line"), 0.02 * number)
        for listener in parties:
            listener.receive(0.02 * number)
    for party in parties:
        assert [frame.pts for frame in party.frames] == [320 * n for n in range(len(VOICE))]
        heard = b"".join(frame.pcm for frame in party.frames)
        assert correlation([b"".join(VOICE)[6400:-80]], [heard[6480:]]) > 0.98


def test_digits_pass(parties):
    one, other = parties
    assert one.session.send_digits("5")
    for number in range(7):
        one.session.tick(0.02 * number)
        other.receive(0.02 * number)
    assert other.digits == ["5"]


def test_reports_measure_the_round_trip(parties):
    one, other = parties
    one.session.push(Frame(VOICE[0], 0, "line"), 0.0)
    other.receive(0.05)
    one.session.report(1.0, WALL)
    other.receive(1.05)
    other.session.report(2.0, WALL)
    one.receive(2.05)
    assert one.session.statistics().round_trip_seconds == pytest.approx(0.1, abs=0.001)


def test_no_webrtc_library_is_loaded_for_it():
    loaded = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, check=True)
    assert loaded.stdout == b"[]\n"
