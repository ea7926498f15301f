"""An hour of recording, simulated: two far ends with clocks of their own, and a node that stumbles."""

import random

import numpy as np
import pytest

from bridge.audio.file.track_assembler import TrackAssembler
from bridge.audio.frame import FRAME_BYTES, FRAME_SAMPLES, Frame
from bridge.call.bus.bus import Bus
from bridge.call.model import LegId

pytestmark = pytest.mark.full

FAR, NEAR = LegId("far"), LegId("near")
TRACKS = {"inbound": (FAR,), "outbound": (NEAR,), "mixed": (FAR, NEAR)}
QUIET = bytes(FRAME_BYTES)
PULSE = np.full(FRAME_SAMPLES, 9000, np.int16).tobytes()
REPORT_SECONDS = 20
HOUR = 3600


class Talker:
    """Sends a frame every 20 ms of its own time; every 20 s of true time one is loud."""

    passthrough_codec = None
    always_clocked = False

    def __init__(self, *, drift, jitter, loss, seed, began=0.0):
        self._chance = random.Random(seed)
        self._step, self._jitter, self._loss = 0.02 * (1 + drift), jitter, loss
        self._began, self._sent, self._due = began, 0, began
        self._to = None
        self.said: list[float] = []
        """When it was loud."""

    def attach(self, push, forward=None):
        self._to = push

    def flush(self):
        pass

    def push(self, frame, now):
        pass

    def run_until(self, now):
        while self._due <= now:
            spoken = self._began + self._sent * self._step
            loud = spoken % REPORT_SECONDS < self._step
            if loud:
                self.said.append(spoken)
            if self._to and (loud or self._chance.random() >= self._loss):
                frame = Frame(PULSE if loud else QUIET, self._sent * FRAME_SAMPLES, id(self))
                self._to(frame, self._due)
            self._sent += 1
            late = self._chance.random() * self._jitter
            self._due = max(self._due, self._began + self._sent * self._step + late)


class Track:
    """A recorder without its file: notes where loud frames lie."""

    always_clocked = True

    def __init__(self):
        self.tape = TrackAssembler()
        self.reports: list[float] = []
        self._taken = 0
        self.last = np.zeros(0, np.int16)
        """What was written last."""

    def push(self, frame, now):
        self.tape.push(frame.pcm, now)

    def write(self):
        self.last = pcm = np.frombuffer(self.tape.drain(), np.int16)
        loud = np.flatnonzero(np.abs(pcm) > 4000)
        for place in loud:
            seconds = (self._taken + int(place)) / 16000
            if not self.reports or seconds - self.reports[-1] > 1:
                self.reports.append(seconds)
        self._taken += len(pcm)

    @property
    def seconds(self):
        return self._taken / 16000


class Hour:
    """A call of two parties whose three tracks are recorded."""

    def __init__(self, *, drift, patient):
        self._chance = random.Random(5)
        self._patient = patient
        self.bus = Bus()
        self.differing = 0
        """Samples of the mix that are not the sum of both sides."""
        self.said: list[float] = []
        """When the near party was loud before it came back."""
        self.due = self.now = 0.0
        self.talkers = {
            FAR: Talker(drift=drift, jitter=0.010, loss=0.03, seed=1),
            NEAR: Talker(drift=-drift, jitter=0.010, loss=0.03, seed=2),
        }
        self.tracks = {kind: Track() for kind in TRACKS}
        for leg_id, talker in self.talkers.items():
            self.bus.join(leg_id, talker, talker)
        for kind, track in self.tracks.items():
            self.bus.join(LegId(kind), None, track, batched=patient)
        self.route()

    def route(self, *, muted=False):
        heard = {
            kind: frozenset(source for source in hears if not (muted and source == NEAR))
            for kind, hears in TRACKS.items()
        }
        self.bus.route({LegId(kind): hears for kind, hears in heard.items()}, self.now)

    def reconnect(self, *, drift):
        """The near party comes back on another path, with another clock."""
        self.said += self.talkers[NEAR].said
        self.bus.leave(NEAR, self.now)
        talker = Talker(drift=drift, jitter=0.010, loss=0.03, seed=3, began=self.now)
        self.talkers[NEAR] = talker
        self.bus.join(NEAR, talker, talker)
        self.route()

    def run(self, seconds):
        """Let time pass as `node.clock` does: late now and then, and sometimes far behind."""
        until = self.due + seconds
        while self.due < until - 0.001:
            self.now = max(self.now, self.due + self._chance.random() * 0.004)
            if self._chance.random() < 1 / 15_000:
                self.now += self._chance.random() * 0.3
            for talker in self.talkers.values():
                talker.run_until(self.now)
            if self._patient:
                self.bus.catch_up(self.now)
                self.due += (int((self.now - self.due) / 0.2) + 1) * 0.2
            else:
                owed = int((self.now - self.due) / 0.02) + 1
                for _ in range(min(owed, 3)):
                    self.bus.tick(self.now)
                self.due += owed * 0.02
            if self._patient or self.tracks["mixed"].tape.frames % 25 == 0:
                self.write()

    def write(self):
        for track in self.tracks.values():
            track.write()
        inbound, outbound, mixed = (self.tracks[kind].last for kind in TRACKS)
        self.differing += int(np.count_nonzero(mixed != inbound + outbound))

    def finish(self):
        self.bus.catch_up(self.due)
        for track in self.tracks.values():
            track.tape.fill()
        self.write()


@pytest.fixture(scope="module", params=["tick", "catch_up"])
def hour(request):
    """Losses and jitter all along, a mute of two minutes, a reconnection; one clock is fast, one slow.

    Once with a browser or a socket on the call, which are served every 20 ms, and once without.
    """
    hour = Hour(drift=300e-6, patient=request.param == "catch_up")
    hour.run(1200)
    hour.route(muted=True)
    hour.run(120)
    hour.route()
    hour.run(680)
    hour.reconnect(drift=-150e-6)
    hour.run(HOUR - 2000)
    hour.finish()
    return hour


def test_after_an_hour_each_track_is_as_long_as_the_time_that_passed(hour):
    for track in hour.tracks.values():
        assert abs(track.seconds - hour.due) <= 0.020


def test_after_an_hour_all_tracks_are_equally_long(hour):
    assert len({track.seconds for track in hour.tracks.values()}) == 1


def test_the_mix_is_both_sides_sample_for_sample(hour):
    assert hour.differing == 0


def test_sound_is_equally_late_in_both_sides_to_the_end(hour):
    inbound = delays(hour.tracks["inbound"], hour.talkers[FAR].said)
    outbound = delays(hour.tracks["outbound"], [*hour.said, *hour.talkers[NEAR].said])
    assert len(inbound) >= HOUR // REPORT_SECONDS - 1
    assert len(outbound) >= (HOUR - 120) // REPORT_SECONDS - 3
    skews = [
        abs(late - other)
        for place, late in inbound
        for elsewhere, other in outbound
        if abs(place - elsewhere) < 5
    ]
    assert len(skews) > 150
    assert max(skews) <= 0.020
    assert max(late for _, late in inbound + outbound) <= 0.080


def delays(track, said):
    """Where each loud frame lies, and how long after it was said."""
    found = []
    for place in track.reports:
        late = min((place - spoken for spoken in said if spoken <= place + 0.02), default=99)
        found.append((place, late))
    return found
