"""The leg that plays tones to a caller and listens."""

import asyncio

from bridge.audio.frame import FRAME_BYTES, SILENCE, Frame
from bridge.audio.tone import tone
from bridge.call.events import LegConnected
from bridge.call.model import LegId
from bridge.legs.voicemail import VoicemailLeg

LOUD = tone(400.0, 0.02, peak=20000)


def made(spoken: list[float]) -> VoicemailLeg:
    return VoicemailLeg(LegId("leg_1"), on_speech=spoken.append)


def test_a_tone_is_played_once_and_then_reported():
    over: list[bool] = []
    leg = made([])
    leg.play(b"\x01" * (FRAME_BYTES + 2), lambda: over.append(True))
    assert leg.pull() == b"\x01" * FRAME_BYTES
    assert leg.pull() == b"\x01\x01" + bytes(FRAME_BYTES - 2)
    assert not over
    assert leg.pull() is None
    assert leg.pull() is None
    assert over == [True]


def test_a_second_tone_takes_the_place_of_the_first():
    over: list[str] = []
    leg = made([])
    leg.play(b"\x01" * FRAME_BYTES, lambda: over.append("first"))
    leg.play(b"\x02" * FRAME_BYTES, lambda: over.append("second"))
    assert leg.pull() == b"\x02" * FRAME_BYTES
    leg.pull()
    assert over == ["second"]


def test_a_tone_that_is_stopped_is_not_reported():
    over: list[bool] = []
    leg = made([])
    leg.play(LOUD, lambda: over.append(True))
    leg.stop()
    assert leg.pull() is None
    assert not over


def test_speech_is_reported_and_silence_is_not():
    spoken: list[float] = []
    leg = made(spoken)
    leg.push(Frame(SILENCE, 0, 1), 1.0)
    leg.push(Frame(LOUD, 320, 1), 1.02)
    assert spoken == [1.02]


def test_its_figures_are_what_it_played_and_heard():
    leg = made([])
    leg.play(LOUD, lambda: None)
    leg.pull()
    leg.push(Frame(SILENCE, 0, 1), 1.0)
    leg.push(Frame(SILENCE, 320, 1), 1.02)
    figures = leg.statistics()
    assert (figures.received.packets, figures.sent.packets) == (1, 2)


async def test_it_is_connected_at_once_and_lives_until_it_is_cancelled():
    emitted: list[object] = []
    leg = made([])
    task = asyncio.get_running_loop().create_task(leg.run(emitted.append))
    await asyncio.sleep(0)
    assert emitted == [LegConnected(leg.leg_id)]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len(emitted) == 1
