"""One track: what lies in its file, and what becomes of it when the disk takes no more."""

import asyncio
import errno
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import pytest

from bridge.audio.codec.codec import OPUS, PCMU
from bridge.audio.codec.encoded_packet import EncodedPacket
from bridge.audio.codec.opus import candidates, load
from bridge.audio.file.track_assembler import MAX_BUFFERED
from bridge.audio.file.track_file import OggFile, OggSnapshot
from bridge.audio.file.wav import parse_wav
from bridge.audio.frame import FRAME_BYTES, SILENCE, Frame
from bridge.call import events
from bridge.call.model import EndReason, LegId
from bridge.errors import HandoverRefused
from bridge.legs.recording import (
    DISK_FAILED,
    DISK_FULL,
    DISK_SLOW,
    NOT_ANNOUNCED,
    RecorderLeg,
    Span,
)
from bridge.media.disk_space import DiskSpace
from tests.support.packets.ogg_packets import packets_of, pages_of
from tests.support.packets.opus_packets import encode
from tests.support.sound.speech_compare import tone
from tests.support.waiting import until

PACKETS = encode(tone(2))
SOUND = b"\x10\x20" * (FRAME_BYTES // 2)


@pytest.fixture
def threads():
    with ThreadPoolExecutor(1) as threads:
        yield threads


@pytest.fixture(autouse=True)
def often(monkeypatch):
    monkeypatch.setattr("bridge.audio.file.track_file.WavFile.write_seconds", 0.01)
    monkeypatch.setattr("bridge.audio.file.track_file.OggFile.write_seconds", 0.01)


class Filling:
    """A disk that somebody else fills."""

    full = False

    def check(self):
        if self.full:
            raise OSError(errno.ENOSPC, "full")


class Track:
    """A recorder at work, and what it tells."""

    def __init__(self, leg):
        self.leg = leg
        self.told = []
        self.over = 0
        self.frames = 0

    def hear(self, count=1, sound=SOUND):
        for _ in range(count):
            self.leg.push(Frame(sound, self.frames * 320, 0), 5.0 + self.frames * 0.02)
            self.frames += 1

    async def written(self, frames):
        await until(lambda: self.leg.written_bytes == frames * FRAME_BYTES)


@asynccontextmanager
async def recording(path, threads, space=None, *, span=None, file=None):
    def over():
        track.over += 1

    space = space or DiskSpace(path.parent, 0)
    leg = RecorderLeg(
        LegId("track"),
        path,
        span=span or Span(0.0),
        threads=threads,
        space=space,
        on_over=over,
        file=file,
    )
    track = Track(leg)
    task = asyncio.get_running_loop().create_task(leg.run(track.told.append))
    try:
        yield track
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_what_is_heard_is_in_the_file_while_the_recording_goes_on(tmp_path, threads):
    async with recording(tmp_path / "a.wav", threads) as track:
        for total in (3, 10):
            track.hear(total - track.frames)
            await track.written(total)
            assert parse_wav((tmp_path / "a.wav").read_bytes()).pcm == SOUND * total


async def test_the_end_writes_what_was_heard_until_then(tmp_path, threads, monkeypatch):
    monkeypatch.setattr("bridge.audio.file.track_file.WavFile.write_seconds", 60.0)
    async with recording(tmp_path / "a.wav", threads) as track:
        await until(lambda: track.told)
        track.hear(7)
    assert parse_wav((tmp_path / "a.wav").read_bytes()).pcm == SOUND * 7
    assert (track.over, track.leg.written.seconds) == (1, pytest.approx(0.14))
    assert track.leg.failure == ""


async def test_a_track_that_heard_nothing_has_a_file_of_no_length(tmp_path, threads):
    async with recording(tmp_path / "a.wav", threads) as track:
        await until(lambda: track.told)
    assert parse_wav((tmp_path / "a.wav").read_bytes()).pcm == b""
    assert track.over == 1


async def test_what_is_heard_before_and_after_the_recordings_span_is_left_out(tmp_path, threads):
    span = Span()
    async with recording(tmp_path / "a.wav", threads, span=span) as track:
        track.hear(1)
        span.began = 5.02
        track.hear(3)
        span.over = 5.07
        track.hear(2)
        await track.written(3)
    assert parse_wav((tmp_path / "a.wav").read_bytes()).pcm == SOUND * 3


async def test_what_is_paused_is_silence_of_the_same_length(tmp_path, threads):
    async with recording(tmp_path / "a.wav", threads) as track:
        track.hear(2)
        track.leg.paused = True
        track.hear(3)
        track.leg.paused = False
        track.hear(1)
        await track.written(6)
    assert parse_wav((tmp_path / "a.wav").read_bytes()).pcm == SOUND * 2 + SILENCE * 3 + SOUND


async def test_nothing_is_kept_until_all_were_told_even_if_it_is_resumed(tmp_path, threads):
    async with recording(tmp_path / "a.wav", threads) as track:
        track.leg.awaiting_announcement = True
        track.leg.paused = False
        track.hear(2)
        track.leg.awaiting_announcement = False
        track.hear(1)
        await track.written(3)
    assert parse_wav((tmp_path / "a.wav").read_bytes()).pcm == SILENCE * 2 + SOUND


async def test_a_disk_that_is_full_ends_the_track_and_says_why(tmp_path, threads):
    (tmp_path / "a.wav").symlink_to("/dev/full")
    async with recording(tmp_path / "a.wav", threads) as track:
        track.hear(3)
        await until(lambda: events.LegEnded(LegId("track"), EndReason.FAILED) in track.told[-1:])
    assert track.leg.failure == DISK_FULL
    assert track.leg.written_bytes == 0


async def test_a_track_ends_before_the_disk_is_full_and_keeps_what_it_has(tmp_path, threads):
    space = Filling()
    async with recording(tmp_path / "a.wav", threads, space) as track:
        track.hear(5)
        await track.written(5)
        space.full = True
        track.hear(5)
        await until(lambda: track.over)
    assert track.leg.failure == DISK_FULL
    assert parse_wav((tmp_path / "a.wav").read_bytes()).pcm == SOUND * 5


async def test_a_disk_that_fails_ends_the_track(tmp_path, threads):
    (tmp_path / "a.wav").mkdir()
    async with recording(tmp_path / "a.wav", threads) as track:
        track.hear(3)
        await until(lambda: track.over)
    assert track.leg.failure == DISK_FAILED


async def test_a_disk_that_stands_still_ends_the_track_with_what_there_was_room_for(
    tmp_path, threads
):
    async with recording(tmp_path / "a.wav", threads) as track:
        await until(lambda: track.told)
        track.hear(MAX_BUFFERED + 10)
        await until(lambda: track.over)
    assert track.leg.failure == DISK_SLOW
    assert parse_wav((tmp_path / "a.wav").read_bytes()).pcm == SOUND * MAX_BUFFERED


async def test_a_track_that_is_given_up_writes_no_more(tmp_path, threads):
    async with recording(tmp_path / "a.wav", threads) as track:
        track.hear(2)
        await track.written(2)
        track.leg.give_up("not_announced")
        track.hear(2)
        await until(lambda: track.over)
    assert track.leg.failure == "not_announced"
    assert parse_wav((tmp_path / "a.wav").read_bytes()).pcm == SOUND * 2


def packets(count, first=0):
    return [
        EncodedPacket(PACKETS[number], 960, number, number * 960, "line", -20.0, OPUS)
        for number in range(first, first + count)
    ]


def packet_file():
    return OggFile(load(candidates()), OggSnapshot(7))


@pytest.mark.parametrize("state", ["paused", "awaiting_announcement"])
async def test_packets_are_left_out_while_a_track_is_silent(tmp_path, threads, state):
    began = asyncio.get_running_loop().time() - 1
    span, file = Span(began), packet_file()
    async with recording(tmp_path / "a.ogg", threads, span=span, file=file) as track:
        await until(lambda: track.told)
        for number, one in enumerate(packets(30)):
            setattr(track.leg, state, 10 <= number < 20)
            assert track.leg.take(one, began + number * 0.02)
    found = packets_of((tmp_path / "a.ogg").read_bytes())
    assert [one for one in found if one in PACKETS] == PACKETS[:10] + PACKETS[20:30]


async def test_a_track_of_packets_refuses_those_of_another_codec(tmp_path, threads):
    began = asyncio.get_running_loop().time() - 1
    async with recording(
        tmp_path / "a.ogg", threads, span=Span(began), file=packet_file()
    ) as track:
        (opus,) = packets(1)
        assert track.leg.take(opus, began)
        assert not track.leg.take(opus._replace(codec=PCMU), began + 0.02)


async def test_a_track_of_packets_ends_before_the_disk_is_full_with_a_whole_file(tmp_path, threads):
    space = Filling()
    began = asyncio.get_running_loop().time()
    span, file = Span(began - 5), packet_file()
    async with recording(tmp_path / "a.ogg", threads, space, span=span, file=file) as track:
        for number, one in enumerate(packets(100)):
            track.leg.take(one, began - 5 + number * 0.02)
        await until(lambda: track.leg.written_bytes > 0)
        space.full = True
        await until(lambda: track.over)
    assert track.leg.failure == DISK_FULL
    content = (tmp_path / "a.ogg").read_bytes()
    assert pages_of(content)[-1].kind == 4
    assert len(content) == track.leg.written.size_bytes
    assert [one for one in packets_of(content) if one in PACKETS] == PACKETS[:100]


def can_move(leg):
    try:
        leg.check_movable()
    except HandoverRefused:
        return False
    return True


async def test_a_track_that_stands_still_writes_nothing_until_it_goes_on(tmp_path, threads):
    async with recording(tmp_path / "a.wav", threads) as track:
        track.hear(3)
        await track.written(3)
        await until(lambda: can_move(track.leg))
        state, sockets = track.leg.suspend()
        assert (state.path, sockets) == (str(tmp_path / "a.wav"), [])
        track.hear(2)
        await asyncio.sleep(0.1)
        assert track.leg.written_bytes == 3 * FRAME_BYTES
        track.leg.resume()
        await track.written(5)


async def test_a_track_that_another_process_goes_on_with_is_left_as_it_is(tmp_path, threads):
    async with recording(tmp_path / "a.wav", threads) as track:
        track.hear(3)
        await track.written(3)
        await until(lambda: can_move(track.leg))
        track.hear(2)
        track.leg.suspend()
        await track.leg.abandon()
    assert track.over == 0
    assert parse_wav((tmp_path / "a.wav").read_bytes()).pcm == SOUND * 3


async def test_a_track_that_is_being_announced_or_has_failed_cannot_move(tmp_path, threads):
    async with recording(tmp_path / "a.wav", threads) as track:
        track.leg.awaiting_announcement = True
        with pytest.raises(HandoverRefused):
            track.leg.suspend()
        track.leg.awaiting_announcement = False
        track.leg.give_up(DISK_FAILED)
        with pytest.raises(HandoverRefused):
            track.leg.suspend()


async def test_a_copy_is_made_at_any_time_but_the_end(tmp_path, threads):
    async with recording(tmp_path / "a.wav", threads) as track:
        for _ in range(20):
            track.hear()
            copy = track.leg.copy()
            assert (copy.died, copy.announced, copy.file.written_bytes) == (True, True, 0)
            await asyncio.sleep(0.001)
        track.leg.awaiting_announcement = True
        assert not track.leg.copy().announced
        track.leg.give_up(DISK_FAILED)
        with pytest.raises(HandoverRefused):
            track.leg.copy()


async def test_a_track_whose_announcement_nobody_has_heard_to_its_end_fails(tmp_path, threads):
    async with recording(tmp_path / "a.wav", threads) as track:
        track.leg.awaiting_announcement = True
        copy = track.leg.copy()
    async with recording(tmp_path / "a.wav", threads) as again:
        again.leg.restore(copy)
        await until(lambda: again.over)
        assert again.leg.failure == NOT_ANNOUNCED


async def test_a_disk_that_takes_no_silence_ends_the_track(tmp_path, threads):
    async with recording(tmp_path / "a.wav", threads) as track:
        copy = track.leg.copy()
    async with recording(tmp_path / "none" / "a.wav", threads, Filling()) as again:
        again.leg.restore(copy)
        again.leg.go_on(Span(0.0), 60.0)
        assert again.leg.failure == DISK_FAILED
