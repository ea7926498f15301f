"""The bus: turning from arrival to the clock and back, heard sample by sample."""

import numpy as np
import pytest
from typing_extensions import override

from bridge.audio.frame import FRAME_SAMPLES, FRAME_SECONDS, Frame
from bridge.call.model import Cadence
from bridge.wire.rtp.stream import OutgoingStream
from tests.support.sound.voice import ANN, BOB, FAR, Voice, all_hear_all, bus_of

FRAMES = 400
JOINS, LEAVES = 2.0, 5.0
NOISE = np.random.default_rng(7).normal(0, 4000, (FRAMES, FRAME_SAMPLES))
SAID = np.clip(NOISE, -32_000, 32_000).astype("<i2")


class Listener(Voice):
    """Takes frames, and passes them to a stream as a session would."""

    def __init__(self):
        super().__init__()
        self.stream = OutgoingStream(ssrc=1, payload_type=111, sequence=0, timestamp=0)
        self.stamps: list[int] = []

    @override
    def push(self, frame: Frame, now: float) -> None:
        super().push(frame, now)
        if self.stream.stamp(frame.pts, frame.epoch, now) is not None:
            self.stamps.append(self.stream.timestamp_at(now) // 960)


def call(jitter: float, phase: float) -> Listener:
    """Let one voice speak for 8 s to a listener, with a second source there for 3 s of them."""
    far, ann, bob = Listener(), Voice(), Voice()
    bus = bus_of(far=far, ann=ann, bob=bob)
    bus.route(all_hear_all(FAR, ANN), 0.0)
    delays = np.random.default_rng(3).uniform(0, jitter, FRAMES)
    arrivals = np.maximum.accumulate(np.arange(FRAMES) * FRAME_SECONDS + delays)
    happenings = [(at, "frame", number) for number, at in enumerate(arrivals)]
    ticks = np.arange(phase, FRAMES * FRAME_SECONDS, FRAME_SECONDS)
    happenings += [(at, "tick", 0) for at in ticks]
    happenings += [(JOINS, "join", 0), (LEAVES, "leave", 0)]
    for now, what, number in sorted(happenings):
        if what == "join":
            bus.route({FAR: frozenset({ANN, BOB})}, now)
        elif what == "leave":
            bus.route({FAR: frozenset({ANN})}, now)
        elif what == "frame" and ann.to is not None:
            ann.to(Frame(SAID[number].tobytes(), number * FRAME_SAMPLES, "ann"), now)
        elif what == "tick" and bus.cadence is Cadence.EVERY_FRAME:
            bus.tick(now)
    return far


def recognised(heard: list[Frame]) -> list[int | None]:
    """Which of the frames said each frame heard is mostly made of; None: of none."""
    found: list[int | None] = []
    said = SAID.astype(float)
    lengths = np.sqrt((said**2).sum(axis=1))
    for frame in heard:
        pcm = np.frombuffer(frame.pcm, "<i2").astype(float)
        likeness = said @ pcm / (lengths * max(1.0, float(np.sqrt(pcm @ pcm))))
        best = int(likeness.argmax())
        found.append(best if likeness[best] > 0.6 else None)
    return found


@pytest.mark.parametrize("phase", [0.001, 0.0075, 0.0135, 0.019])
@pytest.mark.parametrize("jitter", [0.0, 0.010, 0.030])
def test_turning_to_the_clock_and_back_loses_nothing_and_repeats_a_frame_at_most(jitter, phase):
    far = call(jitter, phase)
    numbers = [number for number in recognised(far.heard) if number is not None]
    assert set(numbers) == set(range(FRAMES))
    assert numbers == sorted(numbers)
    assert len(far.heard) <= FRAMES + 1
    assert far.stream.dropped == 0


@pytest.mark.parametrize("phase", [0.001, 0.0075, 0.0135, 0.019])
@pytest.mark.parametrize("jitter", [0.0, 0.010, 0.030])
def test_what_is_sent_on_has_a_hole_of_one_packet_at_most(jitter, phase):
    far = call(jitter, phase)
    assert len(far.stamps) == len(far.heard)
    steps = np.diff(far.stamps)
    assert sorted(steps)[:-1] == [1] * (len(steps) - 1)
    assert max(steps) <= 2
