"""What callers hear whose stream is lost, where the line has an announcement; a decoder takes real time."""

import asyncio

import pytest

from bridge.audio.file.wav import make_header
from bridge.audio.tone import tone
from bridge.call.model import LegKind, Party
from bridge.call.routing import LegRole
from bridge.settings.model import Media, Stream
from tests.support.clients.stream_line import streamed_call
from tests.support.fake_leg import FakeLeg
from tests.support.waiting import until

HERTZ = 900.0


@pytest.fixture
def folder(tmp_path):
    pcm = tone(HERTZ, 0.4)
    (tmp_path / "sorry.wav").write_bytes(make_header(len(pcm)) + pcm)
    return tmp_path


def announced(folder):
    stream = Stream(fallback="announcement", announcement="sorry.wav")
    return streamed_call(stream, media=Media(root=str(folder)))


async def test_an_announcement_is_heard_to_its_end_before_the_call_ends(folder):
    async with announced(folder) as (line, caller, runner, customer):
        customer.break_off()
        assert (await line.fallback())["action"] == "announcement"
        await until(lambda: not runner.live, timeout=20.0)
        assert caller.hears(HERTZ)
        [played] = line.published.of("playback.completed")
        assert played["status"] == "completed"


async def test_an_announcement_that_cannot_be_played_ends_the_call(folder):
    async with announced(folder) as (line, _, runner, customer):
        (folder / "sorry.wav").write_bytes(b"no sound")
        customer.break_off()
        await line.fallback()
        await until(lambda: not runner.live, timeout=20.0)


async def test_who_joins_during_the_announcement_keeps_the_call(folder):
    async with announced(folder) as (line, _, runner, customer):
        customer.break_off()
        await until(lambda: LegKind.PLAYBACK in runner.kinds(), timeout=20.0)
        runner.add_leg(FakeLeg("other"), LegRole(Party.NEAR))
        await until(lambda: line.published.of("playback.completed"), timeout=20.0)
        await asyncio.sleep(0.2)
        assert runner.live


async def test_a_caller_who_hangs_up_during_the_announcement_leaves_nothing_behind(folder):
    async with announced(folder) as (line, caller, runner, customer):
        customer.break_off()
        await line.fallback()
        caller.hang_up()
        await until(lambda: not runner.live)
        await runner.wait_cleaned()
        await until(lambda: "call.ended" in line.published.types)
