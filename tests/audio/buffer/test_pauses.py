"""Pauses in buffered speech."""

from bridge.audio.buffer.pauses import PAUSE_FRAMES, long_pauses, silent_frames
from bridge.audio.frame import FRAME_BYTES, SILENCE

VOICE = b"\x00\x10" * (FRAME_BYTES // 2)


def test_silent_frames_are_counted_until_the_first_word():
    audio = bytearray(3 * SILENCE + VOICE + SILENCE)
    assert silent_frames(audio) == 3
    assert silent_frames(audio, 3 * FRAME_BYTES) == 0
    assert silent_frames(audio, 4 * FRAME_BYTES) == 1
    assert silent_frames(bytearray(SILENCE[:-2])) == 0


def test_of_long_pauses_100_ms_are_kept_and_short_ones_whole():
    audio = bytearray(VOICE + 8 * SILENCE + VOICE + PAUSE_FRAMES * SILENCE + VOICE + 7 * SILENCE)
    for at, size in long_pauses(audio):
        del audio[at : at + size]
    pause = PAUSE_FRAMES * SILENCE
    assert audio == VOICE + pause + VOICE + pause + VOICE + pause
