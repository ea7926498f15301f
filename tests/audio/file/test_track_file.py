"""Files of tracks: what is written in which order, and what they say of themselves."""

import msgspec
import pytest

from bridge.audio.codec.codec import OPUS
from bridge.audio.codec.encoded_packet import EncodedPacket
from bridge.audio.codec.opus import candidates, load
from bridge.audio.file.ogg import PRE_SKIP
from bridge.audio.file.track_assembler import MAX_BUFFERED, AssemblerSnapshot
from bridge.audio.file.track_file import (
    OggFile,
    OggSnapshot,
    TrackSnapshot,
    WavFile,
    WavSnapshot,
    restored,
)
from bridge.audio.file.wav import parse_wav
from bridge.audio.frame import Frame
from tests.support.packets.ogg_packets import packets_of, pages_of
from tests.support.packets.opus_packets import encode
from tests.support.sound.speech_compare import tone

PACKETS = encode(tone(2))
SOUND = b"\x10\x20" * 320


class Disk:
    """What a file would hold."""

    def __init__(self, file):
        self.file = file
        self.content = bytearray()

    def write(self, at, *, over=False):
        self.file.collect(over=over)
        for offset, content in self.file.writes(at, over=over):
            self.content.extend(bytes(max(0, offset - len(self.content))))
            self.content[offset : offset + len(content)] = content
        self.file.written()


def ogg():
    return OggFile(load(candidates()), OggSnapshot(7))


def packet(number):
    return EncodedPacket(PACKETS[number], 960, number, number * 960, "line", -20.0, OPUS)


def test_a_wav_file_is_whole_after_every_write():
    file = WavFile()
    disk = Disk(file)
    for number in range(4):
        file.push(Frame(SOUND, number * 320, 0), number * 0.02, silent=number == 2)
        disk.write(number * 0.02)
        assert len(parse_wav(bytes(disk.content)).pcm) == 640 * (number + 1)
    assert parse_wav(bytes(disk.content)).pcm == SOUND * 2 + bytes(640) + SOUND
    assert (file.taken, file.audio_bytes, file.size_bytes) == (4, 2560, 2604)
    assert file.seconds == pytest.approx(0.08)


def test_an_ogg_file_is_whole_after_every_write_and_ends_with_its_track():
    file = ogg()
    disk = Disk(file)
    for number in range(100):
        file.take(packet(number), number * 0.02)
        if number % 10 == 9:
            disk.write(number * 0.02)
            assert pages_of(bytes(disk.content))[-1].kind != 4
    disk.write(1.9876, over=True)
    pages = pages_of(bytes(disk.content))
    assert [page.kind for page in pages[:2]] == [2, 0]
    assert (pages[-1].kind, pages[-1].granule) == (4, 1988 * 48 + PRE_SKIP)
    assert packets_of(bytes(disk.content))[:99] == PACKETS[:99]
    assert file.seconds == pytest.approx(1.988)
    assert file.size_bytes == len(disk.content)
    assert file.taken == 100


def test_silent_frames_leave_a_gap_in_an_ogg_file_which_is_filled():
    file = ogg()
    disk = Disk(file)
    for number in range(50):
        file.push(Frame(SOUND, number * 320, 0), number * 0.02, silent=True)
    disk.write(1.0, over=True)
    assert pages_of(bytes(disk.content))[-1].granule == 48_000 + PRE_SKIP
    assert file.taken == 0


@pytest.mark.parametrize("file", [WavFile(), ogg()])
def test_a_disk_that_stalls_for_too_long_ends_the_track(file):
    for number in range(MAX_BUFFERED + 10):
        file.push(Frame(SOUND, number * 320, 0), number * 0.02, silent=False)
    assert file.overrun
    assert file.taken == MAX_BUFFERED


def passed(disk):
    """The same file in another process, as it arrives there."""
    state = msgspec.msgpack.encode(disk.file.snapshot())
    again = Disk(restored(msgspec.msgpack.decode(state, type=TrackSnapshot), load(candidates())))
    again.content = disk.content
    return again


def test_a_wav_file_goes_on_elsewhere_with_what_was_not_written_and_silence():
    disk = Disk(WavFile())
    for number in range(4):
        disk.file.push(Frame(SOUND, 0, 0), number * 0.02, silent=False)
        if number == 1:
            disk.write(0.04)
    disk = passed(disk)
    disk.file.skip(0.145)
    for number in range(7, 9):
        disk.file.push(Frame(SOUND, 0, 0), number * 0.02 + 0.005, silent=False)
    disk.write(0.2, over=True)
    assert parse_wav(bytes(disk.content)).pcm == SOUND * 4 + bytes(640) * 3 + SOUND * 2
    assert (disk.file.taken, disk.file.audio_bytes) == (9, 9 * 640)


def test_an_ogg_file_goes_on_elsewhere_with_its_next_page_and_a_filled_gap():
    disk = Disk(ogg())
    for number in range(100):
        if number == 50:
            disk = passed(disk)
        if number % 10 == 5:
            disk.write(number * 0.02)
        if not 45 <= number < 55:
            disk.file.take(packet(number), number * 0.02)
    disk.write(2.0, over=True)
    pages = pages_of(bytes(disk.content))
    assert [page.sequence for page in pages] == list(range(len(pages)))
    assert {page.serial for page in pages} == {7}
    assert pages[-1].granule == 96_000 + PRE_SKIP
    found = packets_of(bytes(disk.content))
    assert found[:45] == PACKETS[:45]
    assert found[55:100] == PACKETS[55:100]
    assert disk.file.taken == 90
    assert disk.file.size_bytes == len(disk.content)


@pytest.mark.parametrize("make", [WavFile, ogg])
def test_a_file_that_has_heard_nothing_yet_is_as_long_elsewhere(make):
    disk = passed(Disk(make()))
    disk.file.skip(1.0)
    disk.write(1.0, over=True)
    assert disk.file.size_bytes == len(disk.content)
    assert disk.file.seconds == pytest.approx(1.0)


def test_a_wav_file_leaves_a_hole_for_a_time_that_is_too_long_to_be_buffered():
    before = WavSnapshot(AssemblerSnapshot(frames=2), written_bytes=1280)
    disk = Disk(restored(before, load(candidates())))
    disk.content = bytearray(44 + 1280)
    disk.file.leap(60.0)
    disk.file.skip(60.0)
    assert (disk.file.size_bytes, disk.file.overrun) == (44 + 3000 * 640, False)
    disk.content.extend(bytes(disk.file.size_bytes - len(disk.content)))
    disk.file.push(Frame(SOUND, 0, 0), 60.0, silent=False)
    disk.write(60.02, over=True)
    assert parse_wav(bytes(disk.content)).pcm == bytes(3000 * 640) + SOUND


@pytest.mark.parametrize("file", [WavFile(), ogg()])
def test_a_copy_has_nothing_of_what_is_in_the_file(file):
    file.push(Frame(SOUND, 0, 0), 0.25, silent=False)
    again = restored(file.copy(), load(candidates()))
    assert (again.audio_bytes, again.size_bytes - again.audio_bytes) in ((0, 0), (0, 44))
    assert file.copy() == again.copy()
