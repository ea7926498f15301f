"""Reads the audio of a recording, wherever its file is."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from pathlib import Path
from typing import Final

from bridge.audio.file.formats import WAV
from bridge.audio.file.wav import BYTES_PER_SECOND, HEADER_BYTES
from bridge.call.recording import Recording
from bridge.errors import NotFound
from bridge.media.machine_files import node_path
from bridge.media.recording.archive import Archive
from bridge.media.recording.uploader import RecordingUploader
from bridge.stores.recording_files import File, FileLocation

BLOCK_BYTES: Final = BYTES_PER_SECOND
"""A second at a time, so that whoever processes it does not hold up calls."""


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
    file = await archive.files.find(recording.recording_id, WAV)
    if file is None and recording.file_format != WAV:
        async with uploader.copies.temporary_wav(recording) as converted:
            async for block in _read_local(converted):
                yield block
        return
    if file is None:
        raise NotFound("the recording's file no longer exists")
    path = archive.folder / file.key
    if archive.is_here(file.machine) and path.is_file():
        blocks = _read_local(path)
    else:
        blocks = _in_blocks(_read_remote(archive, uploader, file))
    async for block in blocks:
        yield block


def _read_remote(archive: Archive, uploader: RecordingUploader, file: File) -> AsyncIterator[bytes]:
    """Return the samples of a file that is in the store or on another machine, in pieces."""
    if archive.is_here(file.machine) and file.place == FileLocation.KEPT:
        raise NotFound("the recording's file no longer exists")
    if archive.is_here(file.machine) or file.place == FileLocation.STORE:
        return uploader.store.read(file.key, HEADER_BYTES, file.size_bytes)
    return archive.elsewhere.read(
        file.machine,
        node_path(file.recording_id, file.format),
        headers={"Range": f"bytes={HEADER_BYTES}-"},
    )


async def _in_blocks(pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
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
    # Dropped at the end it closes the file, also in the thread that opens it while this is cancelled.
    blocks = _blocks(path)
    while block := await asyncio.to_thread(next, blocks, b""):
        yield block


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(HEADER_BYTES)
        while block := file.read(BLOCK_BYTES):
            yield block
