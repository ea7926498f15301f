"""Frames from the packets of one source: decoded, concealed, cut to 20 ms, and metered."""

from collections.abc import Callable, Hashable, Iterable

from bridge.audio.buffer.framer import Framer
from bridge.audio.buffer.reorder import Action, Step
from bridge.audio.codec.coders import AudioDecoder
from bridge.audio.codec.opus_packet import BUS_RATIO
from bridge.audio.detect.level import LEVEL_EVERY
from bridge.audio.frame import FRAME_BYTES, Frame, Push
from bridge.errors import RemoteProtocolError
from bridge.rtp.counters import ReceiveCounters
from bridge.rtp.level_meter import LevelMeter


class FrameOutput:
    """Plays the steps of a `ReorderBuffer` into `push`.

    Args:
        decoder: Of the source.
        counters: Counts frames and what is concealed.
        meter: Measures one frame in `LEVEL_EVERY`.
        epoch_begins: Called when positions restart.
    """

    __slots__ = (
        "_counters",
        "_epoch_begins",
        "_meter",
        "decoder",
        "epoch",
        "framer",
        "malformed",
        "push",
    )

    def __init__(
        self,
        *,
        decoder: AudioDecoder,
        counters: ReceiveCounters,
        meter: LevelMeter,
        epoch_begins: Callable[[], None],
    ) -> None:
        self.push: Push | None = None
        """Where frames go; None when none are wanted."""
        self.decoder = decoder
        self.framer = Framer()
        self.epoch: Hashable = None
        """Of the last step or forwarded packet."""
        self.malformed = 0
        """Packets that the decoder refused."""
        self._counters = counters
        self._meter = meter
        self._epoch_begins = epoch_begins

    def begin_epoch(self, epoch: Hashable) -> None:
        """Begin with positions of another media epoch."""
        self.epoch = epoch
        self.decoder.reset()
        self.framer.reset()
        self._epoch_begins()

    def play(self, steps: Iterable[Step], now: float) -> None:
        """Produce the audio of steps and deliver it."""
        for step in steps:
            if step.epoch is not self.epoch:
                self.begin_epoch(step.epoch)
            self._deliver(self._produce(step), step.pts, now)

    def play_packet(self, payload: bytes, samples: int, position: int, now: float) -> None:
        """Decode the next packet and deliver it; its length and position are at 48 kHz."""
        try:
            pcm = self.decoder.decode(payload)
        except RemoteProtocolError:
            pcm = self.conceal(samples)
        self._deliver(pcm, position // BUS_RATIO, now)

    def conceal(self, samples: int) -> bytes:
        """Return audio (of so many samples at 48 kHz) for a packet that the decoder refused."""
        self.malformed += 1
        self._counters.concealed_samples += samples // BUS_RATIO
        return self.decoder.conceal(samples // BUS_RATIO)

    def _produce(self, step: Step) -> bytes:
        action = step.action
        try:
            if action is Action.DECODE:
                return self.decoder.decode(step.payload)
            if action is Action.RECOVER:
                pcm = self.decoder.recover(step.payload, step.samples)
                self._counters.fec_samples += step.samples
                return pcm
        except RemoteProtocolError:
            self.malformed += 1
        self._counters.concealed_samples += step.samples
        return self.decoder.conceal(step.samples)

    def _deliver(self, pcm: bytes, pts: int, now: float) -> None:
        """Deliver audio of any length as frames."""
        if len(pcm) == FRAME_BYTES and self.framer.empty:
            self._deliver_frame(pcm, pts, now)
            return
        for whole, position in self.framer.add(pcm, pts):
            self._deliver_frame(whole, position, now)

    def _deliver_frame(self, pcm: bytes, pts: int, now: float) -> None:
        self._counters.frames += 1
        if self._counters.frames % LEVEL_EVERY == 1:
            self._meter.measure(pcm, now)
        if self.push is not None:
            self.push(Frame(pcm, pts, self.epoch), now)
