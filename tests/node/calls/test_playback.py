"""Playing into calls: what is heard by the sample, what goes wrong, and that nothing is left."""

import asyncio
import gc
import os
import signal

import numpy as np
import pytest

from bridge.audio.frame import FRAME_SAMPLES, Frame
from bridge.call import events
from bridge.call.model import EndReason, LineName, Party
from bridge.call.quota import Quota
from bridge.call.routing import LegRole
from bridge.errors import CallNotFound, InvalidState, NotFound
from bridge.http.address_guard import Guard
from bridge.http.client import Http
from bridge.legs.playback import PlaybackLeg, PlaybackOptions
from bridge.media.decoding.decoders import Decoders, InvalidMedia
from bridge.media.sounds import Sounds
from bridge.metrics.registry import Metrics
from bridge.node.calls.playback import Playbacks
from bridge.settings.model import Limits
from tests.support.decoder_processes import decoders
from tests.support.fake_leg import FakeLeg
from tests.support.fake_node import make_manager
from tests.support.media_folder import shared
from tests.support.published import Published
from tests.support.sound.voice import pcm
from tests.support.sound.wav import wav_file
from tests.support.waiting import until

LINE, NUMBER = LineName("one"), "15550100001"
SECOND = 50
"""Frames."""


def sound(frames, level=100):
    """A file whose level can be recognized in a sum."""
    return wav_file(pcm(level) * frames)


class House:
    """A node with what it plays; every far party is a `FakeLeg`."""

    def __init__(self, folder, stall_seconds):
        self.published = Published()
        self.spool = folder / "spool"
        quota = Quota("decoders", "limits.decoders", 64)
        self.decoders = Decoders(quota, start_seconds=60.0, stall_seconds=stall_seconds)
        http = Http(Guard(allow=[], require_tls=False))
        self.sounds = Sounds(folder=shared(folder), spool=self.spool, http=http, urls=True)
        limits = Limits(calls=200, kept_seconds=60.0)
        self.manager = make_manager(self, limits, Metrics(version="0"))
        self.manager.publisher.subscribe(self.published.events.append)
        self.playbacks = Playbacks(self.decoders)

    def outbound_leg(self, call, number, channel, replaces=""):
        return FakeLeg("far", dials=True)

    async def call(self):
        """Begin a call that is up; return its id and its far party."""
        runner = await self.manager.dial(LINE, NUMBER)
        [far] = runner.legs()
        assert isinstance(far, FakeLeg)
        await until(lambda: far.running)
        far.emit(events.LegAnswered(far.leg_id))
        far.emit(events.LegConnected(far.leg_id))
        return runner.facts.call_id, far

    async def play(self, call_id, content, **options):
        chosen = PlaybackOptions(**options)
        return await self.playbacks.play(self.live(call_id), self.sounds.spool(content), chosen)

    def live(self, call_id):
        return self.manager.live(LINE, call_id)

    def hang_up(self, call_id):
        self.manager.request(LINE, call_id, events.HangupRequested())

    async def rush(self, call_id, playback):
        """Have a playback heard to its end in less time than it takes."""
        leg = self.manager.live(LINE, call_id).leg(playback)
        assert isinstance(leg, PlaybackLeg)
        async with asyncio.timeout(10):
            while playback not in self.over():
                leg.pull()
                await asyncio.sleep(0)

    def over(self):
        """How each playback that is over went."""
        over = self.published.of("playback.completed")
        return {data["playbackId"]: data["status"] for data in over}

    def left(self):
        return list(self.spool.iterdir())

    async def aclose(self):
        await self.manager.aclose()
        await self.decoders.aclose()


@pytest.fixture
def stall_seconds():
    return 10.0


@pytest.fixture
async def house(tmp_path, stall_seconds):
    made = House(tmp_path, stall_seconds)
    yield made
    await made.aclose()


def levels(leg):
    """The loudest sample of each frame that a leg was given."""
    return [int(np.abs(np.frombuffer(frame.pcm, np.int16)).max()) for frame in leg.heard]


