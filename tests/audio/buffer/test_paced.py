"""The queue that plays in real time what came all at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.audio.buffer.paced import MAX_MARKS, PacedQueue, Watermarks
from bridge.audio.frame import FRAME_BYTES, SILENCE

SECOND = 32_000


def sound(size: int) -> bytes:
    return bytes(1 + index % 250 for index in range(size))


def frames(queue: PacedQueue, count: int) -> list[bytes | None]:
    return [queue.pull() for _ in range(count)]


def test_an_empty_queue_has_nothing_to_play():
    assert PacedQueue().pull() is None


def test_a_burst_is_given_frame_by_frame_unchanged():
    queue, burst = PacedQueue(), sound(30 * SECOND)
    queue.add(burst)
    assert queue.buffered_seconds == 30.0
    played = frames(queue, 1500)
    assert b"".join(frame or b"" for frame in played) == burst
    assert queue.pull() is None
    assert queue.dropped_seconds == 0


def test_it_tells_where_the_speech_that_it_has_ends():
    queue = PacedQueue()
    assert queue.speech_until(10.0) == 0.0
    queue.add(bytes(SECOND) + sound(SECOND) + bytes(SECOND))
    frames(queue, 10)
    end = queue.speech_until(10.0)
    assert end == 2.0
    frames(queue, 89)
    assert queue.left_seconds < end
    queue.pull()
    assert queue.left_seconds == end


def test_it_looks_for_speech_only_so_far_ahead():
    queue = PacedQueue()
    queue.add(sound(3 * SECOND))
    assert queue.speech_until(1.0) == 1.0


def test_above_the_limit_the_oldest_is_dropped_and_counted():
    queue = PacedQueue(limit_seconds=1.0)
    queue.add(bytes(SECOND))
    queue.add(b"\1" * 64)
    assert queue.dropped_seconds == 64 / SECOND
    assert queue.buffered_seconds == 1.0
    assert b"".join(frame or b"" for frame in frames(queue, 50))[-64:] == b"\1" * 64


def test_a_piece_that_is_over_the_limit_by_itself_keeps_its_end():
    queue, piece = PacedQueue(limit_seconds=0.04), sound(3 * FRAME_BYTES)
    queue.add(piece)
    assert frames(queue, 2) == [piece[640:1280], piece[1280:]]
    assert queue.dropped_seconds == pytest.approx(0.02)


def test_a_frame_that_is_not_whole_waits_60_ms_and_is_then_filled_up():
    queue = PacedQueue()
    queue.add(b"\1" * 100)
    assert frames(queue, 3) == [None, None, None]
    assert queue.pull() == b"\1" * 100 + bytes(540)
    assert queue.pull() is None


def test_the_end_of_what_came_long_ago_is_filled_up_at_once():
    queue = PacedQueue()
    queue.add(b"\1" * (20 * FRAME_BYTES + 100))
    assert frames(queue, 21)[-1] == b"\1" * 100 + bytes(540)


def test_other_than_whole_frames_begin_a_frame_later_where_the_queue_holds_them():
    queue = PacedQueue(holds=True)
    queue.add(b"\1" * (FRAME_BYTES + 100))
    assert frames(queue, 2) == [None, b"\1" * FRAME_BYTES]
    assert frames(queue, 18)[-1] is None
    queue.add(b"\1" * (2 * FRAME_BYTES))
    assert queue.pull() == b"\1" * FRAME_BYTES


def test_what_was_only_late_is_not_held():
    queue = PacedQueue(holds=True)
    queue.add(SILENCE)
    assert frames(queue, 3) == [SILENCE, None, None]
    queue.add(b"\1" * (FRAME_BYTES + 100))
    assert queue.pull() == b"\1" * FRAME_BYTES


def test_a_frame_whose_rest_comes_in_time_is_whole():
    queue = PacedQueue()
    queue.add(b"\1" * 100)
    assert queue.pull() is None
    queue.add(b"\2" * 540)
    assert queue.pull() == b"\1" * 100 + b"\2" * 540


def test_a_cleared_queue_is_silent_with_the_next_frame():
    queue = PacedQueue()
    queue.add(sound(30 * SECOND))
    queue.pull()
    queue.clear()
    assert queue.pull() is None
    assert queue.buffered_seconds == 0.0


def test_a_mark_is_told_at_once_when_nothing_waits():
    queue = PacedQueue()
    queue.mark("a")
    assert queue.reached() == ["a"]
    assert queue.reached() == []


def test_a_mark_is_told_when_the_last_frame_before_it_was_played_not_when_it_begins():
    queue = PacedQueue()
    queue.add(SILENCE * 2)
    queue.mark("a")
    queue.add(SILENCE)
    assert queue.pull()
    assert queue.reached() == []
    assert queue.pull()
    assert queue.reached() == []
    assert queue.pull()
    assert queue.reached() == ["a"]


def test_a_mark_behind_the_frame_that_is_being_played_waits_for_its_end():
    queue = PacedQueue()
    queue.add(SILENCE)
    queue.pull()
    queue.mark("a")
    assert queue.reached() == []
    assert queue.pull() is None
    assert queue.reached() == ["a"]


def test_a_mark_in_the_middle_of_a_frame_waits_for_the_whole_frame():
    queue = PacedQueue()
    queue.add(bytes(100))
    queue.mark("a")
    queue.add(bytes(540))
    queue.pull()
    assert queue.reached() == []
    queue.pull()
    assert queue.reached() == ["a"]


def test_clear_gives_every_mark_that_was_not_told_in_order():
    queue = PacedQueue()
    queue.add(SILENCE)
    queue.mark("a")
    queue.mark("b")
    assert queue.clear() == ["a", "b"]
    assert queue.clear() == []
    queue.pull()
    assert queue.reached() == []


def test_marks_whose_sound_was_dropped_are_told():
    queue = PacedQueue(limit_seconds=0.02)
    queue.add(SILENCE)
    queue.mark("a")
    queue.add(SILENCE)
    assert queue.pull()
    assert queue.reached() == ["a"]


def test_only_so_many_marks_wait_the_oldest_is_told_early():
    queue = PacedQueue()
    queue.add(SILENCE)
    for number in range(MAX_MARKS + 2):
        queue.mark(str(number))
    assert queue.reached() == ["0", "1"]
    assert len(queue.clear()) == MAX_MARKS


def test_watermarks_are_crossed_upwards_at_500_ms_and_downwards_at_250():
    marks = Watermarks()
    levels = [0.1, 0.499, 0.5, 0.6, 0.3, 0.26, 0.25, 0.3, 0.49, 0.5, 0.0]
    assert [marks.crossed(level) for level in levels] == [
        False, False, True, False, False, False, True, False, False, True, True,
    ]  # fmt: skip


@given(st.lists(st.integers(0, 2000).map(lambda count: 2 * count), max_size=20))
def test_whatever_the_pieces_what_is_played_is_what_came(sizes):
    queue, whole = PacedQueue(), sound(sum(sizes))
    begin = 0
    for size in sizes:
        queue.add(whole[begin : begin + size])
        begin += size
    played = b"".join(frame or b"" for frame in frames(queue, len(whole) // 640 + 5))
    assert played[: len(whole)] == whole
    assert not any(played[len(whole) :])


def test_another_queue_goes_on_with_what_is_left():
    queue, sent = PacedQueue(limit_seconds=1.0), sound(SECOND)
    queue.add(bytes(64) + sent[:-640])
    queue.mark("between")
    queue.add(sent[-640:])
    queue.mark("last")
    begun = frames(queue, 10)
    other = PacedQueue()
    other.restore(queue.snapshot())
    assert other.dropped_seconds == queue.dropped_seconds == 64 / SECOND
    rest, reached = [], []
    for _ in range(42):
        rest.append(other.pull())
        reached += [(len(rest), name) for name in other.reached()]
    assert b"".join(frame or b"" for frame in begun + rest) == sent
    assert reached == [(40, "between"), (41, "last")]


def test_a_mark_that_was_reached_and_not_reported_is_reported_by_another_queue():
    queue, other = PacedQueue(), PacedQueue()
    queue.mark("nothing before it")
    other.restore(queue.snapshot())
    other.pull()
    assert other.reached() == ["nothing before it"]


def test_marks_alone_are_those_of_a_queue_that_has_lost_its_audio():
    queue, other = PacedQueue(), PacedQueue()
    queue.mark("nothing before it")
    queue.add(sound(SECOND))
    queue.mark("after it")
    other.restore(queue.marks())
    assert other.pull() is None
    assert other.reached() == ["nothing before it", "after it"]
    assert queue.buffered_seconds == 1.0
