"""The bus: who is served on arrival, who by the clock, and what they hear."""

from bridge.audio.frame import FRAME_SAMPLES, SILENCE
from bridge.call.model import Cadence
from tests.support.sound.voice import ANN, BOB, FAR, Voice, all_hear_all, bus_of, pcm


def test_a_sink_that_hears_one_timed_source_is_served_in_the_same_call():
    far, ann = Voice(), Voice()
    bus = bus_of(far=far, ann=ann)
    bus.route(all_hear_all(FAR, ANN), 0.0)
    frame = ann.speak(100)
    assert far.heard == [frame]
    assert bus.cadence is Cadence.NEVER


def test_nobody_hears_a_leg_that_is_not_routed():
    far, ann = Voice(), Voice()
    bus_of(far=far, ann=ann)
    ann.speak(100)
    assert far.heard == []
    assert ann.to is None


def test_an_untimed_source_is_pulled_by_the_clock():
    far, ann = Voice(timed=False, says=pcm(7)), Voice()
    bus = bus_of(far=far, ann=ann)
    bus.route(all_hear_all(FAR, ANN), 0.0)
    assert bus.cadence is Cadence.EVERY_FRAME
    bus.tick(0.0)
    bus.tick(0.02)
    assert [frame.pcm for frame in ann.heard] == [pcm(7), pcm(7)]
    assert ann.heard[1].pts - ann.heard[0].pts == FRAME_SAMPLES


def test_a_silent_untimed_source_sends_nothing():
    far, ann = Voice(timed=False), Voice()
    bus = bus_of(far=far, ann=ann)
    bus.route(all_hear_all(FAR, ANN), 0.0)
    bus.tick(0.0)
    assert ann.heard == []


def test_a_steady_sink_gets_silence_when_nobody_speaks():
    far, ann = Voice(timed=False), Voice(always_clocked=True)
    bus = bus_of(far=far, ann=ann)
    bus.route(all_hear_all(FAR, ANN), 0.0)
    bus.tick(0.0)
    assert [frame.pcm for frame in ann.heard] == [SILENCE]


def test_a_sink_that_hears_several_gets_their_sum_once_a_tick():
    far, ann, bob = Voice(), Voice(), Voice()
    bus = bus_of(far=far, ann=ann, bob=bob)
    bus.route(all_hear_all(FAR, ANN, BOB), 0.0)
    for step in range(10):
        now = step * 0.02
        ann.speak(100, now)
        bob.speak(20, now)
        bus.tick(now)
    assert pcm(120) in [frame.pcm for frame in far.heard]
    assert len(far.heard) <= 10


def test_mixing_for_one_sink_keeps_the_direct_path_of_another():
    far, ann, bob = Voice(), Voice(), Voice()
    bus = bus_of(far=far, ann=ann, bob=bob)
    bus.route({FAR: frozenset({ANN, BOB}), ANN: frozenset({FAR}), BOB: frozenset()}, 0.0)
    frame = far.speak(5)
    assert ann.heard == [frame]
    assert bus.cadence is Cadence.EVERY_FRAME


def test_a_leg_that_leaves_is_heard_no_more_and_the_clock_stops():
    far, ann, bob = Voice(), Voice(), Voice()
    bus = bus_of(far=far, ann=ann, bob=bob)
    bus.route(all_hear_all(FAR, ANN, BOB), 0.0)
    bus.leave(BOB, 0.0)
    bob.speak(9)
    frame = ann.speak(100)
    assert far.heard == [frame]
    assert bus.cadence is Cadence.NEVER


def test_each_turn_on_the_clock_is_a_timeline_of_its_own():
    far, ann, bob = Voice(timed=False, says=pcm(1)), Voice(), Voice()
    bus = bus_of(far=far, ann=ann, bob=bob)
    for rows in ({ANN: frozenset({FAR})}, {ANN: frozenset({BOB})}, {ANN: frozenset({FAR})}):
        bus.route(rows, 0.0)
        bus.tick(0.0)
    first, second = ann.heard
    assert first.epoch != second.epoch


def test_a_leg_may_leave_while_it_is_being_served():
    far, ann = Voice(timed=False, says=pcm(1)), Voice()
    ann.push = lambda frame, now: bus.leave(ANN, 0.0)  # type: ignore[method-assign]
    bus = bus_of(far=far, ann=ann)
    bus.route(all_hear_all(FAR, ANN), 0.0)
    bus.tick(0.0)
    bus.tick(0.02)
    assert bus.cadence is Cadence.NEVER


def test_what_a_full_buffer_dropped_is_still_counted_when_its_leg_has_left():
    far, ann = Voice(), Voice(always_clocked=True)
    bus = bus_of(far=far, ann=ann)
    bus.route(all_hear_all(FAR, ANN), 0.0)
    for _ in range(100):
        far.speak(100)
    dropped = bus.dropped
    assert 0 < dropped < 100
    bus.leave(FAR, 2.0)
    assert bus.delays() == {}
    assert bus.dropped == dropped


def test_a_late_frame_is_not_counted_as_dropped():
    far, ann = Voice(), Voice(always_clocked=True)
    bus = bus_of(far=far, ann=ann)
    bus.route(all_hear_all(FAR, ANN), 0.0)
    first = far.speak(100)
    for number in range(1, 20):
        far.speak(100, now=number * 0.02)
        bus.tick(number * 0.02)
    assert far.to is not None
    far.to(first, 0.4)
    bus.route({}, 0.0)
    assert bus.dropped == 0


def test_frames_still_buffered_are_pushed_at_once_when_the_sink_leaves_the_clock():
    far, ann, bob = Voice(), Voice(), Voice()
    bus = bus_of(far=far, ann=ann, bob=bob)
    bus.route(all_hear_all(FAR, ANN, BOB), 0.0)
    first = ann.speak(100)
    second = ann.speak(101)
    bus.leave(BOB, 0.01)
    assert far.heard == [first, second]
    third = ann.speak(102)
    assert far.heard == [first, second, third]
