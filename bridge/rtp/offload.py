"""Offloads: what continues a stream can be processed by a compiled packet path instead of this package.

A receiver offloads its source, a sender its sink. Each number of a stream has one owner at a time:

    what                                            Python's copy              in an offload
    sequence, timestamps, packets and octets sent   wire.rtp `OutgoingStream`  `SinkState`
    time covered by what was sent                   `SilenceFiller`            `SinkState.covered`
    arrival, jitter and loss of what came           `ReceptionStatistics`      `SourceState`
    next packet, what is missing before it          `ReorderBuffer`            `SourceState`, `sequences`
    packets kept for the decoder's warm-up          `DecoderWarmup`            `SourceState.warmup_count`
    levels                                          `LevelMeter`               `SinkState.meter`, `SourceState.meter`

    before `begin`     Python's copy is right; `export_state` fills the state that `begin` copies to the packet path
    during an offload  the packet path's is right, Python's is stale
    `sync`             copies it back (`import_state`): both are right until the next packet; the offload goes on
    `release`, `end`   a last sync in the same step, then Python's alone is right

Everything but the expected packet comes back to the session untouched, which releases what it concerns and
goes on from there. So an offload changes when something is computed, but not what.

The states are structures of packet_path.h, which cffi has no static types for; the Protocols here name their fields.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

from bridge.audio.buffer.reorder import ReorderState
from bridge.audio.codec.codec import OPUS, PCMA, PCMU, Codec
from bridge.audio.codec.encoded_packet import EncodedPacket
from bridge.audio.codec.encoding import Encoding
from bridge.audio.codec.g711 import G711Decoder, G711Encoder
from bridge.audio.codec.opus import Decoder
from bridge.audio.codec.opus_packet import BUS_RATIO
from bridge.audio.detect.echo import NO_PACKETS, Run
from bridge.audio.frame import FRAME_BYTES, Frame, Push
from bridge.call.bus.ends import Take
from bridge.wire.rtp.reception import ReceptionState
from bridge.wire.rtp.stream_state import StreamState

CODECS: Final[Mapping[Codec, int]] = {OPUS: 0, PCMU: 1, PCMA: 2}
"""Those that an offload knows, by their numbers in packet_path.h; of G.711, it takes packets of 20 ms alone."""


class SinkMode(IntEnum):
    """What a sink is offloaded for."""

    IDLE = 0
    FRAMES = 1
    """To encode and send."""
    PACKETS = 2
    """To forward."""


class MeterState(Protocol):
    """Fields of a `LevelMeter`."""

    level_dbov: float
    silent_seconds: float
    quiet_since: float
    """NaN while it is not quiet."""
    levels: int
    quiet: int
    measured: int
    clipped: int


class SinkState(StreamState, Protocol):
    """Fields of an `OutgoingStream` and its `RtpSender`."""

    forwarded_packets: int
    max_samples: int
    continuous: int
    covered: float
    kept: int
    """Frames or payloads of the offload; from five on, modulo five."""
    recorded: int
    """Packets forwarded since the last sync."""

    @property
    def meter(self) -> MeterState:
        """Of what is sent."""


class SourceState(ReceptionState, ReorderState, Protocol):
    """Fields of a `FastPath` and of what its `sync` writes to."""

    header_pattern: int
    ssrc: int
    samples: int
    ticks: int
    renumbering: int
    level_id: int
    reported: int
    warmup_count: int
    recorded: int
    """Packets since the last sync."""
    octets: int
    frames: int
    concealed_samples: int
    fec_samples: int
    refused: int
    unmeasured: int
    kept: int
    """Payloads of the offload that were not decoded; from five on, modulo five."""

    @property
    def meter(self) -> MeterState:
        """Of what is received."""


class SinkOffload:
    """The sink of one transport; `begin` after its state has been filled in."""

    def __init__(self, ffi: Any, lib: Any, transport: Any, record: Any) -> None:  # noqa: ANN401  (cffi has no static type)
        self._ffi, self._lib = ffi, lib
        self.transport = transport
        """`packet_transport` in packet_path.h."""
        self._record = record
        self.state: SinkState = ffi.new("packet_sink_state *")
        """`packet_sink_state` in packet_path.h: what is given to `begin`, and what the last `sync` has brought."""
        self.mode = SinkMode.IDLE
        """What it is offloaded for."""
        self.generation = 0
        """Of the offload: a source that feeds it holds one, and no other."""
        self._encoder: object = None

    def begin(
        self, mode: SinkMode, encoder: object, past: bytes = b"", *, codec: Codec = OPUS
    ) -> None:
        """Begin an offload; for frames, with the encoder's `coder_state`."""
        state: Any = self.state
        state.codec = CODECS[codec]
        self._ffi.buffer(state.past)[: len(past)] = past
        self.mode, self._encoder = mode, encoder
        self.generation = self._lib.packet_sink_begin(
            self.transport, self.state, int(mode), _pointer(self._ffi, encoder)
        )

    def push(self, pcm: bytes, pts: int, now: float) -> bool:
        """Encode and send a frame; False, with nothing changed, if its time was already sent."""
        if len(pcm) != FRAME_BYTES:
            return False
        frame = self._ffi.from_buffer("int16_t *", pcm)
        return bool(self._lib.packet_sink_push(self.transport, frame, pts, now))

    @property
    def covered(self) -> float:
        """The time up to which a continuous stream has been sent, without a sync."""
        covered: float = self._lib.packet_sink_covered(self.transport)
        return covered

    def sync(self) -> Run:
        """Bring the state up to date; return the packets forwarded since the last time, with their times."""
        self._lib.packet_sink_sync(self.transport, self.state, self._record)
        return _sizes(self._ffi, self.state, self._record)

    def end(self) -> tuple[Run, list[bytes]]:
        """End the offload; return what `sync` does, and its newest frames or payloads, which warm up a coder."""
        self._lib.packet_sink_end(self.transport, self.state, self._record)
        mode, self.mode, self._encoder = self.mode, SinkMode.IDLE, None
        state, record = self.state, self._record
        run = _sizes(self._ffi, state, record)
        if mode is SinkMode.PACKETS:
            return run, _payloads(self._ffi, state, record)
        slots = _slots(state.kept, len(record.frames))
        return run, [bytes(self._ffi.buffer(record.frames[slot])) for slot in slots]