def handles():
    return len(os.listdir("/proc/self/fd"))


async def test_the_far_party_hears_every_frame_once(house):
    call_id, far = await house.call()
    playback = await house.play(call_id, sound(10))
    await until(lambda: house.over() == {playback: "completed"})
    assert levels(far) == [100] * 10
    assert (house.left(), decoders()) == ([], set())


async def test_several_playbacks_are_mixed_and_each_ends_by_itself(house):
    call_id, far = await house.call()
    long = await house.play(call_id, sound(60 * SECOND, 1000))
    short = await house.play(call_id, sound(10, 100))
    await until(house.over)
    assert house.over() == {short: "completed"}
    assert 1100 in levels(far)
    await house.rush(call_id, long)
    assert house.over() == {short: "completed", long: "completed"}


class TextToSpeech:
    """A near party that says the same level all the time."""

    def __init__(self, leg, level):
        self.leg = leg
        self.task = asyncio.create_task(self._speak(level))

    async def _speak(self, level):
        pts = 0
        while True:
            if self.leg.to is not None:
                self.leg.to(Frame(pcm(level), pts, "near"), asyncio.get_running_loop().time())
            pts += FRAME_SAMPLES
            await asyncio.sleep(0.02)


async def test_a_voice_is_heard_beside_a_playback_ducked_by_the_requested_gain(house):
    call_id, far = await house.call()
    near = FakeLeg("near")
    house.manager.live(LINE, call_id).add_leg(near, LegRole(Party.NEAR))
    speaking = TextToSpeech(near, 8000)
    await house.play(call_id, sound(2 * SECOND, 100), duck_decibels=20.0)
    await until(lambda: 900 in levels(far))  # a tenth of the voice, and the playback
    house.playbacks.stop(house.live(call_id))
    await until(lambda: levels(far)[-1] == 8000)
    speaking.task.cancel()


async def test_a_decoder_that_is_killed_ends_its_playback_and_not_the_call(house):
    call_id, far = await house.call()
    playback = await house.play(call_id, sound(60 * SECOND))
    await until(lambda: far.heard)
    [child] = decoders()
    os.kill(child, signal.SIGKILL)
    await house.rush(call_id, playback)
    assert house.over() == {playback: "failed"}
    assert house.manager.live(LINE, call_id).live
    assert house.left() == []
    again = await house.play(call_id, sound(5))
    await until(lambda: house.over().get(again) == "completed")


@pytest.mark.parametrize("stall_seconds", [0.2])
async def test_a_decoder_that_hangs_ends_its_playback_and_not_the_call(house):
    call_id, far = await house.call()
    playback = await house.play(call_id, sound(60 * SECOND))
    await until(lambda: far.heard)
    [child] = decoders()
    os.kill(child, signal.SIGSTOP)
    await house.rush(call_id, playback)
    assert house.over() == {playback: "failed"}
    assert house.manager.live(LINE, call_id).live
    assert (house.left(), decoders()) == ([], set())


async def test_a_hang_up_after_speech_waits_for_the_end_of_a_file(house):
    call_id, far = await house.call()
    await house.play(call_id, sound(SECOND))
    await until(lambda: far.heard)
    house.manager.request(LINE, call_id, events.HangupRequested(after_speech=True))
    await until(lambda: house.left() == [], timeout=20.0)
    assert len(far.heard) >= SECOND


async def test_a_call_that_ends_while_a_file_is_opened_plays_nothing(house):
    call_id, _ = await house.call()
    opening = asyncio.create_task(house.play(call_id, sound(5)))
    await until(decoders)
    house.hang_up(call_id)
    with pytest.raises((CallNotFound, InvalidState)):
        await opening
    assert (house.left(), decoders()) == ([], set())


async def test_a_request_cancelled_while_a_file_is_opened_leaves_nothing(house):
    call_id, _ = await house.call()
    opening = asyncio.create_task(house.play(call_id, sound(5)))
    await until(decoders)
    opening.cancel()
    await asyncio.wait([opening])
    assert (house.left(), decoders()) == ([], set())
    assert [leg.kind for leg in house.manager.live(LINE, call_id).legs()] == ["simulator"]


