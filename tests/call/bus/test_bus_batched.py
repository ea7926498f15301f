"""Those who can wait: served now and then, with what they would have heard in time."""

import pytest
from typing_extensions import override

from bridge.audio.frame import FRAME_SAMPLES, FRAME_SECONDS, SILENCE
from bridge.call.bus.bus import Bus
from bridge.call.bus.ends import FanOut
from bridge.call.model import Cadence, DeliveryPath, LegId
from tests.support.sound.voice import ANN, FAR, Voice, pcm

TAPE, RADIO = LegId("tape"), LegId("radio")


class Recorder(Voice):
    """Notes when each frame was due."""

    def __init__(self):
        super().__init__(always_clocked=True)
        self.times = []

    @override
    def push(self, frame, now):
        super().push(frame, now)
        self.times.append(now)


class LateVoice(Voice):
    """Has frames for those who may take them late until it is flushed, or attached to others."""

    def __init__(self, **more):
        super().__init__(**more)
        self.owed = []

    @override
    def attach(self, push, forward=None):
        self.flush()
        super().attach(push, forward)
        if isinstance(push, FanOut) and push.late is not None:
            self.to = FanOut(
                push.sinks, lambda frame, now: self.owed.append((push.late, frame, now))
            )

    @override
    def flush(self):
        super().flush()
        owed, self.owed = self.owed, []
        for take, frame, now in owed:
            take(frame, now)


def recorded(voice=Voice, **more):
    far, ann, tape = voice(**more), voice(**more), Recorder()
    bus = Bus()
    bus.join(FAR, far.source, far)
    bus.join(ANN, ann.source, ann)
    bus.join(TAPE, tape.source, tape, batched=True)
    bus.route(rows(), 0.0)
    return bus, far, ann, tape


def rows(**more):
    two = {FAR: frozenset({ANN}), ANN: frozenset({FAR})}
    return two | {TAPE: frozenset({FAR, ANN})} | more


def talk(bus, far, ann, begin, end, *, catch_up):
    for number in range(begin, end):
        now = number * FRAME_SECONDS
        far.speak(100, now)
        ann.speak(20, now)
        if number % catch_up == catch_up - 1:
            bus.catch_up(now + 0.01)


def test_a_bus_of_packets_and_one_who_can_wait_is_served_seldom():
    bus, far, ann, tape = recorded(passthrough=True)
    assert bus.cadence is Cadence.BATCHED
    assert bus.path(FAR) is bus.path(ANN) is DeliveryPath.PASSTHROUGH
    talk(bus, far, ann, 0, 50, catch_up=50)
    assert len(far.taken) == 50
    assert len(tape.heard) == 49
    assert tape.heard[-1].pcm == pcm(120)


