import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bridge.audio.detect.level import level
from bridge.audio.file.wav import parse_wav
from bridge.audio.frame import FRAME_BYTES, FRAME_SAMPLES, SILENCE, Frame
from bridge.call.bus.ends import TimedSource
from bridge.call.events import (
    DigitReceived,
    LegAnswered,
    LegConnected,
    LegDialled,
    LegEnded,
    LegReported,
    LegRinging,
)
from bridge.call.model import EndReason, LegId, LegKind
from bridge.errors import RemoteProtocolError, Unreachable
from bridge.legs import simulator
from bridge.legs.base import Leg
from bridge.legs.simulator import CONTACTS, ROOM_NOISE, SimulatedContact, parse_speech
from tests.support.sound.wav import wav_file

LEG = LegId("leg")
ECHO, TALK, NEVER, BUSY, REJECT, UNREACHABLE, HANG_UP, SILENT, REPEAT = (
    f"1555010000{digit}" for digit in range(1, 10)
)
RNG = np.random.default_rng(3)
RECORDING = b"".join(RNG.integers(-9000, 9000, FRAME_SAMPLES, np.int16).tobytes() for _ in range(5))
SPEECH = Path(__file__).parents[1] / "support" / "sound" / "speech" / "male_gb.wav"
SHIPPED = Path(simulator.__file__).with_name("simulator_speech.wav")


def contact(number, *, inbound=False):
    return SimulatedContact(LEG, number, inbound=inbound, ring_seconds=0, speech=RECORDING)


class Life:
    """Runs a leg in the background and keeps what it emits."""

    def __init__(self, leg: Leg):
        self.leg = leg
        self.events: list[Any] = []
        self.noted: list[LegReported] = []

    def take(self, event):
        (self.noted if isinstance(event, LegReported) else self.events).append(event)

    async def __aenter__(self):
        self.task = asyncio.create_task(self.leg.run(self.take))
        await self.settle()
        return self

    async def __aexit__(self, *_):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def settle(self):
        for _ in range(10):
            await asyncio.sleep(0)


def frame(pcm, number=0):
    return Frame(pcm, number * FRAME_SAMPLES, "t")


def spoken(seconds=None):
    pcm = parse_wav(SPEECH.read_bytes()).pcm
    frames = [pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm), FRAME_BYTES)]
    return frames if seconds is None else frames[: round(seconds / 0.02)]


def test_the_telephone_book_has_the_nine_numbers():
    assert list(CONTACTS) == [f"1555010000{digit}" for digit in range(1, 10)]
    assert all(contact.number == number for number, contact in CONTACTS.items())
    assert len({contact.name for contact in CONTACTS.values()}) == 9
    assert len({contact.behaviour for contact in CONTACTS.values()}) == 9
    assert all(contact.description for contact in CONTACTS.values())


@pytest.mark.parametrize("number", [UNREACHABLE, "15550100000", "15550100010", "4930123456", ""])
async def test_who_cannot_be_reached_is_refused_at_once(number):
    async with Life(contact(number)) as life:
        [event] = life.events
        assert event.reason is EndReason.UNREACHABLE
        assert isinstance(event.error, Unreachable)
        assert ("15550100001 to 15550100009" in str(event.error)) is (number != UNREACHABLE)


@pytest.mark.parametrize("number", [ECHO, TALK, HANG_UP, SILENT, REPEAT])
async def test_a_contact_rings_and_answers(number):
    async with Life(contact(number)) as life:
        assert life.events == [
            LegDialled(LEG),
            LegRinging(LEG),
            LegAnswered(LEG),
            LegConnected(LEG),
        ]
        assert not life.task.done()


async def test_a_contact_rings_as_long_as_it_is_told():
    leg = SimulatedContact(LEG, ECHO, inbound=False, ring_seconds=30, speech=RECORDING)
    async with Life(leg) as life:
        assert life.events == [LegDialled(LEG), LegRinging(LEG)]


async def test_nobody_home_rings_for_ever():
    async with Life(contact(NEVER)) as life:
        await asyncio.sleep(0.01)
        assert life.events == [LegDialled(LEG), LegRinging(LEG)]
        assert not life.task.done()


@pytest.mark.parametrize(
    ("number", "reason"), [(BUSY, EndReason.BUSY), (REJECT, EndReason.REJECTED)]
)
async def test_who_does_not_want_the_call_rings_and_ends_it(number, reason):
    async with Life(contact(number)) as life:
        await life.task
        assert life.events == [LegDialled(LEG), LegRinging(LEG), LegEnded(LEG, reason)]


