"""The meter of one bot, frame by frame."""

import numpy as np

from bridge.audio.frame import FRAME_SECONDS, Frame
from bridge.node.turns.meter import TurnMeter

SPEECH = (3000 * np.sin(np.arange(320) * 2 * np.pi * 200 / 16000)).astype("<i2").tobytes()
SILENCE = bytes(640)


class Answers:
    """Notes how long the caller's last words waited for the bot."""

    def __init__(self):
        self.to_bot = []

    def answered(self, _, *, to_bot, queue):
        self.to_bot.append(to_bot)

    def over(self, _):
        pass


def test_the_delay_of_a_caller_who_sends_nothing_any_more_is_the_last_that_was_known():
    now, talks, answers = [0.0], [True], Answers()
    says = {"caller": True, "bot": False}
    meter = TurnMeter(
        lambda: SPEECH if says["bot"] else None,
        lambda _frame, _now: None,
        now=lambda: now[0],
        delay=lambda: 0.1 if talks[0] else 0.0,
        queues=None,
        filling=lambda: False,
        turns=answers,
    )
    for number in range(200):
        now[0] = number * FRAME_SECONDS
        says.update(caller=number < 100, bot=number >= 150)
        talks[0] = number < 110  # then its playout buffer is empty
        meter.push(Frame(SPEECH if says["caller"] else SILENCE, 0, 0), now[0])
        meter.pull()
    assert answers.to_bot == [0.1]
