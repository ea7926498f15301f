"""A party on the bus under test, whose sound is a number."""

import numpy as np

from bridge.audio.codec import codec
from bridge.audio.codec.encoded_packet import EncodedPacket
from bridge.audio.frame import FRAME_SAMPLES, Frame, Push
from bridge.call.bus.bus import Bus
from bridge.call.bus.ends import Forwarder, Source
from bridge.call.model import LegId

FAR, ANN, BOB = LegId("far"), LegId("ann"), LegId("bob")


class Pulled:
    """The source of a voice that the clock pulls."""

    def __init__(self, voice: "Voice"):
        self._voice = voice

    def pull(self) -> bytes | None:
        return self._voice.says


class Voice:
    """A source and sink for tests: timed or not, always clocked or not; keeps what it hears."""

    def __init__(
        self,
        *,
        timed: bool = True,
        always_clocked: bool = False,
        passthrough: bool = False,
        says: bytes | None = None,
    ):
        self.timed = timed
        self.always_clocked = always_clocked
        self.says = says
        self.passthrough_codec = codec.OPUS if passthrough else None
        self.to: Push | None = None
        self.forward: Forwarder | None = None
        self.heard: list[Frame] = []
        self.taken: list[EncodedPacket] = []
        self.fits = True
        self.loss_ratio = 0.0
        self.flushes = 0
        self._pts = 0

    @property
    def source(self) -> Source:
        return self if self.timed else Pulled(self)

    def take(self, packet: EncodedPacket, now: float) -> bool:
        if self.fits:
            self.taken.append(packet)
        return self.fits

    def attach(self, push: Push | None, forward: Forwarder | None = None) -> None:
        self.to = push
        self.forward = forward

    def flush(self) -> None:
        self.flushes += 1

    def push(self, frame: Frame, now: float) -> None:
        self.heard.append(frame)

    def speak(self, level: int, now: float = 0.0, *, dbov: float = -127.0) -> Frame:
        frame = Frame(pcm(level), self._pts, "voice")
        if self.forward is not None:
            packet = EncodedPacket(
                frame.pcm, 960, len(self.taken), 3 * self._pts, "voice", dbov, codec.OPUS
            )
            self.forward(packet, now)
        self._pts += FRAME_SAMPLES
        if self.to is not None:
            self.to(frame, now)
        return frame


def pcm(level: int) -> bytes:
    return np.full(FRAME_SAMPLES, level, dtype="<i2").tobytes()


def bus_of(**voices: Voice) -> Bus:
    bus = Bus()
    for name, voice in voices.items():
        bus.join(LegId(name), voice.source, voice)
    return bus


def all_hear_all(*names: LegId) -> dict[LegId, frozenset[LegId]]:
    return {name: frozenset(names) - {name} for name in names}