Copies: TypeAlias = Sequence[EncodedPacket] | Sequence[Frame]
"""What an offload has copied for taps."""


class Outputs(NamedTuple):
    """What is done with the packets of an offloaded source."""

    forward: SinkOffload | None = None
    """Forwards them."""
    push: SinkOffload | None = None
    """Sends their frames."""
    taps: tuple[Take, ...] = ()
    """Take copies of them, later."""
    take_frame: Push | None = None
    """Takes their frames."""
    passed: Callable[[int, float], None] | None = None
    """Counts their frames (`Passing.passed`)."""
    late: Push | None = None
    """Takes copies of their frames, later; not beside `taps`."""


class SourceOffload:
    """The source of one transport; `begin` after its state has been filled in.

    `waiting_frames` yields the frames of this source that the packet path has made and Python has not taken, with
    their positions and times.
    """

    def __init__(
        self,
        ffi: Any,  # noqa: ANN401  (cffi has no static type)
        lib: Any,  # noqa: ANN401
        transport: Any,  # noqa: ANN401
        record: Any,  # noqa: ANN401
        waiting_frames: Callable[[], Iterable[tuple[bytes, int, float]]],
    ) -> None:
        self._ffi, self._lib = ffi, lib
        self._transport = transport
        self._record = record
        self._waiting_frames = waiting_frames
        self.state: SourceState = ffi.new("packet_source_state *")
        """`packet_source_state` in packet_path.h: what is given to `begin`, and what the last `sync` has brought."""
        self.active = False
        """Whether it is offloaded."""
        self.sequences: list[int] = []
        """Of the packets that the last `sync` or `end` has returned."""
        self._outputs = Outputs()
        self._decoder: object = None
        self._codec = OPUS
        self._epoch: object = None

    def begin(
        self,
        outputs: Outputs,
        *,
        codec: Codec = OPUS,
        decoder: object,
        past: bytes = b"",
        epoch: object,
    ) -> None:
        """Begin an offload, with the decoder's `coder_state`."""
        state: Any = self.state
        self._codec, state.codec = codec, CODECS[codec]
        self._ffi.buffer(state.past)[: len(past)] = past
        self._outputs, self._decoder, self._epoch = outputs, decoder, epoch
        sink = outputs.forward or outputs.push
        feeds = SinkMode.IDLE if sink is None else sink.mode
        self.active, lib = True, self._lib
        lib.packet_source_begin(
            self._transport,
            self.state,
            _pointer(self._ffi, decoder),
            int(feeds),
            self._ffi.NULL if sink is None else sink.transport,
            0 if sink is None else sink.generation,
            lib.FRAMES_AT_ONCE if outputs.take_frame else int(self.decodes),
            lib.TAP_FRAMES if outputs.late else int(bool(outputs.taps)),
        )

    @property
    def decodes(self) -> bool:
        """Whether frames are wanted, in the last offload."""
        outputs = self._outputs
        return any(one is not None for one in (outputs.push, outputs.take_frame, outputs.late))

    @property
    def past(self) -> bytes:
        """The history of G.711, at the last sync."""
        state: Any = self.state
        return bytes(self._ffi.buffer(state.past))

    @property
    def last_arrival(self) -> float | None:
        """When the last packet came that was not synced; None if there is none."""
        at: float = self._lib.packet_source_last_arrival(self._transport)
        return None if math.isnan(at) else at

    def deliver_frame(self, pcm: bytes, position: int, now: float) -> None:
        """Deliver a frame at a position at 48 kHz."""
        if self._outputs.take_frame is not None:
            self._outputs.take_frame(Frame(pcm, position // BUS_RATIO, self._epoch), now)

    def sync(self) -> tuple[Run, Copies]:
        """Bring the state up to date; return the packets that came since the last time, and copies for taps."""
        self._lib.packet_source_sync(self._transport, self.state, self._record)
        return self._recorded()

    def end(self) -> tuple[Run, Copies, list[bytes]]:
        """End the offload; return what `sync` does, and its newest payloads that were not decoded, of G.711 in any case.

        Frames that still wait for Python are delivered.
        """
        self._lib.packet_source_end(self._transport, self.state, self._record)
        self.active, self._decoder = False, None
        run, copies = self._recorded()
        kept = _payloads(self._ffi, self.state, self._record)
        for pcm, position, at in self._waiting_frames():
            self.deliver_frame(pcm, position, at)
        return run, copies, kept

    def count_passed(self, frames: int, level_dbov: float) -> None:
        """Let who passes the frames on count them."""
        if self._outputs.passed is not None:
            self._outputs.passed(frames, level_dbov)

    def deliver_copies(self, copies: Copies, times: Iterable[float]) -> None:
        """Deliver packets or frames to the taps."""
        outputs = self._outputs
        takers: tuple[Callable[[Any, float], object], ...] = outputs.taps
        if outputs.late is not None:
            takers = (outputs.late,)
        for copy, at in zip(copies, times, strict=False):
            for take in takers:
                take(copy, at)

    def _recorded(self) -> tuple[Run, Copies]:
        if not self.state.recorded:
            self.sequences = []
            return NO_PACKETS, []
        self.sequences = self._ffi.unpack(self._record.sequences, self.state.recorded)
        return _sizes(self._ffi, self.state, self._record), self._copies()

    def _copies(self) -> Copies:
        state, record, unpack = self.state, self._record, self._ffi.unpack
        count, samples, epoch = state.recorded, state.samples, self._epoch
        if self._outputs.late is not None:
            sound = self._ffi.buffer(record.copies, count * FRAME_BYTES)
            return [
                Frame(sound[FRAME_BYTES * n : FRAME_BYTES * (n + 1)], position // BUS_RATIO, epoch)
                for n, position in enumerate(unpack(record.positions, count))
            ]
        if not self._outputs.taps:
            return []
        copies, start = bytes(self._ffi.buffer(record.copies, state.octets)), 0
        packets = []
        for size, sequence, position, level in zip(
            unpack(record.sizes, count),
            self.sequences,
            unpack(record.positions, count),
            unpack(record.levels, count),
            strict=True,
        ):
            payload, number = copies[start : start + size], (sequence + state.renumbering) & 0xFFFF
            packets.append(
                EncodedPacket(payload, samples, number, position, epoch, level, self._codec)
            )
            start += size
        return packets


class Offload(Protocol):
    """The two offloads of one transport."""

    @property
    def source(self) -> SourceOffload:
        """Of what it receives."""

    @property
    def sink(self) -> SinkOffload:
        """Of what it sends."""


def coder_state(coder: object) -> tuple[object, bytes] | None:
    """Return what an offload takes of a decoder or encoder: libopus' handle, or the history of G.711.

    None for another one, and while the next packet does not just continue the last one.
    """
    if isinstance(coder, Decoder | Encoding):
        return None if coder.handle is None else (coder.handle, b"")
    if isinstance(coder, G711Decoder | G711Encoder):
        return None if coder.history is None else (None, coder.history)
    return None


def _pointer(ffi: Any, handle: object) -> Any:  # noqa: ANN401
    return ffi.NULL if handle is None else ffi.cast("void *", handle)


def _sizes(ffi: Any, state: Any, record: Any) -> Run:  # noqa: ANN401
    packets = state.recorded
    if not packets:
        return NO_PACKETS
    return Run(ffi.unpack(record.times, packets), ffi.unpack(record.sizes, packets))


def _payloads(ffi: Any, state: Any, record: Any) -> list[bytes]:  # noqa: ANN401
    """Return the payloads that an offload kept, the oldest first."""
    slots = _slots(state.kept, len(record.payloads))
    return [bytes(ffi.buffer(record.payloads[slot], record.kept_sizes[slot])) for slot in slots]


def _slots(kept: int, slots: int) -> list[int]:
    """Return the slots of a ring in the order in which they were written."""
    return [number % slots for number in range(max(0, kept - slots), kept)]
