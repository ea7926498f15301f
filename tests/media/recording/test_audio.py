"""Reading a recording's audio from the disk and from the store."""

from types import SimpleNamespace
from typing import Any

import pytest

from bridge.audio.file.wav import make_header
from bridge.errors import NotFound
from bridge.media.recording.audio import BLOCK_BYTES, read_audio
from bridge.stores.recording_files import File

PCM = bytes(range(256)) * 300
RECORDING: Any = SimpleNamespace(recording_id="rec_1", file_format="wav")


def elsewhere():
    async def read(machine, path, *, headers):
        assert (machine, path, headers) == (
            "there",
            "/recordings/rec_1/wav",
            {"Range": "bytes=44-"},
        )
        yield PCM

    return SimpleNamespace(read=read)


def archive(folder, place="local", *, file_format="wav", machine="here"):
    size = 44 + len(PCM)
    file = File(
        "rec_1", file_format, "a.wav", size, place, "2026-01-01T00:00:00.000Z", "00", machine
    )

    async def find(_, wanted):
        return file if wanted == file_format else None

    return SimpleNamespace(
        folder=folder,
        files=SimpleNamespace(find=find),
        is_here=lambda machine: machine == "here",
        elsewhere=elsewhere(),
    )


def uploader():
    async def read(key, start, end):
        stored = make_header(len(PCM)) + PCM
        for at in range(start, end, 1000):
            yield stored[at : min(at + 1000, end)]

    return SimpleNamespace(store=SimpleNamespace(read=read))


async def read_all(where):
    return [block async for block in read_audio(where, uploader(), RECORDING)]


async def test_a_file_on_the_disk_is_read_without_its_header(tmp_path):
    (tmp_path / "a.wav").write_bytes(make_header(len(PCM)) + PCM)
    blocks = await read_all(archive(tmp_path))
    assert b"".join(blocks) == PCM
    assert {len(block) for block in blocks[:-1]} == {BLOCK_BYTES}


async def test_a_file_that_has_been_uploaded_is_read_from_the_store(tmp_path):
    blocks = await read_all(archive(tmp_path, "store"))
    assert b"".join(blocks) == PCM
    assert {len(block) for block in blocks[:-1]} == {BLOCK_BYTES}


@pytest.mark.parametrize(("place", "file_format"), [("kept", "wav"), ("local", "ogg")])
async def test_a_file_that_is_gone_is_not_found(tmp_path, place, file_format):
    with pytest.raises(NotFound):
        await read_all(archive(tmp_path, place, file_format=file_format))


async def test_a_file_on_another_machine_is_read_from_there(tmp_path):
    blocks = await read_all(archive(tmp_path, machine="there"))
    assert b"".join(blocks) == PCM
    assert {len(block) for block in blocks[:-1]} == {BLOCK_BYTES}


async def test_a_file_that_another_machine_has_uploaded_is_read_from_the_store(tmp_path):
    assert b"".join(await read_all(archive(tmp_path, "store", machine="there"))) == PCM
