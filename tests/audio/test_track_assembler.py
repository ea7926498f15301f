"""A track's time: as long as what passed, whatever the clock that hands over its frames does."""

import random

import pytest

from bridge.audio.frame import FRAME_BYTES, SILENCE
from bridge.audio.track_assembler import MAX_WAITING, SETTLING_FRAMES, WINDOW_FRAMES, TrackAssembler

SOUND = b"\x01\x02" * (FRAME_BYTES // 2)


def test_frames_lie_in_the_order_in_which_they_came():
    tape = TrackAssembler()
    frames = [bytes([number]) * FRAME_BYTES for number in range(4)]
    for number, frame in enumerate(frames):
        tape.push(frame, 7.0 + number * 0.02)
    assert tape.take() == b"".join(frames)
    assert tape.take() == b""
    assert tape.frames == 4


def test_what_the_clock_left_out_is_silence():
    tape = TrackAssembler()
    for number in range(WINDOW_FRAMES):
        tape.push(SOUND, number * 0.02)
    for number in range(WINDOW_FRAMES, 2 * WINDOW_FRAMES):
        tape.push(SOUND, number * 0.02 + 5.0)
    assert tape.frames == 2 * WINDOW_FRAMES + 250
    assert tape.take().count(SILENCE) == 250


def test_a_late_frame_is_no_gap():
    tape = TrackAssembler()
    for number in range(10 * WINDOW_FRAMES):
        tape.push(SOUND, number * 0.02 + (0.019 if number % 7 == 0 else 0.0))
    assert tape.frames == 10 * WINDOW_FRAMES


def test_frames_that_are_made_up_for_in_one_go_are_no_gap():
    tape = TrackAssembler()
    for number in range(0, 6 * WINDOW_FRAMES, 3):
        for _ in range(3):
            tape.push(SOUND, (number + 2) * 0.02)
    assert tape.frames == 6 * WINDOW_FRAMES


def test_a_first_frame_that_came_late_does_not_hide_a_gap():
    tape = TrackAssembler()
    for _ in range(3):
        tape.push(SOUND, 0.059)
    for number in range(3, SETTLING_FRAMES):
        tape.push(SOUND, number * 0.02)
    for number in range(SETTLING_FRAMES + 1, SETTLING_FRAMES + 1 + WINDOW_FRAMES):
        tape.push(SOUND, number * 0.02)
    assert tape.frames == SETTLING_FRAMES + 1 + WINDOW_FRAMES


def test_the_end_fills_what_is_missing_by_then():
    tape = TrackAssembler()
    tape.push(SOUND, 0.0)
    for number in range(1, WINDOW_FRAMES + 3):
        tape.push(SOUND, number * 0.02 + (0.2 if number >= WINDOW_FRAMES else 0.0))
    tape.finish()
    assert tape.frames == WINDOW_FRAMES + 3 + 10


def test_a_tape_without_a_frame_ends_empty():
    tape = TrackAssembler()
    tape.finish()
    assert (tape.frames, tape.take()) == (0, b"")


def test_a_tape_that_nobody_empties_stops():
    tape = TrackAssembler()
    for number in range(MAX_WAITING + 5):
        tape.push(SOUND, number * 0.02)
    assert tape.overrun
    assert len(tape.take()) == MAX_WAITING * FRAME_BYTES
    tape.push(SOUND, 99.0)
    assert tape.take() == b""


def test_a_gap_of_minutes_is_filled_half_a_second_at_a_time():
    tape = TrackAssembler()
    tape.push(SOUND, 0.0)
    written = 0
    for number in range(1, 30 * WINDOW_FRAMES):
        tape.push(SOUND, number * 0.02 + 60.0)
        written += len(tape.take())
    assert written <= tape.frames * FRAME_BYTES
    assert tape.frames == 30 * WINDOW_FRAMES + 3000


@pytest.mark.parametrize("seed", range(5))
def test_however_the_clock_stumbles_the_length_stays_within_a_frame_of_the_time(seed):
    chance = random.Random(seed)
    tape, due, now = TrackAssembler(), 0.0, 0.0
    for _ in range(20_000):
        now = max(now, due + chance.random() ** 4 * 0.018)
        if chance.random() < 0.003:
            now += chance.random() * 0.4
        owed = int((now - due) / 0.02) + 1
        for _ in range(min(owed, 3)):
            tape.push(SOUND, now)
        due += owed * 0.02
        tape.take()
        if chance.random() < 0.001:
            tape.finish()
            assert abs(tape.frames * 0.02 - due) <= 0.6  # gaps of the last half second
    for _ in range(2 * WINDOW_FRAMES):
        tape.push(SOUND, due)
        due += 0.02
    tape.finish()
    assert abs(tape.frames * 0.02 - due) <= 0.0201
