"""Reads the audio of a recording, wherever its file is."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import BinaryIO, Final

from bridge.errors import NotFound
from bridge.media.archive import BYTES_PER_SECOND, HEADER_BYTES, Archive
from bridge.media.files import WAV, File, FileLocation
from bridge.media.recording_rows import Recording
from bridge.media.uploader import RecordingUploader

BLOCK_BYTES: Final = BYTES_PER_SECOND
"""A second at a time, so that whoever processes it does not hold up calls."""


def node_path(file: File) -> str:
    """Return the path of a file for `MachineFiles`."""
    return f"/recordings/{file.recording_id}/{file.format}"


async def read_audio(
    archive: Archive, uploader: RecordingUploader, recording: Recording
) -> AsyncGenerator[bytes, None]:
    """Yield the samples of a finished recording in blocks of whole frames; the last one may be short.

    Raises:
        NotFound: it has no file any more.
        FileUnavailable: the machine that has it is gone.
        StoreFailed: the store that has it failed.
        OSError: the disk failed.
    """
    files = await archive.files.of(recording.recording_id)
    file = next((one for one in files if one.format == WAV), None)
    if file is None:
        raise NotFound("the recording's file no longer exists")
    path = archive.folder / file.key
    if archive.is_here(file.machine) and path.is_file():
        async for block in _read_local(path):
            yield block
        return
    if archive.is_here(file.machine) and file.place == FileLocation.KEPT:
        raise NotFound("the recording's file no longer exists")
    if archive.is_here(file.machine) or file.place == FileLocation.STORE:
        pieces = uploader.store.read(file.key, HEADER_BYTES, file.size_bytes)
    else:
        pieces = archive.elsewhere.read(
            file.machine, node_path(file), headers={"Range": f"bytes={HEADER_BYTES}-"}
        )
    rest = b""
    async for piece in pieces:
        rest += piece
        while len(rest) >= BLOCK_BYTES:
            yield rest[:BLOCK_BYTES]
            rest = rest[BLOCK_BYTES:]
            await asyncio.sleep(0)
    if rest:
        yield rest


async def _read_local(path: Path) -> AsyncGenerator[bytes, None]:
    file = await asyncio.to_thread(_open, path)
    try:
        while block := await asyncio.to_thread(file.read, BLOCK_BYTES):
            yield block
    finally:
        file.close()


def _open(path: Path) -> BinaryIO:
    file = path.open("rb")
    file.seek(HEADER_BYTES)
    return file