def test_frames_are_due_20_ms_apart_however_late_they_are_pushed():
    bus, far, ann, tape = recorded()
    talk(bus, far, ann, 0, 50, catch_up=10)
    steps = {round(b - a, 6) for a, b in zip(tape.times, tape.times[1:], strict=False)}
    assert steps == {FRAME_SECONDS}
    numbers = [frame.pts // FRAME_SAMPLES for frame in tape.heard]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_who_waits_hears_the_same_however_seldom_it_is_served():
    heard = []
    for every in (1, 5, 25):
        bus, far, ann, tape = recorded()
        talk(bus, far, ann, 0, 50, catch_up=every)
        heard.append([frame.pcm for frame in tape.heard])
    assert heard[0] == heard[1] == heard[2]


def test_what_a_source_delivers_late_is_recorded_as_if_it_had_come_at_once():
    heard = []
    for voice in (Voice, LateVoice):
        bus, far, ann, tape = recorded(voice)
        talk(bus, far, ann, 0, 50, catch_up=10)
        far.speak(100, 1.0)
        ann.speak(20, 1.0)
        bus.leave(TAPE, 1.03)
        heard.append([frame.pcm for frame in tape.heard])
    assert heard[0] == heard[1]
    assert heard[0][-1] == pcm(120)


def test_silence_is_recorded_while_nobody_is_there():
    tape, bus = Recorder(), Bus()
    bus.join(TAPE, tape.source, tape, batched=True)
    bus.route({TAPE: frozenset()}, 0.0)
    bus.catch_up(0.205)
    assert [frame.pcm for frame in tape.heard] == [SILENCE] * 10


def test_one_who_cannot_wait_lets_all_be_served_in_time():
    bus, far, ann, tape = recorded()
    talk(bus, far, ann, 0, 20, catch_up=10)
    radio = Voice(timed=False, says=pcm(3))
    bus.join(RADIO, radio.source, radio)
    bus.route(rows(**{FAR: frozenset({ANN, RADIO})}), 0.4)
    assert bus.cadence is Cadence.EVERY_FRAME
    before = len(tape.heard)
    for number in range(20, 40):
        far.speak(100, number * FRAME_SECONDS)
        ann.speak(20, number * FRAME_SECONDS)
        bus.tick(number * FRAME_SECONDS + 0.01)
    assert [frame.pcm for frame in tape.heard[before:]] == [pcm(120)] * 20
    assert far.heard[-1].pcm == pcm(23)


def test_an_untimed_source_is_recorded_in_time():
    bus, _, _, tape = recorded()
    radio = Voice(timed=False, says=pcm(3))
    bus.join(RADIO, radio.source, radio)
    bus.route(rows(**{TAPE: frozenset({RADIO})}), 0.4)
    assert bus.cadence is Cadence.EVERY_FRAME
    bus.tick(0.42)
    assert tape.heard[-1].pcm == pcm(3)


def test_nothing_is_lost_when_the_one_who_waits_leaves():
    bus, far, ann, tape = recorded()
    talk(bus, far, ann, 0, 50, catch_up=100)
    assert tape.heard == []
    bus.leave(TAPE, 0.995)
    assert len(tape.heard) == 49
    assert bus.cadence is Cadence.NEVER


def test_nothing_is_lost_when_who_was_heard_leaves():
    bus, far, ann, tape = recorded()
    talk(bus, far, ann, 0, 50, catch_up=100)
    bus.leave(ANN, 0.995)
    assert [frame.pcm for frame in tape.heard[1:]] == [pcm(120)] * 48


@pytest.mark.parametrize("voice", [Voice, LateVoice])
def test_no_frame_is_duplicated_or_lost_between_batched_and_every_frame(voice):
    bus, far, _, tape = recorded(voice)
    radio = Voice(timed=False, always_clocked=True)
    bus.join(RADIO, radio.source, radio)
    plain = {TAPE: frozenset({FAR})}
    mixed = plain | {RADIO: frozenset({FAR})}
    bus.route(plain, 0.0)
    for number in range(200):
        now = number * FRAME_SECONDS
        if number % 50 == 0:
            bus.route(mixed if number % 100 else plain, now)
        far.speak(1000 + number, now + 0.001)
        bus.tick(now + 0.01) if bus.cadence is Cadence.EVERY_FRAME else bus.catch_up(now + 0.01)
    levels = [int.from_bytes(frame.pcm[:2], "little") for frame in tape.heard]
    spoken = [level for level in levels if level >= 1000]
    assert len(set(spoken)) >= 195
    assert spoken == sorted(spoken)


def test_a_process_that_stood_still_leaves_out_what_was_then():
    bus, _, _, tape = recorded()
    bus.catch_up(0.105)
    bus.catch_up(100.0)
    assert len(tape.heard) == 5 + 101
    assert tape.times[5] == 98.0


def test_a_tap_of_one_source_takes_each_frame_late_with_the_time_at_which_it_came():
    far, ann, tap = LateVoice(passthrough=True), LateVoice(passthrough=True), Recorder()
    tap.always_clocked = False
    bus = Bus()
    bus.join(FAR, far.source, far)
    bus.join(ANN, ann.source, ann)
    bus.join(TAPE, None, tap, batched=True)
    bus.route(rows(tape=frozenset({FAR})), 0.0)
    assert bus.path(ANN) is DeliveryPath.PASSTHROUGH
    assert bus.cadence is Cadence.BATCHED
    times = [number * FRAME_SECONDS + 0.007 for number in range(10)]
    for now in times:
        far.speak(100, now)
    assert tap.times == []
    bus.catch_up(0.2)
    assert tap.times == times
    assert bus.delays() == {}


def test_a_tap_takes_frames_at_once_while_another_sink_is_served_every_frame():
    far, ann, tap = LateVoice(), LateVoice(), Recorder()
    tap.always_clocked = False
    bus = Bus()
    bus.join(FAR, far.source, far)
    bus.join(ANN, ann.source, Recorder())
    bus.join(TAPE, None, tap, batched=True)
    bus.route(rows(tape=frozenset({FAR})), 0.0)
    assert bus.cadence is Cadence.EVERY_FRAME
    far.speak(100, 0.007)
    assert tap.times == [0.007]
