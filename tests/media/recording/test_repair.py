"""Files of killed processes: whole up to the last page or sample that was written."""

from dataclasses import replace

import pytest

from bridge.audio.file.ogg import PRE_SKIP, OggWriter
from bridge.audio.file.track_assembler import AssemblerSnapshot
from bridge.audio.file.track_file import OggSnapshot, WavSnapshot
from bridge.audio.file.wav import HEADER_BYTES, make_header, parse_wav
from bridge.audio.frame import FRAME_BYTES
from bridge.call.model import CallId, LineName
from bridge.call.recording import Recording, Written
from bridge.errors import HandoverRefused
from bridge.media.recording.repair import repair, repair_ogg, set_size, written
from tests.support.packets.ogg_packets import pages_of

SILENCE = (b"\xf8\xff\xfe", 960)
RECORDING = Recording(
    recording_id="rec_1",
    call_id=CallId("00" + "A" * 30),
    line=LineName("sales"),
    kind="inbound",
    key="recordings/a.ogg",
    status="recording",
    started_at="",
    ended_at=None,
    seconds=0.0,
    size_bytes=0,
    expires_at="",
)


def cut_off(packets=50, rest=20):
    writer = OggWriter(1)
    whole = writer.head() + writer.pages([SILENCE] * packets)
    return whole, whole + writer.pages([SILENCE] * 50)[:rest]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "recordings").mkdir()
    return tmp_path


@pytest.mark.parametrize("rest", [0, 20, 40])
def test_an_ogg_file_ends_with_its_last_complete_page(folder, rest):
    whole, found = cut_off(rest=rest)
    path = folder / RECORDING.key
    path.write_bytes(found)
    assert repair(folder, RECORDING) == Written(len(whole), (50 * 960 - PRE_SKIP) / 48_000)
    pages = pages_of(path.read_bytes())
    assert (len(path.read_bytes()), pages[-1].kind) == (len(whole), 4)
    assert repair(folder, RECORDING).size_bytes == len(whole)


def test_a_file_without_audio_is_nothing(folder):
    assert repair(folder, RECORDING) == Written()
    (folder / RECORDING.key).write_bytes(OggWriter(1).head())
    assert repair(folder, RECORDING) == Written()
    (folder / RECORDING.key).write_bytes(b"no Ogg")
    assert repair_ogg(folder / RECORDING.key) == Written()


def test_of_a_mix_both_sides_are_repaired(folder):
    mix = replace(RECORDING, kind="mixed", key="recordings/a.mixed.ogg")
    first, second = cut_off(50), cut_off(100)
    for key, (_, found) in zip(mix.mixed_from, (first, second), strict=True):
        (folder / key).write_bytes(found)
    found = repair(folder, mix)
    assert found.size_bytes == len(first[0]) + len(second[0])
    assert found.seconds == (100 * 960 - PRE_SKIP) / 48_000


def test_a_wav_is_as_long_as_its_file(folder):
    recording = replace(RECORDING, key="recordings/a.wav")
    path = folder / recording.key
    path.write_bytes(make_header(0) + bytes(3200))
    assert repair(folder, recording) == Written(3244, 0.1)
    assert len(parse_wav(path.read_bytes()).pcm) == 3200


@pytest.mark.parametrize("cut", range(0, 1400, 77))
def test_a_wav_goes_on_after_its_last_whole_frame_wherever_it_was_cut_off(tmp_path, cut):
    path, pcm = tmp_path / "a.wav", b"\x01\x02" * 1000
    path.write_bytes((make_header(0) + pcm)[:cut])
    frames = max(0, cut - HEADER_BYTES) // FRAME_BYTES
    found = written(path, WavSnapshot(AssemblerSnapshot(start=0.3)))
    assert found == WavSnapshot(AssemblerSnapshot(frames, 0.3), frames * FRAME_BYTES)


@pytest.mark.parametrize("rest", [0, 20, 40])
def test_an_ogg_file_goes_on_after_its_last_whole_page(tmp_path, rest):
    whole, found = cut_off(rest=rest)
    path = tmp_path / "a.ogg"
    path.write_bytes(found)
    on_disk = written(path, OggSnapshot(1, taken=60))
    assert isinstance(on_disk, OggSnapshot)
    assert (on_disk.pages, on_disk.written_bytes, on_disk.taken) == (3, len(whole), 60)
    assert on_disk.track.end == on_disk.track.placed_end == 50 * 960
    set_size(path, len(whole), len(whole))
    assert path.read_bytes() == whole


def test_a_track_begins_anew_where_nothing_of_use_was_written(tmp_path):
    path, head = tmp_path / "a.ogg", OggWriter(1).head()
    assert written(path, OggSnapshot(1)) == OggSnapshot(1)
    assert written(path, WavSnapshot()) == WavSnapshot()
    for content in (b"", head[:30], head[:60]):  # the head is two pages
        path.write_bytes(content)
        assert written(path, OggSnapshot(1)) == OggSnapshot(1)
    path.write_bytes(head)
    assert written(path, OggSnapshot(1)) == OggSnapshot(1, pages=2, written_bytes=len(head))


def test_a_file_that_cannot_be_read_is_not_gone_on_with(tmp_path):
    with pytest.raises(HandoverRefused):
        written(tmp_path, WavSnapshot())


def test_what_follows_the_whole_bytes_is_replaced_by_silence(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"abcdef")
    set_size(path, 4, 8)
    assert path.read_bytes() == b"abcd\0\0\0\0"
    set_size(tmp_path / "b.wav", 0, 2)
    assert (tmp_path / "b.wav").read_bytes() == b"\0\0"
