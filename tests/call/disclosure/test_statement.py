"""A disclosure as it is said: to its end, and again if somebody spoke over it."""

import numpy as np

from bridge.audio.frame import FRAME_BYTES, FRAME_SECONDS
from bridge.call.disclosure.statement import INTERRUPTING_SECONDS, MAX_PAUSE_SECONDS, Statement

PCM = b"\x01\x00" * (FRAME_BYTES // 2) * 100
SILENCE = bytes(FRAME_BYTES)


def noise(dbov: float) -> bytes:
    random = np.random.default_rng(1)
    return (random.normal(0, 32768 * 10 ** (dbov / 20), 320)).astype("<i2").tobytes()


LOUD, SOFT = noise(-20), noise(-60)


class Spoken:
    """A disclosure that is said to somebody."""

    def __init__(self, pcm: bytes = PCM) -> None:
        self.statement = Statement(pcm)
        self.now = 0.0
        self.said: list[bytes] = []

    def pass_time(self, seconds: float, hears: bytes = SILENCE) -> int:
        """Return how many frames were said."""
        before = len(self.said)
        for _ in range(round(seconds / FRAME_SECONDS)):
            self.now += FRAME_SECONDS
            self.statement.hear(hears, self.now)
            if (frame := self.statement.pull(self.now)) is not None:
                self.said.append(frame)
        return len(self.said) - before


def test_it_is_said_once_to_somebody_who_is_silent():
    spoken = Spoken()
    assert spoken.pass_time(3.0) == 100
    assert b"".join(spoken.said) == PCM
    assert spoken.statement.over
    assert not spoken.statement.interrupted
    assert round(spoken.statement.ended - spoken.statement.began, 2) == 2.0


def test_the_last_frame_is_filled_up():
    spoken = Spoken(b"\x01\x00" * 10)
    spoken.pass_time(0.1)
    assert spoken.said == [(b"\x01\x00" * 10).ljust(FRAME_BYTES, b"\0")]


def test_it_is_over_only_after_its_last_frame():
    spoken = Spoken()
    spoken.pass_time(2.0)
    assert not spoken.statement.over


def test_speech_over_it_stops_it_and_it_is_said_from_its_beginning_after_a_pause():
    spoken = Spoken()
    spoken.pass_time(0.5)
    cut = spoken.pass_time(1.0, LOUD)
    assert cut < 25 + INTERRUPTING_SECONDS / FRAME_SECONDS
    assert spoken.statement.interrupted
    assert spoken.pass_time(3.5) == 100
    assert spoken.statement.over
    assert spoken.statement.began > 1.5


def test_a_second_time_it_is_said_over_whoever_speaks():
    spoken = Spoken()
    spoken.pass_time(0.5)
    spoken.pass_time(0.6, LOUD)
    spoken.pass_time(1.0)
    before = len(spoken.said)
    spoken.pass_time(3.0, LOUD)
    assert spoken.statement.over
    assert len(spoken.said) > before
    assert b"".join(spoken.said[-100:]) == PCM


def test_somebody_who_goes_on_speaking_is_told_after_some_seconds():
    spoken = Spoken()
    spoken.pass_time(0.5)
    spoken.pass_time(MAX_PAUSE_SECONDS + 3.0, LOUD)
    assert spoken.statement.over


def test_a_short_word_and_an_echo_do_not_interrupt_it():
    spoken = Spoken()
    spoken.pass_time(0.5)
    spoken.pass_time(0.2, LOUD)
    spoken.pass_time(1.0, SOFT)
    assert not spoken.statement.interrupted
