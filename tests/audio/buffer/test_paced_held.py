"""What is said while a queue is held: it is kept, played from its beginning, and soon no longer late."""

from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.audio.buffer.paced import HELD_SECONDS, PacedQueue
from bridge.audio.buffer.pauses import PAUSE_FRAMES, is_silent
from bridge.audio.frame import FRAME_BYTES, FRAME_SECONDS, SILENCE

HELD_FRAMES = round(HELD_SECONDS / FRAME_SECONDS)


def word(number: int) -> bytes:
    """Return a frame that can be told from others."""
    return (0x1000 + number).to_bytes(2, "little") * (FRAME_BYTES // 2)


def said(queue: PacedQueue, frames: int) -> list[bytes]:
    """Return the frames that are played, in as many ticks."""
    return [frame for _ in range(frames) if (frame := queue.pull()) is not None]


def held(audio: bytes, ticks: int, **options: bool) -> PacedQueue:
    """Return a queue that was held for so many ticks after it was sent audio at once."""
    queue = PacedQueue(**options)
    queue.hold()
    queue.add(audio)
    assert said(queue, ticks) == []
    return queue


def test_what_is_said_meanwhile_is_played_from_its_beginning():
    words = b"".join(word(number) for number in range(50))
    queue = held(words, 50)
    queue.release()
    assert b"".join(said(queue, 50)) == words
    assert queue.held_seconds == pytest.approx(1.0)
    assert queue.held_dropped_seconds == 0


def test_silence_before_the_first_word_is_not_waited_for():
    queue = held(200 * SILENCE + word(1), 10)
    queue.release()
    assert said(queue, 4) == [SILENCE, SILENCE, word(1)]
    assert queue.held_seconds == pytest.approx(0.2)


def test_silence_alone_is_not_held():
    queue = held(200 * SILENCE, 100)
    queue.release()
    assert len(said(queue, 100)) == 2
    assert queue.held_seconds == 0
    assert queue.held_dropped_seconds == 0


def test_of_more_than_there_is_room_for_silence_is_dropped_first():
    queue = PacedQueue()
    queue.hold()
    for number in range(HELD_FRAMES - 10):
        queue.add(word(number) + SILENCE * (20 if number % 40 == 0 else 0))
    queue.release()
    assert queue.held_dropped_seconds > 0
    assert queue.buffered_seconds == pytest.approx(HELD_SECONDS)
    heard = [frame for frame in said(queue, HELD_FRAMES) if not is_silent(frame)]
    assert heard == [word(number) for number in range(len(heard))]
    assert len(heard) >= HELD_FRAMES - PAUSE_FRAMES * (HELD_FRAMES // 40 + 1)


def test_of_words_alone_the_newest_are_dropped():
    queue = PacedQueue()
    queue.hold()
    for number in range(HELD_FRAMES + 50):
        queue.add(word(number))
    queue.release()
    assert said(queue, HELD_FRAMES + 50) == [word(number) for number in range(HELD_FRAMES)]
    assert queue.held_dropped_seconds == pytest.approx(1.0)


def test_what_is_never_played_is_counted():
    queue = held(word(1) * 100, 10)
    queue.drop_held()
    assert queue.held_dropped_seconds == pytest.approx(2.0)
    assert queue.buffered_seconds == 0
    queue.release()
    queue.add(word(2) * 10)
    queue.drop_held()
    assert queue.buffered_seconds == pytest.approx(0.2)


def test_a_mark_is_reported_when_what_is_before_it_has_been_played_whatever_is_dropped():
    queue = PacedQueue()
    queue.hold()
    queue.mark("nothing")
    assert queue.reached() == ["nothing"]
    queue.add(word(1) + 50 * SILENCE)
    queue.mark("first")
    queue.add(word(2) * HELD_FRAMES)
    queue.mark("second")
    assert said(queue, 100) == []
    assert queue.reached() == []
    queue.release()
    played: list[tuple[str, int]] = []
    for number in range(HELD_FRAMES + 2):
        queue.pull()
        played += [(name, number) for name in queue.reached()]
    assert played == [("first", 1 + PAUSE_FRAMES), ("second", HELD_FRAMES)]
    assert queue.left_seconds == pytest.approx((51 + HELD_FRAMES) * FRAME_SECONDS)


def test_a_snapshot_counts_marks_in_what_is_left():
    queue = PacedQueue()
    queue.hold()
    queue.add(word(1) + 50 * SILENCE + word(2) * HELD_FRAMES)
    queue.mark("end")
    [(before, name)] = queue.snapshot().marks
    assert (before, name) == (HELD_FRAMES * FRAME_BYTES, "end")


def test_a_clear_ends_the_delay_too():
    queue = held(word(1) * 100, 100)
    assert queue.clear() == []
    queue.release()
    queue.add(word(1) + 50 * SILENCE)
    assert len(said(queue, 51)) == 51


def test_a_pause_is_left_as_it_is_where_nothing_was_held():
    queue = PacedQueue()
    queue.add(word(1) + 50 * SILENCE + word(2))
    assert len(said(queue, 52)) == 52


def test_to_be_held_in_the_middle_of_a_pause_makes_it_no_shorter_than_the_others():
    queue = PacedQueue()
    queue.add(word(1) + 50 * SILENCE + word(2))
    queue.pull()
    queue.hold()
    said(queue, 10)
    queue.release()
    assert said(queue, 60) == [*PAUSE_FRAMES * [SILENCE], word(2)]


SPEECH = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 60)), min_size=1, max_size=20)


@given(SPEECH, st.integers(0, HELD_FRAMES), st.booleans())
def test_no_word_is_lost_and_no_pause_shorter_than_100_ms_and_the_delay_ends(parts, ticks, at_once):
    frames: list[bytes] = []
    for words, pause in parts:
        frames += [word(len(frames) + number) for number in range(words)] + pause * [SILENCE]
    queue, heard, coming = PacedQueue(), list[tuple[int, bytes]](), list(frames)
    queue.hold()
    if at_once:  # within the limit: the newest words are dropped beyond it
        coming.clear()
        frames = frames[:HELD_FRAMES]
        queue.add(b"".join(frames))
    for now in range(len(frames) + ticks + 30):
        if now == ticks:
            queue.release()
        if coming:
            queue.add(coming.pop(0))
        if (frame := queue.pull()) is not None:
            heard.append((now, frame))
    voiced = [(now, frame) for now, frame in heard if not is_silent(frame)]
    assert [frame for _, frame in voiced] == [one for one in frames if not is_silent(one)]
    assert queue.held_dropped_seconds == 0
    for pause, original in zip(
        _pauses([frame for _, frame in heard]), _pauses(frames), strict=False
    ):
        assert pause >= min(original, PAUSE_FRAMES)
    # What a pause has beyond 100 ms is made up for, as long as there is a delay.
    for number, (now, frame) in enumerate(voiced):
        if number and frame != voiced[number - 1][1] and not at_once:
            began = frames.index(frame)
            spare = sum(max(0, pause - PAUSE_FRAMES) for _, pause in _before(parts, began))
            assert now - began <= max(0, ticks - spare)


def _pauses(frames: list[bytes]) -> list[int]:
    """Return how many frames each pause between two words lasts."""
    runs = [(silent, len(list(run))) for silent, run in groupby(frames, is_silent)]
    return [length for silent, length in runs[:-1] if silent]


def _before(parts: list[tuple[int, int]], frame: int) -> list[tuple[int, int]]:
    """Return the parts that are over before a frame."""
    done, over = 0, list[tuple[int, int]]()
    for words, pause in parts:
        done += words + pause
        if done > frame:
            break
        over.append((words, pause))
    return over
