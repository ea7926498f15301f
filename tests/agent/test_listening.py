"""When an agent pauses, lowers its voice and stops."""

from typing import Any

import pytest

from bridge.agent.listening import ASK_FRAMES, Heard, Listener
from bridge.agent.speech_queue import SpeechQueue
from bridge.audio.detect.level import level
from bridge.audio.detect.overlap import OverlapChange, OverlapKind
from bridge.audio.frame import SILENCE
from bridge.settings.agent import Agent
from tests.support.sound.agent_talk import SPOKEN, VOICE

INTERRUPTION, BACKCHANNEL = OverlapKind.INTERRUPTION, OverlapKind.BACKCHANNEL


class Overlaps:
    """A classifier that has been told what to find, and when."""

    def __init__(self, kind, after=10):
        self._kind, self._after = kind, after
        self.age = 0
        self.overlapping = self.lasting = False
        self.kind = None

    def push(self, pcm, vad, *, loud, bot):
        begins = loud and bot and not self.overlapping
        self.overlapping = self.overlapping or begins
        self.age += self.overlapping
        self.kind = self._kind if self.age >= self._after else None
        return OverlapChange.BEGUN if begins else None

    def restart(self, vad):
        self.overlapping = True


class Scene:
    """A listener whose agent speaks."""

    def __init__(self, kind=None, *, mode="meant", ask=None):
        self.speech = SpeechQueue()
        asked = {} if ask is None else {"ask": ask}
        self.listener = Listener(Agent(interruptions=mode), self.speech, **asked)
        if kind is not None:
            overlaps: Any = Overlaps(kind, after=10 if ask is None else 17)
            self.listener.overlaps = overlaps
        self.speech.fill(SPOKEN * 10)
        self.push(SILENCE, 5)

    def push(self, pcm, count, *, busy=True):
        """Let time pass; return what was heard, and how loud the agent was in the end."""
        found = []
        said = None
        for _ in range(count):
            said = self.speech.pull()
            found.append(self.listener.push(pcm, busy=busy))
        return [one for one in found if one], -127 if said is None else level(said)


def test_any_voice_interrupts_where_any_does():
    heard, _ = Scene(mode="any").push(VOICE, 5)
    assert heard == [Heard.INTERRUPTS]


def test_an_agent_lowers_its_voice_until_it_knows_what_is_meant():
    scene = Scene(BACKCHANNEL)
    _, before = scene.push(SILENCE, 1)
    heard, softly = scene.push(VOICE, 9)
    assert heard == []
    assert softly == pytest.approx(before - 12, abs=1)
    _, after = scene.push(SILENCE, 20)
    assert after == pytest.approx(before, abs=0.5)


def test_nothing_is_lost_for_a_backchannel():
    scene = Scene(BACKCHANNEL)
    before = scene.speech.played_seconds
    scene.push(VOICE, 12)
    scene.push(SILENCE, 40)
    assert scene.speech.played_seconds == pytest.approx(before + 52 * 0.02)


def test_a_backchannel_is_no_utterance_to_answer():
    scene = Scene(BACKCHANNEL)
    scene.push(VOICE, 12)
    heard, _ = scene.push(SILENCE, 40)
    assert heard == [Heard.AGREED]
    assert scene.listener.take_utterance()


def test_what_was_said_as_the_agent_ended_is_an_answer():
    scene = Scene(BACKCHANNEL)
    scene.push(VOICE, 12)
    scene.speech.clear()
    heard, _ = scene.push(SILENCE, 40, busy=False)
    assert heard == [Heard.ENDED]


def test_an_interruption_stops_the_agent_once_it_is_known():
    scene = Scene(INTERRUPTION)
    assert scene.push(VOICE, 9)[0] == []
    assert scene.push(VOICE, 1)[0] == [Heard.INTERRUPTS]
    scene.push(VOICE, 10)
    assert scene.push(SILENCE, 40)[0] == [Heard.ENDED]


def test_who_goes_on_speaking_is_listened_to_whatever_it_sounds_like():
    scene = Scene(OverlapKind.NOISE)
    assert scene.push(VOICE, 60)[0] == [Heard.INTERRUPTS]


def test_who_speaks_while_the_agent_thinks_interrupts_at_once():
    scene = Scene(BACKCHANNEL)
    scene.speech.clear()
    scene.push(SILENCE, 30)
    assert scene.push(VOICE, 5)[0] == [Heard.INTERRUPTS]


def test_who_interrupts_while_others_already_speak_is_heard():
    scene = Scene(INTERRUPTION)
    scene.speech.clear()
    scene.push(SILENCE, 30)
    scene.push(VOICE, 5)
    scene.speech.fill(SPOKEN * 10)
    assert scene.push(VOICE, 9)[0] == []
    assert scene.push(VOICE, 9)[0] == [Heard.INTERRUPTS]


class Detector:
    """The operator's, which answers when it is told to."""

    def __init__(self):
        self.sent = []

    def __call__(self, pcm, answered):
        self.sent.append(pcm)
        self.answer = answered
        return True


def test_the_operators_detector_is_asked_once_and_has_the_word():
    detector = Detector()
    scene = Scene(INTERRUPTION, ask=detector)
    assert scene.push(VOICE, 20)[0] == []
    [sent] = detector.sent
    assert len(sent) == 640 * (5 + ASK_FRAMES)
    detector.answer(BACKCHANNEL)
    assert scene.push(VOICE, 5)[0] == []
    assert scene.push(SILENCE, 40)[0] == [Heard.AGREED]


def test_without_its_answer_the_built_in_classifier_decides():
    detector = Detector()
    scene = Scene(INTERRUPTION, ask=detector)
    scene.push(VOICE, 20)
    detector.answer(None)
    assert scene.push(VOICE, 1)[0] == [Heard.INTERRUPTS]
