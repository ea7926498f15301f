"""A track's time: as long as what passed, whatever the clock that hands over its frames does."""

import random

import pytest

from bridge.audio.file.track_assembler import (
    MAX_BUFFERED,
    START_UP_FRAMES,
    WINDOW_FRAMES,
    AssemblerSnapshot,
    TrackAssembler,
)
from bridge.audio.frame import FRAME_BYTES, SILENCE

SOUND = b"\x01\x02" * (FRAME_BYTES // 2)


def test_frames_lie_in_the_order_in_which_they_came():
    track = TrackAssembler()
    frames = [bytes([number]) * FRAME_BYTES for number in range(4)]
    for number, frame in enumerate(frames):
        track.push(frame, 7.0 + number * 0.02)
    assert track.drain() == b"".join(frames)
    assert track.drain() == b""
    assert track.frames == 4


def test_what_the_clock_left_out_is_silence():
    track = TrackAssembler()
    for number in range(WINDOW_FRAMES):
        track.push(SOUND, number * 0.02)
    for number in range(WINDOW_FRAMES, 2 * WINDOW_FRAMES):
        track.push(SOUND, number * 0.02 + 5.0)
    assert track.frames == 2 * WINDOW_FRAMES + 250
    assert track.drain().count(SILENCE) == 250


def test_a_late_frame_is_no_gap():
    track = TrackAssembler()
    for number in range(10 * WINDOW_FRAMES):
        track.push(SOUND, number * 0.02 + (0.019 if number % 7 == 0 else 0.0))
    assert track.frames == 10 * WINDOW_FRAMES


def test_frames_that_are_made_up_for_in_one_go_are_no_gap():
    track = TrackAssembler()
    for number in range(0, 6 * WINDOW_FRAMES, 3):
        for _ in range(3):
            track.push(SOUND, (number + 2) * 0.02)
    assert track.frames == 6 * WINDOW_FRAMES


def test_a_first_frame_that_came_late_does_not_hide_a_gap():
    track = TrackAssembler()
    for _ in range(3):
        track.push(SOUND, 0.059)
    for number in range(3, START_UP_FRAMES):
        track.push(SOUND, number * 0.02)
    for number in range(START_UP_FRAMES + 1, START_UP_FRAMES + 1 + WINDOW_FRAMES):
        track.push(SOUND, number * 0.02)
    assert track.frames == START_UP_FRAMES + 1 + WINDOW_FRAMES


def test_the_end_fills_what_is_missing_by_then():
    track = TrackAssembler()
    track.push(SOUND, 0.0)
    for number in range(1, WINDOW_FRAMES + 3):
        track.push(SOUND, number * 0.02 + (0.2 if number >= WINDOW_FRAMES else 0.0))
    track.fill()
    assert track.frames == WINDOW_FRAMES + 3 + 10


def test_a_tape_without_a_frame_ends_empty():
    track = TrackAssembler()
    track.fill()
    assert (track.frames, track.drain()) == (0, b"")


def test_a_tape_that_nobody_empties_stops():
    track = TrackAssembler()
    for number in range(MAX_BUFFERED + 5):
        track.push(SOUND, number * 0.02)
    assert track.overrun
    assert len(track.drain()) == MAX_BUFFERED * FRAME_BYTES
    track.push(SOUND, 99.0)
    assert track.drain() == b""


def test_a_gap_of_minutes_is_filled_half_a_second_at_a_time():
    track = TrackAssembler()
    track.push(SOUND, 0.0)
    written = 0
    for number in range(1, 30 * WINDOW_FRAMES):
        track.push(SOUND, number * 0.02 + 60.0)
        written += len(track.drain())
    assert written <= track.frames * FRAME_BYTES
    assert track.frames == 30 * WINDOW_FRAMES + 3000


@pytest.mark.parametrize("seed", range(5))
def test_however_the_clock_stumbles_the_length_stays_within_a_frame_of_the_time(seed):
    chance = random.Random(seed)
    track, due, now = TrackAssembler(), 0.0, 0.0
    for _ in range(20_000):
        now = max(now, due + chance.random() ** 4 * 0.018)
        if chance.random() < 0.003:
            now += chance.random() * 0.4
        owed = int((now - due) / 0.02) + 1
        for _ in range(min(owed, 3)):
            track.push(SOUND, now)
        due += owed * 0.02
        track.drain()
        if chance.random() < 0.001:
            track.fill()
            assert abs(track.frames * 0.02 - due) <= 0.6  # gaps of the last half second
    for _ in range(2 * WINDOW_FRAMES):
        track.push(SOUND, due)
        due += 0.02
    track.fill()
    assert abs(track.frames * 0.02 - due) <= 0.0201


def test_frames_that_were_leapt_over_count_and_are_not_buffered():
    track = TrackAssembler(AssemblerSnapshot(frames=50, start=0.1))
    assert track.seconds == pytest.approx(1.1)
    assert track.leap(61.115) == 3000
    assert (track.frames, track.drain()) == (3050, b"")
    assert track.leap(61.0) == 0
    track.push(SOUND, 61.115)
    track.fill()
    assert (track.frames, track.drain()) == (3051, SOUND)
