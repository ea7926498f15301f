"""An RTP session under test, with everything it gave collected, and packets to feed it."""

from collections.abc import Sequence

import numpy as np

from bridge.audio.codec import codec
from bridge.audio.codec.encoder_level import NORMAL, EncoderBudget
from bridge.audio.codec.opus import Encoder, EncoderSettings, candidates, load
from bridge.audio.frame import Frame
from bridge.call.model import ReceivedAudio, SentAudio
from bridge.rtp.config import SessionConfig
from bridge.rtp.session import RtpSession
from bridge.wire.rtp.packet import RtpPacket, parse_packet
from bridge.wire.rtp.stream import StreamStart
from bridge.wire.sdp.negotiated_audio import NegotiatedAudio
from tests.support.packets.packet_sockets import Connected

OPUS = load(candidates())
OPUS_TYPE = 111
EVENT_TYPE = 110
OURS, THEIRS = 0x11111111, 0x22222222
FIRST_SEQUENCE, FIRST_TIMESTAMP = 30_000, 5000
WALL = 1_800_000_000.0

AUDIO = NegotiatedAudio(
    codec=codec.OPUS,
    payload_type=OPUS_TYPE,
    direction="sendrecv",
    telephone_events={126: 8000, EVENT_TYPE: 48_000},
)


def voice(count: int) -> list[bytes]:
    times = np.arange(320 * count) / 16_000
    pitch = 130 + 40 * np.sin(2 * np.pi * 1.7 * times)
    phase = 2 * np.pi * np.cumsum(pitch) / 16_000
    wave = np.add.reduce([np.sin(k * phase) / k for k in range(1, 16)])
    samples = (3000 * wave).astype(np.int16)
    return [samples[320 * index : 320 * (index + 1)].tobytes() for index in range(count)]


VOICE = voice(100)


def encoded(
    settings: EncoderSettings = NORMAL, frames: Sequence[bytes] = tuple(VOICE)
) -> list[bytes]:
    encoder = Encoder(OPUS, settings)
    return [encoder.encode(frame) for frame in frames]


PAYLOADS = encoded()


def rtp(
    payload: bytes, *, sequence: int, timestamp: int, ssrc: int = THEIRS, kind: int = OPUS_TYPE
) -> bytes:
    """Make a packet, as a peer would."""
    return (
        bytes([0x80, kind])
        + (sequence & 0xFFFF).to_bytes(2, "big")
        + (timestamp & 0xFFFFFFFF).to_bytes(4, "big")
        + ssrc.to_bytes(4, "big")
        + payload
    )


class Party:
    """A session, and what it transmitted, gave and asked for; on either packet path."""

    def __init__(
        self,
        audio: NegotiatedAudio = AUDIO,
        *,
        passthrough: bool = True,
        continuous: bool = False,
    ) -> None:
        self.rtcp: list[bytes] = []
        self.digits: list[str] = []
        self.frames: list[Frame] = []
        self.times: list[float] = []
        self.wakes: list[float] = []
        self.session = RtpSession(
            SessionConfig(OPUS, EncoderBudget(), passthrough=passthrough, continuous=continuous),
            audio=audio,
            start=StreamStart(OURS, FIRST_SEQUENCE, FIRST_TIMESTAMP),
            cname="bridge",
            on_digit=self.digits.append,
            schedule_tick=self.wakes.append,
            discarded={},
        )
        self._connected = Connected(self.session, OPUS, self.rtcp.append)
        self.session.attach(self.take)

    @property
    def rtp(self) -> list[bytes]:
        """All packets sent; the list may be changed."""
        return self._connected.packets

    def take(self, frame: Frame, now: float) -> None:
        self.frames.append(frame)
        self.times.append(now)

    def hear(
        self,
        number: int,
        *,
        now: float | None = None,
        ahead: int = 0,
        payload: bytes | None = None,
        base: int = 1000,
        ssrc: int = THEIRS,
    ) -> None:
        """Let packet `number` of a peer arrive, on time by default."""
        data = rtp(
            PAYLOADS[number % len(PAYLOADS)] if payload is None else payload,
            sequence=base + number,
            timestamp=960 * number + ahead,
            ssrc=ssrc,
        )
        self.session.receive_rtp(data, 0.02 * number if now is None else now)

    def say(self, count: int, *, first: int = 0) -> None:
        """Return it frames to send, in time."""
        for index in range(first, first + count):
            self.session.push(Frame(VOICE[index], 320 * index, "line"), 0.02 * index)

    @property
    def received(self) -> ReceivedAudio:
        return self.session.statistics().received

    @property
    def sent(self) -> SentAudio:
        return self.session.statistics().sent

    @property
    def packets(self) -> list[RtpPacket]:
        return [parse_packet(data) for data in self.rtp]

    def positions(self) -> list[int]:
        return [frame.pts for frame in self.frames]


def correlation(one: list[bytes], other: list[bytes]) -> float:
    a = np.frombuffer(b"".join(one), np.int16).astype(float)
    b = np.frombuffer(b"".join(other), np.int16).astype(float)
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))
