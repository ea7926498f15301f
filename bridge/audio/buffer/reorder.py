"""Reordering and loss handling for one received RTP stream.

This is not a jitter buffer (`audio.buffer.playout`): a packet is passed on as it arrives, and losses are
concealed when the next one arrives. Only while reordering has been seen recently, a packet after a
gap waits up to 10 ms for the missing one.
"""

from collections.abc import Hashable, Sequence
from enum import Enum, auto
from typing import Final, NamedTuple, Protocol

from bridge.audio.codec.codec import OPUS, POSITION_RATE, Codec
from bridge.audio.codec.opus_packet import BUS_RATIO

HOLD_SECONDS: Final = 0.010
"""How long a packet waits for its predecessor."""

# A timer may fire a little early.
_TIMER_SLACK: Final = 0.002

# Reordering is expected for this long after it was last seen.
_REORDERING_SECONDS: Final = 10.0
_HOLDABLE_LOSS: Final = 3

# Longer losses are not concealed: concealment has faded to silence by then.
_CONCEALED_PACKETS: Final = 5
_CONCEALED_SAMPLES: Final = 4800

# RFC 3550 appendix A.1: two consecutive sequence numbers outside these mean a restarted sender.
_MAX_DROPOUT: Final = 3000
_MAX_MISORDER: Final = 100

# A timestamp further ahead of the clock than this begins a new media epoch.
_MAX_LEAP_SECONDS: Final = 2.0

_MISSING_LIMIT: Final = 256
# Audio is concealed in steps of 2.5 ms: 120 samples at 48 kHz.
_STEP_SAMPLES: Final = 120


class Action(Enum):
    """How the audio of a `Step` is produced."""

    DECODE = auto()
    CONCEAL = auto()
    RECOVER = auto()
    """Decode the FEC in `payload`, the packet that follows."""


class Step(NamedTuple):
    """One piece of audio; steps are contiguous."""

    action: Action
    payload: bytes
    """Empty for `CONCEAL`."""
    pts: int
    """Position of the first sample on the timeline, at 16 kHz."""
    samples: int
    """Length at 16 kHz."""
    epoch: Hashable
    """Changes when positions restart; the decoder must then be reset."""


class _Packet(NamedTuple):
    sequence: int
    timestamp: int
    payload: bytes
    samples: int


class ReorderState(Protocol):
    """Fields of a source that is offloaded; as the attributes of `ReorderBuffer`."""

    sequence: int
    timestamp: int
    position: int
    accepted_at: float
    reordering_until: float
    breaks: int
    """How many packets were not the expected one, but after a gap, or late."""


