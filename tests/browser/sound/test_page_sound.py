"""What a person hears at the page, in a real Chromium whose microphone is a speech file."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pytest
from playwright.async_api import expect
from pystoi import stoi

from tests.browser.stage.chromium import RATE, SPEECH, Recording, Sound, Visitor, record
from tests.browser.stage.speech import VoiceDetector, delays, level, read, scores

pytestmark = pytest.mark.browser

ECHO, TALKER = "15550100001", "15550100002"
TALK = Path(__file__).parents[3] / "bridge" / "legs" / "simulator_speech.wav"


async def judged(
    visitor: Visitor,
    judge: VoiceDetector,
    original: Path,
    *,
    seconds: float,
    enough: float,
    heard: Recording | None = None,
) -> float:
    """Record until it is good enough, six times at most, and return the best score.

    Chromium plays without a sound card on a timer of its own: while something else takes the
    machine its jitter buffer tears the sound, which says nothing about the bridge.

    Args:
        visitor: In a call.
        judge: Compares the original with what was received.
        original: What was said.
        seconds: Length of the pieces that are compared.
        enough: A score that ends it.
        heard: The first recording, if there is one.
    """
    best = 0.0
    for _ in range(6):
        heard = heard or await record(visitor.page, 9)
        best = max(best, median(scores(judge, read(original), heard.received, seconds=seconds)))
        if best > enough:
            break
        heard = None
    return best


def intelligibility(original: Sound, copy: Sound) -> float:
    return float(stoi(original, copy, RATE))


async def echo_delay(visitor: Visitor, heard: Recording) -> float:
    """Return how late the echo is without the page's jitter buffer, in the first recording in which that is soon.

    After each pause of its own threads Chromium buffers as much as it has paused, for a quarter of a minute or
    longer; it says how much, and that is not the bridge's.
    """
    late = []
    for _ in range(6):
        # What seems to come before it is said is torn, and likened to another word.
        found = [delay for delay in delays(heard.microphone, heard.received) if delay > 0]
        late.append(median(found) - heard.buffered if found else 9.0)
        if late[-1] < 0.4:
            break
        heard = await record(visitor.page, 9)
    return late[-1]


@pytest.mark.quick
async def test_the_echo_of_a_voice_is_soon_as_loud_and_can_be_understood(visitor: Visitor):
    await visitor.call(ECHO)
    await asyncio.sleep(3)  # the jitter buffer settles

    heard = await record(visitor.page, 9)
    score = await judged(visitor, intelligibility, SPEECH, seconds=1.5, enough=0.95, heard=heard)

    # Both ways through Opus, the bridge and Chromium's jitter buffer. Talk suffers from 400 ms on (ITU-T G.114).
    assert await echo_delay(visitor, heard) < 0.4
    # Nothing on the way may change the level: a step of 6 dB is a factor of two somewhere.
    assert abs(level(heard.received) - level(heard.microphone)) < 3
    # 1 is the file itself; two codings by Opus leave 0.98 or more, the loss of a tenth 0.93.
    assert score > 0.95
    assert visitor.complaints == []


@pytest.mark.full
@pytest.mark.pesq
async def test_the_echo_of_a_voice_is_of_telephone_quality(visitor: Visitor):
    from pesq import pesq

    def opinion(original: Sound, copy: Sound) -> float:
        return float(pesq(RATE, original, copy, "wb"))

    await visitor.call(ECHO)
    await asyncio.sleep(3)

    score = await judged(visitor, opinion, SPEECH, seconds=3, enough=2.5)

    # Two codings by Opus leave about 3.2; one coding and 3 % of concealed loss 2.4.
    assert score > 2.5


@pytest.mark.full
async def test_the_talking_contact_can_be_understood(visitor: Visitor):
    await visitor.call(TALKER)
    await asyncio.sleep(3)

    assert await judged(visitor, intelligibility, TALK, seconds=1.5, enough=0.95) > 0.95


async def until_level(visitor: Visitor, wanted: Callable[[float], bool]) -> None:
    """Listen a second at a time: what a jitter buffer that grew on a busy machine holds is played first."""
    levels = []
    for _ in range(30):
        levels.append(level((await record(visitor.page, 1)).received))
        if wanted(levels[-1]):
            return
    raise AssertionError(f"the levels were {levels}")


@pytest.mark.quick
async def test_mute_stops_the_echo_and_unmute_brings_it_back(visitor: Visitor):
    await visitor.call(ECHO)
    mute = visitor.see("mute")
    await until_level(visitor, lambda heard: heard > -40)

    await mute.click()
    await expect(mute).to_have_attribute("aria-pressed", "true")
    await until_level(visitor, lambda heard: heard < -65)
    assert level((await record(visitor.page, 3)).received) < -65
    # Silence is no damage; a busy machine, which may be, is so for a while.
    await expect(visitor.see("verdict")).not_to_have_text("Poor", timeout=60_000)

    await mute.click()
    await expect(mute).to_have_attribute("aria-pressed", "false")
    await until_level(visitor, lambda heard: heard > -40)
