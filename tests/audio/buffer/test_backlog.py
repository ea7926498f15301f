"""Frames put by: heard later, and as if they had been heard in time."""

import numpy as np

from bridge.audio.buffer.backlog import MAX_FRAMES, FrameBacklog
from bridge.audio.buffer.playout import Playout
from bridge.audio.frame import FRAME_SAMPLES, FRAME_SECONDS, SILENCE, Frame


def frame(number):
    pcm = np.full(FRAME_SAMPLES, 100 + number, dtype="<i2").tobytes()
    return Frame(pcm, number * FRAME_SAMPLES, "voice")


def arrivals(*, jitter, seconds=4.0):
    chance = np.random.default_rng(1)
    count = round(seconds / FRAME_SECONDS)
    times = [n * FRAME_SECONDS + chance.uniform(0, jitter) for n in range(count)]
    return [(frame(n), max(times[: n + 1])) for n in range(count)]


def test_what_is_heard_later_is_what_would_have_been_heard_in_time():
    for jitter in (0.0, 0.03):
        came = arrivals(jitter=jitter)
        ticks = [0.013 + n * FRAME_SECONDS for n in range(200)]
        at_once, waiting = Playout(), list(came)
        expected = []
        for due in ticks:
            while waiting and waiting[0][1] <= due:
                at_once.push(*waiting.pop(0))
            expected.append(at_once.pull(due) or SILENCE)
        later, playout = FrameBacklog(), Playout()
        for one, moment in came:
            later.push(one, moment)
        heard = [pcm for n in range(0, 200, 10) for pcm in later.pull(playout, ticks[n : n + 10])]
        assert heard == expected


def test_what_came_after_the_last_tick_waits():
    later, playout = FrameBacklog(), Playout()
    later.push(frame(0), 1.0)
    assert later.pull(playout, [0.99]) == [SILENCE]
    assert later.pull(playout, [1.01]) == [frame(0).pcm]


def test_without_a_buffer_there_is_silence():
    assert FrameBacklog().pull(None, [0.0, 0.02]) == [SILENCE, SILENCE]


def test_the_oldest_of_too_many_are_dropped_and_counted():
    later, playout = FrameBacklog(), Playout()
    for number in range(MAX_FRAMES + 3):
        later.push(frame(number), 0.0)
    assert later.dropped == 3
    later.release(playout, 1.0)
    assert playout.held()[-1] == frame(MAX_FRAMES + 2)
