"""Independent WebRTC stacks call the contact that echoes and hear what they said.

They also offer video and data, which the bridge rejects: before the sound or after it, in one
bundle or each with a transport of its own.
"""

import asyncio

import numpy as np
import pytest

from bridge.audio.frame import SAMPLE_RATE
from bridge.audio.opus import Decoder
from tests.stacks.caller import STACKS, call
from tests.support.bridge_peer import opus
from tests.support.inprocess import running

ECHO = "15550100001"
TONE = 440.0
LAST, FIRST = ("audio", "video", "data"), ("video", "audio", "data")
"""What is offered beside sound comes after it, or before."""


def strongest(payloads):
    """Return the loudest frequency, and its amplitude from 0 to 1."""
    decoder = Decoder(opus())
    sound = np.frombuffer(b"".join(map(decoder.decode, payloads)), "<i2")[SAMPLE_RATE // 10 :]
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) * 4 / len(sound) / 32768
    loudest = int(np.argmax(spectrum))
    return loudest * SAMPLE_RATE / len(sound), float(spectrum[loudest])


def without_bundle(exchange):
    """Let the offer name no group, as of a peer that cannot bundle."""

    async def stripped(offer):
        lines = offer.splitlines()
        kept = [line for line in lines if not line.startswith(("a=group:", "a=bundle-only"))]
        return await exchange("\r\n".join(kept) + "\r\n")

    return stripped


@pytest.mark.call
@pytest.mark.parametrize(
    ("lines", "bundled"), [(FIRST, True), (LAST, False)], ids=["first", "last, unbundled"]
)
@pytest.mark.parametrize("stack", STACKS)
async def test_a_stack_that_offers_more_than_sound_hears_itself(stack, lines, bundled, tmp_path):
    if lack := STACKS[stack][1]():
        pytest.skip(lack)
    webrtcbin = stack == "webrtcbin"
    async with running() as client:
        exchange = client.exchange(await client.dial(ECHO))
        heard = await call(
            stack,
            lines,
            exchange if bundled or webrtcbin else without_bundle(exchange),
            tmp_path,
            bundle=("max-bundle" if bundled else "none") if webrtcbin else "",
        )
    frequency, amplitude = await asyncio.to_thread(strongest, heard)
    assert frequency == pytest.approx(TONE, abs=10)
    assert amplitude > 0.05
