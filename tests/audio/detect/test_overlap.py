"""When overlaps begin and end, and when they are decided."""

import numpy as np
import pytest

from bridge.audio.detect.overlap import (
    DECISION_FRAMES,
    END_FRAMES,
    LASTING_FRAMES,
    TALKING_FRAMES,
    OverlapChange,
    OverlapDetector,
    OverlapKind,
)
from bridge.audio.detect.vad import Vad

HISS = np.random.default_rng(1).normal(0, 5, 320)
DECIDED = DECISION_FRAMES[-1]
"""When an overlap is known that seemed to be no interruption."""
QUIET = HISS.astype("<i2").tobytes()


def voice(count, pitch=150, loud=2000):
    """Return so many frames of a voice."""
    at = np.arange(320 * count) / 16000
    wave = sum(np.sin(2 * np.pi * pitch * number * at) / number for number in range(1, 8))
    pcm = (loud * wave + np.resize(HISS, len(at))).astype("<i2").tobytes()
    return [pcm[start : start + 640] for start in range(0, len(pcm), 640)]


def drill(count):
    noise = np.random.default_rng(2).normal(0, 2000, 320 * count).astype("<i2").tobytes()
    return [noise[start : start + 640] for start in range(0, len(noise), 640)]


class Scene:
    """A caller and a bot; what the caller says sounds like a kind of overlap."""

    def __init__(self, kind=OverlapKind.BACKCHANNEL):
        self.detector, self.vad = OverlapDetector(lambda _: kind), Vad()
        self.push([QUIET] * 120)

    def push(self, frames, *, bot=False):
        """Let both go on; return what changed, with the number of the frame."""
        found = []
        for number, pcm in enumerate(frames, 1):
            loud = self.vad.push(pcm)
            change = self.detector.push(pcm, self.vad, loud=loud, bot=bot)
            if change is not None:
                found.append((number, change))
        return found


@pytest.fixture
def scene():
    made = Scene()
    made.push([QUIET] * 20, bot=True)
    return made


def test_who_speaks_over_a_bot_overlaps_and_is_decided_upon_in_time(scene):
    changes = scene.push(voice(20), bot=True)
    assert changes == [(2, OverlapChange.BEGUN), (DECIDED, OverlapChange.DECIDED)]
    assert scene.detector.kind is OverlapKind.BACKCHANNEL


def test_an_interruption_is_known_as_soon_as_it_is_clear():
    scene = Scene(OverlapKind.INTERRUPTION)
    scene.push([QUIET] * 20, bot=True)
    changes = scene.push(voice(DECIDED), bot=True)
    assert changes[1:] == [(DECISION_FRAMES[0], OverlapChange.DECIDED)]


def test_who_is_far_louder_than_voices_in_the_background_overlaps():
    scene = Scene()
    scene.push(voice(60, loud=500))
    scene.push(voice(30, loud=500), bot=True)
    assert scene.push(voice(2, loud=2000), bot=True) == [(2, OverlapChange.BEGUN)]


def test_an_overlap_ends_with_the_caller(scene):
    scene.push(voice(10), bot=True)
    changes = scene.push([QUIET] * 20, bot=True)
    assert changes[-1] == (END_FRAMES, OverlapChange.ENDED)
    assert scene.detector.ended - scene.detector.began == 10
    assert scene.detector.both == 10
    assert not scene.detector.stopped


def test_an_overlap_ends_with_the_bot(scene):
    scene.push(voice(20), bot=True)
    changes = scene.push(voice(30))
    assert (TALKING_FRAMES, OverlapChange.ENDED) in changes
    assert scene.detector.stopped


def test_a_long_pause_of_the_bot_ends_no_overlap_that_is_not_decided(scene):
    scene.push([QUIET] * (TALKING_FRAMES - 3))
    changes = scene.push(voice(DECIDED + 1))
    assert [change for _, change in changes] == list(OverlapChange)
    assert scene.detector.stopped


def test_who_speaks_while_the_bot_is_silent_does_not_overlap():
    assert Scene().push(voice(30)) == []


def test_who_spoke_before_the_bot_does_not_overlap():
    scene = Scene()
    scene.push(voice(30))
    assert scene.push(voice(30), bot=True) == []


def test_a_click_does_not_overlap(scene):
    assert scene.push([*voice(1), *[QUIET] * 20], bot=True) == []


def test_a_pause_between_sentences_is_still_the_bots_turn(scene):
    scene.push([QUIET] * (TALKING_FRAMES - 3))
    assert scene.push(voice(2)) == [(2, OverlapChange.BEGUN)]


def test_a_voice_that_lasts_is_an_interruption_in_the_end(scene):
    scene.push(voice(LASTING_FRAMES, pitch=100, loud=600), bot=True)
    assert scene.detector.kind is OverlapKind.INTERRUPTION


def test_a_drill_is_no_interruption_however_long_it_lasts(scene):
    scene.push(drill(2 * LASTING_FRAMES), bot=True)
    assert scene.detector.kind is not OverlapKind.INTERRUPTION


def test_one_overlap_may_follow_another(scene):
    for _ in range(2):
        changes = scene.push([*voice(10), *[QUIET] * 20], bot=True)
        assert [change for _, change in changes] == list(OverlapChange)


def test_a_voice_after_a_noise_is_an_overlap_of_its_own(scene):
    scene.push(drill(DECIDED), bot=True)
    assert scene.detector.kind is not OverlapKind.INTERRUPTION
    changes = scene.push(voice(6, loud=9000), bot=True)
    assert [change for _, change in changes] == [OverlapChange.ENDED, OverlapChange.BEGUN]


def test_what_is_far_softer_than_the_caller_is_behind_it():
    scene = Scene()
    scene.push(voice(60, loud=6000))
    scene.push([QUIET] * 20, bot=True)
    assert scene.push(voice(30, loud=300), bot=True) == []


def test_a_voice_detector_may_begin_an_overlap(scene):
    scene.detector.restart(scene.vad)
    assert scene.detector.change is OverlapChange.BEGUN
    assert scene.detector.age == 4
    [*_, (number, decided)] = scene.push(voice(DECIDED), bot=True)
    assert (number, decided) == (DECIDED - 4, OverlapChange.DECIDED)
