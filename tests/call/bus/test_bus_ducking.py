"""The bus: voices that are lowered under what is heard beside them."""

import numpy as np
import pytest

from bridge.audio.ducking import FALL_FRAMES, RISE_FRAMES
from bridge.call.bus.bus import Bus
from bridge.call.model import Cadence, DeliveryPath, LegId
from tests.support.sound.voice import ANN, FAR, Voice, pcm

JINGLE, TAPE = LegId("jingle"), LegId("tape")


class Stage:
    """A far party, Ann beside it, and a jingle that leaves a quarter of her."""

    def __init__(self, *, timed=False, passthrough=False):
        self.paces = 0
        self.bus = Bus(cadence_changed=self._count)
        self.far = Voice(passthrough=passthrough)
        self.ann = Voice(timed=timed, passthrough=passthrough, says=None if timed else pcm(8000))
        self.jingle = Voice(timed=False, says=pcm(100))
        self.tape = Voice(always_clocked=True)
        self.bus.join(FAR, self.far.source, self.far, duckable=False)
        self.bus.join(ANN, self.ann.source, self.ann)
        self.bus.join(TAPE, self.tape.source, self.tape, batched=True)
        self.bus.join(JINGLE, self.jingle.source, Voice(), ducking_gain=0.25)
        self.now = 0.0

    def _count(self):
        self.paces += 1

    def route(self, far=(ANN, JINGLE), **more):
        rows = {FAR: far} | {LegId(name): row for name, row in more.items()}
        self.bus.route({leg: frozenset(row) for leg, row in rows.items()}, self.now)

    def tick(self, count=1):
        for _ in range(count):
            self.now += 0.02
            if self.ann.timed:
                self.ann.speak(8000, self.now)
            self.bus.tick(self.now)


@pytest.fixture
def stage():
    return Stage()


def last(voice):
    return int(np.frombuffer(voice.heard[-1].pcm, np.int16)[-1])


def test_a_voice_is_lowered_while_a_source_that_wants_it_speaks(stage):
    stage.route()
    stage.tick(FALL_FRAMES)
    assert last(stage.far) == 2000 + 100


def test_it_is_as_loud_as_before_while_that_source_is_silent(stage):
    stage.jingle.says = None
    stage.route()
    stage.tick(FALL_FRAMES)
    assert stage.far.heard[-1].pcm == pcm(8000)


def test_it_comes_back_when_that_source_falls_silent(stage):
    stage.route()
    stage.tick(FALL_FRAMES)
    stage.jingle.says = None
    stage.tick(RISE_FRAMES)
    assert last(stage.far) == 8000


def test_it_comes_back_without_a_step_when_that_source_leaves(stage):
    stage.route()
    stage.tick(FALL_FRAMES)
    stage.bus.leave(JINGLE, stage.now)
    stage.tick(RISE_FRAMES)
    heard = np.frombuffer(b"".join(frame.pcm for frame in stage.far.heard[FALL_FRAMES:]), np.int16)
    assert heard[0] == pytest.approx(2000, abs=5)
    assert np.abs(np.diff(heard.astype(int))).max() <= 4
    assert heard[-1] == 8000


def test_who_does_not_hear_that_source_hears_the_voice_as_it_is(stage):
    stage.route(tape=(ANN,))
    stage.tick(FALL_FRAMES)
    assert stage.tape.heard[-1].pcm == pcm(8000)


def test_a_recorder_of_what_the_far_party_is_sent_hears_the_same(stage):
    stage.route(tape=(ANN, JINGLE))
    stage.tick(20)
    stage.bus.leave(JINGLE, stage.now)
    stage.tick(5)
    assert [one.pcm for one in stage.tape.heard] == [one.pcm for one in stage.far.heard]


def test_the_far_partys_own_voice_is_never_lowered(stage):
    stage.bus.leave(FAR, stage.now)
    far = Voice(timed=False, says=pcm(500))
    stage.bus.join(FAR, far.source, stage.far, duckable=False)
    stage.route(tape=(ANN, JINGLE, FAR))
    stage.tick(FALL_FRAMES)
    assert last(stage.tape) == 2000 + 100 + 500


def test_two_such_sources_do_not_lower_each_other_and_the_lower_gain_counts(stage):
    other = LegId("other")
    stage.bus.join(other, Voice(timed=False, says=pcm(30)).source, Voice(), ducking_gain=0.5)
    stage.route((ANN, JINGLE, other))
    stage.tick(FALL_FRAMES)
    assert last(stage.far) == 2000 + 100 + 30


def test_a_sink_leaves_the_clock_once_voices_are_back():
    stage = Stage(timed=True)
    stage.bus.leave(TAPE, stage.now)
    stage.route()
    stage.tick(20)
    stage.bus.leave(JINGLE, stage.now)
    assert stage.bus.path(FAR) is DeliveryPath.CLOCK
    stage.tick(RISE_FRAMES)
    assert stage.bus.path(FAR) is DeliveryPath.PCM
    assert stage.bus.cadence is Cadence.NEVER
    assert stage.paces == 1


def test_packets_are_relayed_again_after_that():
    stage = Stage(timed=True, passthrough=True)
    stage.route()
    stage.tick(20)
    stage.bus.leave(JINGLE, stage.now)
    stage.tick(RISE_FRAMES)
    stage.now += 20.0
    stage.ann.speak(8000, stage.now)
    assert stage.bus.path(FAR) is DeliveryPath.PASSTHROUGH


def test_a_recorder_is_served_seldom_again_after_that():
    stage = Stage(timed=True)
    stage.route(tape=(ANN, JINGLE))
    stage.tick(20)
    stage.bus.leave(JINGLE, stage.now)
    assert stage.bus.cadence is Cadence.EVERY_FRAME  # not seldom, for now
    stage.tick(RISE_FRAMES)
    assert stage.bus.cadence is Cadence.BATCHED


def test_a_sink_that_hears_nobody_any_more_is_off_the_clock_at_once():
    stage = Stage(timed=True)
    stage.bus.leave(TAPE, stage.now)
    stage.route()
    stage.tick(20)
    stage.route(())
    assert stage.bus.path(FAR) is None
    assert stage.bus.cadence is Cadence.NEVER
