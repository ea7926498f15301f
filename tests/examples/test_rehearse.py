"""The bot of examples/rehearse, alone: what it says to what it hears. tests/rehearse has it in calls."""

import numpy as np
import pytest

from tests.support.servers.rehearsal_bots import Bot, speech

pytestmark = pytest.mark.espeak

RATE = 8000
FRAME = RATE // 50


class Call:
    """A conversation, and what it says."""

    def __init__(self):
        self.bot = Bot(RATE)
        self.said: list[int] = []
        """How long each thing is that it says, in samples."""
        self.cuts = 0
        self._add = self.bot.queue.add
        self.bot.queue.add = self._say

    def _say(self, pcm):
        self.said.append(len(pcm))
        self._add(pcm)

    def hear(self, pcm):
        """Hear some audio, followed by nothing; return how much was sent meanwhile."""
        sent = 0
        for at in range(0, len(pcm) - FRAME + 1, FRAME):
            self.bot.hear(pcm[at : at + FRAME])
            sent += len(self.bot.queue.due())
            self.cuts += self.bot.queue.cut
            self.bot.queue.cut = False
        return sent

    def hear_silence(self, seconds):
        return self.hear(np.zeros(int(seconds * RATE), np.int16))

    def hear_words(self, text):
        return self.hear(speech.spoken(text, RATE))

    def greeted(self):
        self.bot.greet()
        self.hear_silence(3)
        self.said.clear()
        return self


def length(text):
    return len(speech.spoken(text, RATE))


def test_the_greeting_is_sent_whole_and_hardly_before_it_is_due():
    call = Call()
    call.bot.greet()

    first, rest = call.hear_silence(1), call.hear_silence(3)
    assert first <= 1.6 * RATE
    assert first + rest == length(Bot.GREETING)
    assert call.said == [length(Bot.GREETING)]


def test_a_question_is_answered_half_a_second_after_its_end():
    call = Call().greeted()

    call.hear_words("When are you open?")
    call.hear_silence(0.4)
    assert call.said == []
    call.hear_silence(0.2)
    assert call.said == [length(Bot.ANSWERS[0])]


def test_an_mm_hm_does_not_stop_it_and_is_not_answered():
    call = Call().greeted()
    call.bot.answer()
    call.hear_silence(0.3)

    call.hear_words("uh-huh")
    call.hear_silence(2)
    assert call.cuts == 0
    assert len(call.said) == 1


def test_an_interruption_stops_it_and_is_answered():
    call = Call().greeted()
    call.bot.answer()
    call.hear_silence(0.3)

    call.hear_words("Wait, I have another question for you.")
    assert call.cuts == 1
    assert not call.bot.queue.speaking
    call.hear_silence(0.6)
    assert call.said[1:] == [length(Bot.ANSWERS[1])]


def test_keys_are_read_back_together():
    call = Call().greeted()

    call.bot.press("4")
    call.hear_silence(0.7)
    call.bot.press("2")
    call.hear_silence(1.2)
    assert call.said == [length("You pressed 4 2.")]


def test_it_hangs_up_when_its_last_word_was_heard():
    call = Call().greeted()

    call.bot.press("*")
    call.hear_silence(length(Bot.LAST) / RATE)
    assert not call.bot.over
    call.hear_silence(0.4)
    assert call.bot.over


def test_a_silent_caller_is_asked_once_and_then_left():
    call = Call().greeted()

    call.hear_silence(8)
    assert call.said == [length(Bot.REMINDER)]
    call.hear_silence(9)
    assert call.said[1:] == [length(Bot.LAST)]
    assert call.bot.over


def test_noise_behind_the_caller_is_no_speech():
    call = Call()
    noise = np.random.default_rng(7).normal(0, 300, 12 * RATE).astype(np.int16)

    call.hear(noise[: 3 * RATE])
    call.hear(noise)
    assert call.bot.answered == 0


def test_mu_law_keeps_a_voice():
    pcm = np.arange(-32_000, 32_000, 7, dtype=np.int16)
    error = np.abs(speech.from_mulaw(speech.to_mulaw(pcm)).astype(int) - pcm)

    assert (error <= np.maximum(8, np.abs(pcm.astype(int)) // 16)).all()
