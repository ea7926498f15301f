"""The time and the figures of a stream, over all its connections."""

import pytest

from bridge.audio.frame import SAMPLE_RATE, SILENCE, Frame
from bridge.media.stream_tracks import StreamTimeline


def frame(seconds: float) -> Frame:
    return Frame(SILENCE, round(seconds * SAMPLE_RATE), "clock")


def test_a_stream_begins_with_its_first_frame():
    timeline = StreamTimeline()
    assert timeline.end_of(frame(7.0), 100.0) == 20.0
    assert timeline.end_of(frame(7.5), 100.49) == 520.0


def test_the_time_goes_on_in_another_process_whose_frames_have_other_numbers():
    first = StreamTimeline()
    first.end_of(frame(7.0), 100.0)
    second = StreamTimeline(first.began_at)
    assert second.end_of(frame(0.1), 103.0) == pytest.approx(3020.0)
    assert second.end_of(frame(0.2), 103.1) == pytest.approx(3120.0)
