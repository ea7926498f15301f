"""What the sound of a bot shows, second by second."""

import numpy as np
import pytest

from bridge.audio.frame import FRAME_SECONDS, SILENCE
from bridge.call.bots.turns import TurnTracker
from bridge.call.diagnosis.bot_sound import BotFigures, BotSound
from tests.support.sound.voices import words

VOICE = words(0, 8.0).astype("<i2").tobytes()
OTHER = words(1, 8.0).astype("<i2").tobytes()


def frames(data: bytes, seconds: float) -> list[bytes | None]:
    size = round(seconds / FRAME_SECONDS)
    return [data[640 * number : 640 * (number + 1)] for number in range(size)]


def nothing(seconds: float) -> list[bytes | None]:
    return [None] * round(seconds / FRAME_SECONDS)


class Heard:
    """A bot and its caller, frame by frame."""

    def __init__(self) -> None:
        self.tracker = TurnTracker()
        self.sound = BotSound(self.tracker)
        self.now = 0.0
        self.figures = BotFigures()

    def play(
        self, said: list[bytes | None], heard: list[bytes | None], *, filler: bool = False
    ) -> BotFigures:
        for mine, theirs in zip(said, heard, strict=True):
            self.tracker.say(mine, self.now, filler=filler)
            self.sound.say(mine, filler=filler)
            self.tracker.hear(theirs or SILENCE, self.now)
            self.sound.hear()
            self.now = round(self.now + FRAME_SECONDS, 6)
            if abs(self.now - round(self.now)) < 1e-6:
                self.figures = self.sound.figures(self.now)
        return self.figures


def test_a_voice_has_a_level_and_no_gaps() -> None:
    figures = Heard().play(frames(VOICE, 5.0), nothing(5.0))
    assert figures.loud_dbov is not None
    assert -30 < figures.loud_dbov < -8
    assert (figures.gaps, figures.overlap_seconds, figures.clipped) == (0, 0.0, 0.0)
    assert figures.is_voice


def test_before_it_has_spoken_there_is_nothing_to_say() -> None:
    figures = Heard().play(nothing(3.0), nothing(3.0))
    assert figures == BotFigures()


def test_words_that_are_cut_by_nothing_are_counted() -> None:
    said = frames(VOICE, 5.0)
    for begin in range(10, 250, 20):
        said[begin : begin + 5] = [None] * 5
    assert Heard().play(said, nothing(5.0)).gaps >= 4


def test_pauses_between_sentences_are_no_gaps() -> None:
    sentence = frames(VOICE, 1.2)
    said = (sentence + nothing(0.8)) * 2 + nothing(1.0)
    assert Heard().play(said, nothing(5.0)).gaps == 0


def test_both_speaking_is_an_overlap() -> None:
    figures = Heard().play(frames(VOICE, 6.0), frames(OTHER, 6.0))
    assert figures.overlap_seconds > 3.0


def test_an_echo_is_found_and_is_no_overlap() -> None:
    said = frames(VOICE, 8.0)
    quiet = [(np.frombuffer(one or SILENCE, "<i2") // 6).astype("<i2").tobytes() for one in said]
    heard: list[bytes | None] = [*nothing(0.24), *quiet][: len(said)]
    figures = Heard().play(said, heard)
    assert figures.echo_seconds == pytest.approx(0.24, abs=0.05)
    assert figures.overlap_seconds == 0.0


def test_two_voices_are_no_echo() -> None:
    assert Heard().play(frames(VOICE, 8.0), frames(OTHER, 8.0)).echo_seconds is None


def test_what_the_caller_says_waits_for_an_answer() -> None:
    call = Heard()
    call.play(nothing(3.0), frames(OTHER, 3.0))
    figures = call.play(nothing(5.0), nothing(5.0))
    assert figures.unanswered_turns == 1
    assert figures.unanswered_seconds == pytest.approx(5.0, abs=1.0)
    assert call.play(frames(VOICE, 2.0), nothing(2.0)).unanswered_seconds is None


def test_a_filler_is_heard_while_the_answer_is_prepared() -> None:
    call = Heard()
    call.play(nothing(3.0), frames(OTHER, 3.0))
    tick: list[bytes | None] = [*frames(VOICE, 4.0)]
    assert call.play(tick, nothing(4.0), filler=True).unanswered_seconds is None


def test_a_short_word_waits_for_nothing() -> None:
    call = Heard()
    call.play(nothing(0.3), frames(OTHER[3200:], 0.3))
    assert call.play(nothing(4.7), nothing(4.7)).unanswered_seconds is None


def test_a_held_call_waits_for_nothing() -> None:
    call = Heard()
    call.play(nothing(3.0), frames(OTHER, 3.0))
    call.play(nothing(4.0), nothing(4.0))
    assert call.sound.figures(call.now, talking=False).unanswered_seconds is None


def test_a_square_wave_clips() -> None:
    square = (32_767 * np.sign(np.sin(np.arange(80_000) / 9))).astype("<i2").tobytes()
    assert Heard().play(frames(square, 2.0), nothing(2.0)).clipped > 0.5


def test_digital_silence_is_counted() -> None:
    said: list[bytes | None] = [bytes(640)] * 100
    assert Heard().play(said, nothing(2.0)).silent_frames == 100