async def test_a_call_that_is_not_there_plays_nothing(house):
    with pytest.raises(CallNotFound):
        await house.play("0" * 32, sound(5))
    assert (house.left(), decoders()) == ([], set())


async def test_a_file_without_sound_is_refused_and_released(house):
    call_id, _ = await house.call()
    with pytest.raises(InvalidMedia):
        await house.play(call_id, b"no sound")
    assert (house.left(), decoders()) == ([], set())


async def test_a_playback_that_is_not_there_can_be_neither_stopped_nor_paused(house):
    call_id, far = await house.call()
    for playback in ("none", far.leg_id, ""):
        with pytest.raises(NotFound):
            house.playbacks.stop(house.live(call_id), playback)
        with pytest.raises(NotFound):
            house.playbacks.pause(house.live(call_id), playback, paused=True)
    assert house.playbacks.stop(house.live(call_id)) == 0


async def test_only_the_named_one_is_stopped(house):
    call_id, _ = await house.call()
    one, other = [await house.play(call_id, sound(10 * SECOND)) for _ in range(2)]
    await asyncio.sleep(0)  # the second one begins
    assert house.playbacks.stop(house.live(call_id), one) == 1
    assert house.over() == {one: "stopped"}
    assert house.playbacks.stop(house.live(call_id)) == 1
    assert house.over() == {one: "stopped", other: "stopped"}


async def test_a_paused_playback_resumes_where_it_stopped(house):
    call_id, far = await house.call()
    counted = np.repeat(np.arange(1, 3 * SECOND + 1, dtype=np.int16), FRAME_SAMPLES)
    playback = await house.play(call_id, wav_file(counted.tobytes()))
    await until(lambda: far.heard)
    house.playbacks.pause(house.live(call_id), playback, paused=True)
    await until(lambda: decoders() == set())
    heard = len(far.heard)
    await asyncio.sleep(0.1)
    assert len(far.heard) == heard
    house.playbacks.pause(house.live(call_id), playback, paused=False)
    await until(lambda: house.over() == {playback: "completed"})
    assert [int(np.frombuffer(frame.pcm, np.int16)[0]) for frame in far.heard] == list(
        range(1, 3 * SECOND + 1)
    )


@pytest.mark.parametrize("count", [10, pytest.param(100, marks=pytest.mark.long)])
async def test_playbacks_leave_no_process_handle_task_or_file(house, count):
    await _play_and_end(house, 5)  # what is kept for good is there by now
    gc.collect()
    before, tasks = handles(), len(asyncio.all_tasks())
    await _play_and_end(house, count)
    gc.collect()
    await until(lambda: len(asyncio.all_tasks()) <= tasks)
    assert (house.left(), decoders()) == ([], set())
    assert handles() <= before


async def _play_and_end(house, count):
    """Play so many, ten calls at a time; each is heard out, stopped, cut off or abandoned."""
    for begin in range(0, count, 10):
        await asyncio.gather(
            *(_one(house, number) for number in range(begin, min(begin + 10, count)))
        )


async def _one(house, number):
    call_id, far = await house.call()
    if number % 5 == 4:
        opening = asyncio.create_task(house.play(call_id, sound(5)))
        await asyncio.sleep(0.01)
        opening.cancel()
        await asyncio.wait([opening])
        house.hang_up(call_id)
        return
    playback = await house.play(call_id, sound(5 if number % 5 == 0 else 20 * SECOND))
    match number % 5:
        case 0:
            await until(lambda: playback in house.over(), timeout=20.0)
        case 1:
            house.playbacks.stop(house.live(call_id))
        case 2:
            await until(lambda: far.heard, timeout=20.0)
        case _:
            far.emit(events.LegEnded(far.leg_id, EndReason.REMOTE_HANGUP))
            return
    house.hang_up(call_id)
