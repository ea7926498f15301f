"""Who answers: persons and answering machines, spoken by espeak-ng, over lines of several kinds."""

import shutil

import numpy as np
import pytest

from bridge.audio.detect.answerer import BEEP_SECONDS, DECISION_SECONDS, Answerer, AnswererDetector
from bridge.audio.frame import FRAME_BYTES, SAMPLE_RATE, SILENCE
from tests.support.sound.greetings import GREETINGS, VARIANTS, heard

speaks = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng")
FEW = ("Hello?", "Yes, Anna speaking.", "Schmidt, guten Tag.", "Leave a message.", "Hi, you've")


def found_in(pcm):
    """Return all that a detector finds."""
    detector = AnswererDetector()
    frames = range(0, len(pcm) - FRAME_BYTES + 1, FRAME_BYTES)
    found = [detector.push(pcm[at : at + FRAME_BYTES]) for at in frames]
    return [one for one in found if one is not None]


def murmur(seconds):
    """Return something loud that is no tone."""
    chance = np.random.default_rng(3).standard_normal(round(seconds * SAMPLE_RATE))
    return (4000 * chance).clip(-32768, 32767).astype("<i2").tobytes()


def quiet(seconds):
    return SILENCE * round(seconds * 50)


def beep(hertz=1000, seconds=0.5):
    at = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (8000 * np.sin(2 * np.pi * hertz * at)).astype("<i2").tobytes()


def test_who_says_little_and_waits_is_a_person():
    [found] = found_in(quiet(0.5) + murmur(0.8) + quiet(3))
    assert found.answerer is Answerer.PERSON
    assert found.at == pytest.approx(0.5 + 0.8 + 1.2, abs=0.03)


def test_who_talks_on_is_a_machine():
    [found] = found_in(quiet(0.5) + murmur(1.2) + quiet(0.6) + murmur(3) + quiet(3))
    assert (found.answerer, found.beep_at) == (Answerer.MACHINE, None)
    assert found.at == pytest.approx(0.5 + 2.7, abs=0.1)


def test_who_says_nothing_is_unknown():
    [found] = found_in(quiet(12))
    assert found.answerer is Answerer.UNKNOWN
    assert found.at == pytest.approx(DECISION_SECONDS, abs=0.03)


def test_others_who_talk_softly_in_the_same_room_do_not_count():
    behind = np.frombuffer(murmur(9.0), "<i2") // 8
    voice = quiet(1) + murmur(0.8) + quiet(7.2)
    heard_there = (behind + np.frombuffer(voice, "<i2")).clip(-32768, 32767)
    [found] = found_in(heard_there.astype("<i2").tobytes())
    assert found.answerer is Answerer.PERSON


def test_a_click_is_no_speech():
    [found] = found_in(quiet(1) + murmur(0.04) + quiet(9))
    assert found.answerer is Answerer.UNKNOWN


def test_the_beep_after_a_machines_greeting_is_reported_when_it_is_over():
    first, second = found_in(quiet(0.5) + murmur(5) + quiet(0.5) + beep() + quiet(1))
    assert (first.answerer, first.beep_at) == (Answerer.MACHINE, None)
    assert second.answerer is Answerer.MACHINE
    assert second.beep_at == pytest.approx(0.5 + 5 + 0.5 + 0.5, abs=0.08)


def test_a_beep_alone_is_a_machines():
    [found] = found_in(quiet(1) + beep() + quiet(3))
    assert (found.answerer, found.beep_at is not None) == (Answerer.MACHINE, True)


def test_a_beep_after_an_unknown_answer_is_a_machines():
    unknown, machine = found_in(quiet(12) + beep() + quiet(1))
    assert (unknown.answerer, machine.answerer) == (Answerer.UNKNOWN, Answerer.MACHINE)


@pytest.mark.parametrize("seconds", [0.1, 3.0])
def test_a_tone_of_another_length_is_no_beep(seconds):
    found = found_in(quiet(0.5) + murmur(4) + quiet(0.5) + beep(seconds=seconds) + quiet(1))
    assert [one.beep_at for one in found] == [None]


def test_nothing_is_looked_for_after_the_time_of_beeps():
    detector = AnswererDetector()
    frames = 0
    while not detector.done:
        detector.push(SILENCE)
        frames += 1
    assert frames * 0.02 == pytest.approx(BEEP_SECONDS, abs=0.03)
    assert detector.push(SILENCE) is None


@speaks
@pytest.mark.parametrize(
    "greeting",
    [one for one in GREETINGS if one.voice[:2] in ("en", "de") and one.text.startswith(FEW)],
    ids=lambda one: one.text[:20],
)
def test_a_greeting_is_recognised(greeting):
    pcm, beep_over = heard(greeting, "g711")
    last = found_in(pcm)[-1]
    assert last.answerer == greeting.kind
    assert last.beep_at == (beep_over and pytest.approx(beep_over, abs=0.15))


@speaks
@pytest.mark.long
@pytest.mark.parametrize("variant", VARIANTS)
def test_nearly_all_greetings_are_recognised_over_every_line(variant):
    wrong, beeps, missed = [], 0, 0
    for greeting in GREETINGS:
        pcm, beep_over = heard(greeting, variant, seed=7)
        found = found_in(pcm)
        if not found or found[-1].answerer != greeting.kind:
            wrong.append(greeting.text)
        if beep_over is not None:
            beeps += 1
            at = found[-1].beep_at if found else None
            missed += at is None or abs(at - beep_over) > 0.15
    assert len(GREETINGS) >= 50
    assert len(wrong) <= 0.06 * len(GREETINGS), wrong
    assert missed <= 0.1 * beeps
