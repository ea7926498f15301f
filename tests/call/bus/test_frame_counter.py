from bridge.audio.frame import SILENCE
from bridge.call.bus.frame_counter import FrameCounter

LOUD = b"\0\x40" * 320


def test_nothing_said_and_nothing_heard_is_silence():
    counter = FrameCounter()
    assert (counter.received().packets, counter.sent().packets) == (0, 0)
    assert counter.received().level_dbov == counter.sent().level_dbov


def test_frames_are_counted_each_way():
    counter = FrameCounter()
    counter.count_received(LOUD)
    counter.count_received(SILENCE)
    counter.count_sent(LOUD)
    received, sent = counter.received(), counter.sent()
    assert (received.packets, received.frames, received.bytes) == (2, 2, 1280)
    assert (sent.packets, sent.bytes) == (1, 640)


def test_beeps_twice_a_second_are_not_taken_for_silence():
    counter, quiet, longest = FrameCounter(), 0, 0
    for number in range(1000):
        counter.count_received(LOUD if 9 <= number % 25 < 16 else SILENCE)
        quiet = quiet + 1 if counter.received().level_dbov < -60 else 0
        longest = max(longest, quiet)
    assert longest < 3 * 50


def test_the_level_is_that_of_the_last_second():
    counter = FrameCounter()
    counter.count_received(LOUD)
    loud = counter.received().level_dbov
    counter.count_received(SILENCE)
    assert counter.received().level_dbov == loud
    for _ in range(100):
        counter.count_received(SILENCE)
    assert counter.received().level_dbov < loud
