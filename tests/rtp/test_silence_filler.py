"""When silence is due, and where."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.rtp.silence_filler import MAX_CATCH_UP, SilenceFiller


class Stream:
    """Speaks, and notes the silence."""

    def __init__(self):
        self.filler = SilenceFiller()
        self.silence = []

    def speak(self, now, count=1):
        for _ in range(count):
            self.filler.sent(now)

    def tick(self, now):
        before = len(self.silence)
        self.silence += [(self.filler.epoch, place) for place in self.filler.due(now)]
        return len(self.silence) - before

    def beats(self, first, last):
        return [self.tick(number / 50) for number in range(first, last)]


def test_the_first_packet_is_due_at_once_and_one_every_20_ms_after_it():
    stream = Stream()
    assert stream.beats(0, 100) == [1] * 100
    assert [place for _, place in stream.silence] == [320 * n for n in range(100)]
    assert len({epoch for epoch, _ in stream.silence}) == 1


def test_nothing_is_due_while_audio_is_sent():
    stream = Stream()
    stream.tick(0.0)
    for number in range(1, 100):
        stream.speak(number / 50)
        assert stream.tick(number / 50 + 0.001) == 0


def test_silence_begins_60_ms_after_the_last_packet():
    stream = Stream()
    for number in range(10):
        stream.speak(number / 50)
        assert stream.tick(number / 50) == 0 or number == 0
    assert stream.tick(0.18 + 0.059) == 0
    assert stream.tick(0.18 + 0.061) == 1


def test_the_next_tick_is_60_ms_after_the_last_packet_and_20_ms_after_silence():
    stream = Stream()
    assert stream.filler.next_due < 0
    stream.speak(1.0)
    assert stream.filler.next_due == pytest.approx(1.06)
    stream.speak(1.02)
    assert stream.tick(1.07) == 0
    assert stream.filler.next_due == pytest.approx(1.08)
    assert stream.tick(1.08) == 1
    assert stream.filler.next_due == pytest.approx(1.10)
    assert stream.tick(1.1) == 1


def wakes(phase, last, until):
    """Return when a stream is looked at that sends every 20 ms, from `phase` up to `last`."""
    stream, now, found, number = Stream(), 100.0, [], 0
    while now < until:
        while 100 + phase + number / 50 <= min(now, last):
            stream.speak(100 + phase + number / 50)
            number += 1
        stream.tick(now)
        now = max(stream.filler.wake_at(now), now + 0.001)
        found.append(now)
    return found, stream.silence


@given(st.lists(st.floats(0, 0.0199), min_size=2, max_size=8))
def test_streams_that_are_sent_wake_together_and_not_every_20_ms(phases):
    found = [wakes(phase, 110.0, 104.0)[0] for phase in phases]
    late = {round(now, 6) for one in found for now in one if now >= 103.0}
    assert len(late) <= 27


@given(st.floats(0, 0.0199))
def test_silence_is_not_late_for_it(phase):
    found, silence = wakes(phase, 100.5, 101.0)
    last = 100 + phase + int((0.5 - phase) * 50 + 1e-6) / 50
    first = next(now for now in found if now >= last + 0.0599)
    assert first == pytest.approx(last + 0.06, abs=0.0011)
    assert silence


def test_each_run_of_silence_has_a_timeline_of_its_own():
    stream = Stream()
    stream.beats(0, 3)
    stream.speak(0.06)
    stream.beats(3, 20)
    epochs = {epoch for epoch, _ in stream.silence}
    assert len(epochs) == 2
    assert [place for _, place in stream.silence][:4] == [0, 320, 640, 0]


def test_three_packets_at_once_cover_60_ms():
    stream = Stream()
    stream.tick(0.0)
    for number in range(1, 30):
        stream.speak(0.06 * number, count=3)
        for tick in range(3):
            assert stream.tick(0.06 * number + 0.02 * tick + 0.005) == 0


def test_a_late_tick_catches_up():
    stream = Stream()
    stream.tick(0.0)
    assert stream.tick(0.061) == 3


def test_a_very_late_tick_skips_on_the_timeline():
    stream = Stream()
    stream.tick(0.0)
    assert stream.tick(1.0) == MAX_CATCH_UP
    stream.tick(1.0201)
    assert stream.silence[-1][1] == 320 * 51


@pytest.mark.parametrize("offset", [0.0, 0.007, 0.019])
def test_in_the_long_run_there_are_fifty_a_second(offset):
    stream = Stream()
    for number in range(1000):
        stream.tick(number / 50 + offset * (number % 2))
    assert abs(len(stream.silence) - 1000) <= 1


@given(st.lists(st.tuples(st.floats(0, 0.5), st.integers(0, 5)), max_size=60))
def test_positions_of_a_run_only_grow(steps):
    stream, now = Stream(), 0.0
    for pause, spoken in steps:
        now += pause
        if spoken:
            stream.speak(now, count=spoken)
        assert stream.tick(now) <= MAX_CATCH_UP
    last: dict[object, int] = {}
    for epoch, place in stream.silence:
        assert place > last.get(epoch, -1)
        last[epoch] = place