@pytest.mark.virtual_time
async def test_who_is_in_a_hurry_hangs_up():
    async with Life(contact(HANG_UP)) as life:
        began = asyncio.get_running_loop().time()
        await life.task
        assert asyncio.get_running_loop().time() - began == pytest.approx(3.0)
        assert life.events[-2:] == [LegConnected(LEG), LegEnded(LEG, EndReason.REMOTE_HANGUP)]


@pytest.mark.parametrize("number", [ECHO, TALK, SILENT, REPEAT])
async def test_hanging_up_on_a_contact_is_quiet(number):
    life = Life(contact(number))
    async with life:
        before = list(life.events)
    assert life.task.cancelled()
    assert life.events == before


@pytest.mark.parametrize("number", [NEVER, ECHO])
async def test_hanging_up_while_it_rings_is_quiet(number):
    leg = SimulatedContact(LEG, number, inbound=False, ring_seconds=30, speech=RECORDING)
    async with Life(leg) as life:
        pass
    assert life.task.cancelled()
    assert life.events == [LegDialled(LEG), LegRinging(LEG)]


async def test_a_contact_that_rings_us_is_connected_once_we_answer():
    leg = contact(TALK, inbound=True)
    async with Life(leg) as life:
        assert life.events == []
        assert leg.pull() is None
        leg.answer()
        leg.answer()
        await life.settle()
        assert life.events == [LegConnected(LEG)]
        assert leg.pull() == RECORDING[:FRAME_BYTES]


@pytest.mark.virtual_time
async def test_a_contact_that_rings_us_and_is_in_a_hurry_hangs_up():
    leg = contact(HANG_UP, inbound=True)
    async with Life(leg) as life:
        leg.answer()
        await life.task
        assert life.events == [LegConnected(LEG), LegEnded(LEG, EndReason.REMOTE_HANGUP)]


@pytest.mark.parametrize("number", [NEVER, BUSY, REJECT, UNREACHABLE, "4930123456"])
async def test_who_takes_no_calls_echoes_when_it_rings_us_itself(number):
    leg = contact(number, inbound=True)
    async with Life(leg) as life:
        leg.answer()
        await life.settle()
        assert life.events == [LegConnected(LEG)]
        assert isinstance(leg.source, TimedSource)


async def test_answering_a_contact_that_we_ring_does_nothing():
    leg = contact(NEVER)
    async with Life(leg) as life:
        leg.answer()
        await life.settle()
        assert life.events == [LegDialled(LEG), LegRinging(LEG)]


async def test_the_echo_gives_each_frame_back_in_the_same_call():
    leg = contact(ECHO)
    heard = []
    async with Life(leg):
        leg.source.attach(lambda frame, now: heard.append((frame, now)))
        sent = frame(RECORDING[:FRAME_BYTES], 7)
        leg.sink.push(sent, 12.5)
        assert heard == [(sent, 12.5)]
        assert heard[0][0] is sent
        assert not leg.sink.always_clocked


async def test_the_echo_that_nobody_hears_takes_frames_all_the_same():
    leg = contact(ECHO)
    async with Life(leg):
        leg.sink.push(frame(SILENCE), 0.0)
        leg.source.attach(None)
        leg.sink.push(frame(SILENCE), 0.02)
        assert leg.statistics().sent.packets == 2
        assert leg.statistics().received.frames == 0


async def test_a_contact_that_still_rings_hears_and_says_nothing():
    leg = SimulatedContact(LEG, ECHO, inbound=False, ring_seconds=30, speech=RECORDING)
    heard = []
    async with Life(leg):
        assert isinstance(leg.source, TimedSource)
        leg.source.attach(lambda frame, now: heard.append(frame))
        leg.sink.push(frame(RECORDING[:FRAME_BYTES]), 0.0)
        assert heard == []
        assert leg.statistics().sent.packets == 0


async def test_a_contact_that_was_hung_up_on_says_nothing_more():
    leg = contact(ECHO)
    heard = []
    async with Life(leg):
        leg.source.attach(lambda frame, now: heard.append(frame))
    leg.sink.push(frame(SILENCE), 0.0)
    assert heard == []


async def test_the_talker_says_its_recording_again_and_again_with_a_pause():
    leg = contact(TALK)
    async with Life(leg):
        said = [leg.pull() for _ in range(2 * (5 + 75))]
        assert b"".join(said[:5]) == RECORDING
        assert said[5:80] == [SILENCE] * 75
        assert said[80:] == said[:80]
        assert leg.source is leg
        assert not leg.sink.always_clocked


@pytest.mark.parametrize("number", [SILENT, HANG_UP])
async def test_the_silent_contacts_say_nothing(number):
    leg = contact(number)
    async with Life(leg):
        for pcm in spoken(1.0):
            leg.sink.push(frame(pcm), 0.0)
            assert leg.pull() == SILENCE