class ReorderBuffer:
    """Receiver logic of one RTP stream; every packet of its sequence passes through it."""

    __slots__ = (
        "_codec",
        "_expected",
        "_held",
        "_held_at",
        "_missing",
        "_next",
        "_position",
        "_restart",
        "_samples",
        "_tick",
        "arrival",
        "epoch",
        "holds",
        "late",
        "reordered",
        "reordering_until",
        "skipped",
    )

    def __init__(self, codec: Codec = OPUS) -> None:
        self._codec = codec
        self._tick = codec.positions_per_tick
        self.late = 0
        """Packets dropped: too late, duplicate, or far outside the sequence."""
        self.reordered = 0
        """Packets that arrived after one with a higher sequence number, in time or not."""
        self.skipped = 0
        """Packets of the sequence without audio, except reordered ones."""
        self.holds = True
        """Whether a packet may wait for its predecessor, as those that are only forwarded need not."""
        self._missing: set[int] = set()
        self._held: _Packet | None = None
        self.reordering_until = float("-inf")
        """Until when a packet may wait for its predecessor (monotonic seconds)."""
        self.restart()

    def switch_to(self, codec: Codec) -> None:
        """Restart with packets of another codec."""
        self._codec, self._tick = codec, codec.positions_per_tick
        self.restart()

    def restart(self) -> None:
        """Begin a new media epoch with the next packet; a held packet is dropped and counted late."""
        if self._held is not None:
            self.late += 1
            self._held = None
        self._held_at = 0.0
        self.epoch: Hashable = object()
        """The media epoch of all positions."""
        self._next = -1
        self._expected = 0
        self._position = 0
        self._samples = 960
        self.arrival = 0.0
        """When the packet before the next one came (monotonic seconds); 0 before the first."""
        self._restart = -1
        self._missing.clear()

    @property
    def holding(self) -> bool:
        """Whether a packet waits for its predecessor, so that `tick` must be called."""
        return self._held is not None

    @property
    def held_since(self) -> float | None:
        """When the waiting packet arrived (monotonic seconds); None if none waits."""
        return None if self._held is None else self._held_at

    def receive(self, sequence: int, timestamp: int, payload: bytes, now: float) -> Sequence[Step]:
        """Process an audio packet and return what to play now; `timestamp` is its RTP timestamp.

        Raises:
            RemoteProtocolError: `payload` is not one of the codec; it counts as lost.
        """
        samples = self._codec.duration(payload)
        position = self.follow(sequence, timestamp, samples, now)
        if position is not None:
            pts = position // BUS_RATIO
            return (Step(Action.DECODE, payload, pts, samples // BUS_RATIO, self.epoch),)
        return self._sort(_Packet(sequence, timestamp, payload, samples), now)

    def follow(self, sequence: int, timestamp: int, samples: int, now: float) -> int | None:
        """Process an audio packet if it is the expected one, without building a `Step`.

        `samples` is its length at 48 kHz.

        Returns:
            Its position on the timeline at 48 kHz, to be decoded now; None for any other packet,
            which changes nothing.
        """
        if sequence != self._next or timestamp != self._expected or self._held is not None:
            return None
        position = self._position
        self._next = (sequence + 1) & 0xFFFF
        self._expected = (timestamp + samples // self._tick) & 0xFFFFFFFF
        self._position = position + samples
        self._samples = samples
        self.arrival = now
        return position

    def expected(self) -> tuple[int, int, int, int] | None:
        """Return the packet that `follow` would accept, assuming the length of the last one.

        Returns:
            Sequence, RTP timestamp, and at 48 kHz position and samples; None if no packet is expected.
        """
        if self._next < 0 or self._held is not None:
            return None
        return self._next, self._expected, self._position, self._samples

    def follow_run(self, packets: int, now: float) -> None:
        """Process a run of consecutive packets, each as `expected`, the last one at `now`."""
        samples = packets * self._samples
        self._next = (self._next + packets) & 0xFFFF
        self._expected = (self._expected + samples // self._tick) & 0xFFFFFFFF
        self._position += samples
        self.arrival = now

    def import_state(
        self, state: ReorderState, sequences: Sequence[int], arrivals: Sequence[float]
    ) -> None:
        """Process what an offload has: packets in order of arrival, none of them held back."""
        if state.breaks:
            self._restart = -1
            for sequence, now in zip(sequences, arrivals, strict=True):
                ahead = _signed16(sequence - self._next)
                if ahead < 0:
                    self._drop(sequence, now)
                else:
                    self._note_missing(ahead)
                    self._next = (sequence + 1) & 0xFFFF
        self._next, self._expected = state.sequence, state.timestamp
        self._position, self.arrival = state.position, state.accepted_at

    def skip(self, sequence: int, now: float) -> Sequence[Step]:
        """Process a packet of the same sequence without audio (a telephone event)."""
        if self._next < 0:
            return ()
        ahead = _signed16(sequence - self._next)
        if not 0 <= ahead <= _MAX_MISORDER:
            return ()
        self.skipped += 1
        return self._skip(sequence, now)

    def lacks(self, sequence: int) -> bool:
        """Return whether a packet is still missing and could be played in time."""
        if self._next < 0 or (self._held is not None and self._held.sequence == sequence):
            return False
        return 0 <= _signed16(sequence - self._next) <= _MAX_MISORDER

    def place(self, timestamp: int) -> int:
        """Return the position of a packet on `epoch` at 48 kHz, in whole bus samples.

        Undefined before the first packet.
        """
        position = self._position + _signed32(timestamp - self._expected) * self._tick
        return position - position % BUS_RATIO

    def _skip(self, sequence: int, now: float) -> Sequence[Step]:
        ahead = _signed16(sequence - self._next)
        if self._held is not None and ahead > _signed16(self._held.sequence - self._next):
            steps = self._release(now)
            return [*steps, *self._skip(sequence, now)]
        self._note_missing(ahead)
        self._next = (sequence + 1) & 0xFFFF
        if self._held is not None and self._held.sequence == self._next:
            return self._release(now)
        return ()

    def tick(self, now: float) -> Sequence[Step]:
        """Release the held packet when its time is up."""
        if self._held is None or now - self._held_at < HOLD_SECONDS - _TIMER_SLACK:
            return ()
        return self._release(now)

    def _sort(self, packet: _Packet, now: float) -> Sequence[Step]:
        if self._next < 0:
            return self._begin(packet, now)
        ahead = _signed16(packet.sequence - self._next)
        if not -_MAX_MISORDER <= ahead <= _MAX_DROPOUT:
            return self._check_restart(packet, now)
        self._restart = -1
        if ahead < 0:
            self._drop(packet.sequence, now)
            return ()
        held = self._held
        if held is None:
            if self.holds and 0 < ahead <= _HOLDABLE_LOSS and now < self.reordering_until:
                self._held, self._held_at = packet, now
                return ()
            return self._accept(packet, now)
        if held.sequence == packet.sequence:
            self.late += 1
            return ()
        self._held = None
        if ahead < _signed16(held.sequence - self._next):
            self._note_reordering(now)
            return [*self._accept(packet, now), *self._accept(held, now)]
        return [*self._accept(held, now), *self._accept(packet, now)]

    def _begin(self, packet: _Packet, now: float) -> Sequence[Step]:
        self._next = packet.sequence
        self._expected = packet.timestamp
        return self._accept(packet, now)

    def _release(self, now: float) -> Sequence[Step]:
        held = self._held
        if held is None:
            return ()
        self._held = None
        return self._accept(held, now)

    def _accept(self, packet: _Packet, now: float) -> list[Step]:
        """Play a packet that is not older than expected, after concealing the gap before it."""
        lost = (packet.sequence - self._next) & 0xFFFF
        gap = _signed32(packet.timestamp - self._expected) * self._tick
        steps: list[Step] = []
        if gap < 0 or gap > (now - self.arrival + _MAX_LEAP_SECONDS) * POSITION_RATE:
            if self._position:
                self.epoch = object()
                self._position = 0
        elif self._concealable(packet, lost=lost, gap=gap):
            steps = self._fill_gap(packet, gap)
        else:
            self._position += gap
        self._note_missing(lost)
        steps.append(self._step(Action.DECODE, packet.payload, packet.samples))
        self._next = (packet.sequence + 1) & 0xFFFF
        self._expected = (packet.timestamp + packet.samples // self._tick) & 0xFFFFFFFF
        self._samples = packet.samples
        self.arrival = now
        return steps

    def _concealable(self, packet: _Packet, *, lost: int, gap: int) -> bool:
        """Return whether the gap is a short loss; a longer one is a pause of the sender."""
        return (
            0 < gap <= lost * max(packet.samples, self._samples)
            and (lost <= _CONCEALED_PACKETS or gap <= _CONCEALED_SAMPLES)
            and gap % _STEP_SAMPLES == 0
        )

    def _fill_gap(self, packet: _Packet, gap: int) -> list[Step]:
        """Conceal a gap; its last frame is recovered from FEC if there is any."""
        recovered = min(gap, self._codec.fec_duration(packet.payload))
        steps: list[Step] = []
        concealed = gap - recovered
        while concealed > 0:
            samples = min(concealed, self._samples)
            steps.append(self._step(Action.CONCEAL, b"", samples))
            concealed -= samples
        if recovered:
            steps.append(self._step(Action.RECOVER, packet.payload, recovered))
        return steps

    def _step(self, action: Action, payload: bytes, samples: int) -> Step:
        position = self._position
        self._position = position + samples
        return Step(action, payload, position // BUS_RATIO, samples // BUS_RATIO, self.epoch)

    def _check_restart(self, packet: _Packet, now: float) -> Sequence[Step]:
        """Drop a packet far outside the sequence unless a second one confirms a restart."""
        if packet.sequence != self._restart:
            self._restart = (packet.sequence + 1) & 0xFFFF
            self.late += 1
            return ()
        self.restart()
        return self._begin(packet, now)

    def _drop(self, sequence: int, now: float) -> None:
        self.late += 1
        if sequence in self._missing:
            self._missing.remove(sequence)
            self._note_reordering(now)

    def _note_reordering(self, now: float) -> None:
        self.reordered += 1
        self.reordering_until = now + _REORDERING_SECONDS

    def _note_missing(self, lost: int) -> None:
        """Remember missing packets, to distinguish a late one from a duplicate."""
        if not lost:
            return
        if len(self._missing) + min(lost, _MAX_MISORDER) > _MISSING_LIMIT:
            self._missing.clear()
        first = self._next + max(0, lost - _MAX_MISORDER)
        self._missing.update(number & 0xFFFF for number in range(first, self._next + lost))


def _signed16(difference: int) -> int:
    return ((difference + 0x8000) & 0xFFFF) - 0x8000


def _signed32(difference: int) -> int:
    return ((difference + 0x80000000) & 0xFFFFFFFF) - 0x80000000