def hear(leg, frames):
    """Tick by tick: the contact says a frame, then hears one."""
    said = []
    for pcm in frames:
        said.append(leg.pull())
        leg.sink.push(frame(pcm), 0.0)
    return said


async def test_the_parrot_repeats_a_phrase_after_its_silence():
    leg = contact(REPEAT)
    async with Life(leg):
        phrase = spoken(4.0)
        loud = [index for index, pcm in enumerate(phrase) if level(pcm) > -50]
        assert hear(leg, phrase) == [ROOM_NOISE] * len(phrase)
        said = hear(leg, [SILENCE] * 300)
        first = said.index(phrase[loud[0]])
        pause = (first + len(phrase) - 1 - loud[-1]) * 0.02
        assert 0.68 <= pause <= 0.9  # the phrase begins with a little of what was before it
        assert said[first : first + loud[-1] - loud[0] + 1] == phrase[loud[0] : loud[-1] + 1]
        assert leg.source is leg
        assert leg.sink.always_clocked


async def test_the_parrot_says_each_phrase_once_and_in_order():
    leg = contact(REPEAT)
    async with Life(leg):
        first, second = spoken(1.0), spoken(2.0)[50:]
        said = hear(leg, first + [SILENCE] * 40 + second + [SILENCE] * 300)
        repeated = [pcm for pcm in said if pcm in first + second and level(pcm) > -45]
        assert repeated == [pcm for pcm in first + second if level(pcm) > -45]


async def test_the_parrot_sends_the_noise_of_a_quiet_room_as_long_as_nobody_speaks():
    leg = contact(REPEAT)
    async with Life(leg):
        assert hear(leg, [SILENCE] * 500) == [ROOM_NOISE] * 500
        assert -70 < level(ROOM_NOISE) < -60


async def test_the_parrot_keeps_no_more_than_thirty_seconds():
    leg = contact(REPEAT)
    loud = [RECORDING[:FRAME_BYTES]] * 4000
    async with Life(leg):
        for pcm in loud:
            leg.sink.push(frame(pcm), 0.0)
        waiting = 0
        while leg.pull() != ROOM_NOISE:
            waiting += 1
        assert waiting == 1500


async def test_a_contact_remembers_its_digits_and_the_echo_sends_them_back():
    leg = contact(ECHO)
    async with Life(leg) as life:
        leg.send_digits("1#")
        leg.send_digits("9")
        assert leg.digits == "1#9"
        assert life.events[4:] == [DigitReceived(LEG, digit) for digit in "1#9"]


async def test_the_talker_only_remembers_its_digits():
    leg = contact(TALK)
    async with Life(leg) as life:
        leg.send_digits("42")
        assert leg.digits == "42"
        assert len(life.events) == 4


async def test_digits_before_the_answer_are_lost():
    leg = contact(NEVER)
    async with Life(leg):
        leg.send_digits("1")
        assert leg.digits == ""


async def test_the_figures_count_what_was_said_and_heard():
    leg = contact(TALK)
    async with Life(leg):
        leg.pull()
        leg.pull()
        leg.sink.push(frame(SILENCE), 0.0)
        figures = leg.statistics()
        assert (figures.received.frames, figures.received.bytes) == (2, 2 * FRAME_BYTES)
        assert figures.received.level_dbov == pytest.approx(-16, abs=1)
        assert (figures.sent.packets, figures.sent.level_dbov) == (1, -127.0)
    assert (leg.leg_id, leg.kind) == (LEG, LegKind.SIMULATOR)


def test_the_shipped_recording_is_speech_of_about_ten_seconds():
    data = SHIPPED.read_bytes()
    pcm = parse_speech(data)
    assert len(data) < 400_000
    assert 8 <= len(pcm) / 32000 <= 14
    assert len(pcm) % FRAME_BYTES == 0
    frames = [pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm), FRAME_BYTES)]
    loud = [each for each in frames if level(each) > -50]
    assert level(b"".join(loud)) == pytest.approx(-20, abs=1.5)
    assert 0.6 < len(loud) / len(frames) < 0.95


def test_a_recording_is_made_up_to_whole_frames():
    pcm = parse_speech(wav_file(RECORDING + b"\1\2"))
    assert pcm == RECORDING + b"\1\2" + bytes(FRAME_BYTES - 2)


@pytest.mark.parametrize(
    "data",
    [b"", wav_file(RECORDING, rate=8000), wav_file(RECORDING, channels=2), wav_file(b"")],
)
def test_a_recording_of_another_kind_is_refused(data):
    with pytest.raises(RemoteProtocolError):
        parse_speech(data)
