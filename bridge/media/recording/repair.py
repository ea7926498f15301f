"""Finishes the files of recordings whose process was killed, or goes on with them."""

import os
from pathlib import Path

from msgspec.structs import replace

from bridge.audio.file.formats import WAV
from bridge.audio.file.ogg import MAX_PAGE, PRE_SKIP, RATE, as_last, last_page
from bridge.audio.file.track_file import TrackSnapshot, WavSnapshot
from bridge.audio.file.wav import BYTES_PER_SECOND, HEADER_BYTES, make_header
from bridge.audio.frame import FRAME_BYTES
from bridge.call.recording import Recording, Written
from bridge.errors import HandoverRefused


def repair(folder: Path, recording: Recording) -> Written:
    """Make the file of a recording whole, and return what it holds; of a mix, the files of both sides."""
    mend = repair_wav if recording.file_format == WAV else repair_ogg
    return Written.sum(mend(folder / key) for key in recording.mixed_from or (recording.key,))


def written(path: Path, before: TrackSnapshot) -> TrackSnapshot:
    """Return a track as its file has it, of which a process has died that went on writing after `before`.

    What follows the last whole frame or page in the file is to be overwritten.

    Raises:
        HandoverRefused: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            if isinstance(before, WavSnapshot):
                frames = max(0, size - HEADER_BYTES) // FRAME_BYTES
                track = replace(before.track, frames=frames)
                return replace(before, track=track, written_bytes=frames * FRAME_BYTES)
            offset = file.seek(max(0, size - 2 * MAX_PAGE))
            page = last_page(file.read())
    except FileNotFoundError:
        return before
    except OSError:
        raise HandoverRefused("the file of a recording cannot be read") from None
    if page is None or not page.number:  # the head is two pages
        return before
    return replace(
        before,
        track=replace(before.track, end=page.granule, placed_end=page.granule),
        pages=page.number + 1,
        written_bytes=offset + page.end,
    )


def set_size(path: Path, whole: int, size: int) -> None:
    """Cut off what follows so many whole bytes of a file, and extend it with zeros, which are silence, to a size.

    Raises:
        OSError: the disk does not allow it.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        for length in (whole, size):
            os.ftruncate(descriptor, length)
    finally:
        os.close(descriptor)


def repair_wav(path: Path) -> Written:
    """Correct the length in a file's header."""
    try:
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.write(make_header(max(0, size - HEADER_BYTES)))
    except OSError:
        return Written()
    return Written(size, max(0, size - HEADER_BYTES) / BYTES_PER_SECOND)


def repair_ogg(path: Path) -> Written:
    """Cut off a page that is not complete, and mark the last one as such."""
    try:
        with path.open("r+b") as file:
            size = file.seek(0, 2)
            offset = file.seek(max(0, size - 2 * MAX_PAGE))
            piece = file.read()
            page = last_page(piece)
            if page is None or page.granule <= PRE_SKIP:
                return Written()
            file.seek(offset + page.start)
            file.write(as_last(piece[page.start : page.end]))
            file.truncate()
    except OSError:
        return Written()
    return Written(offset + page.end, (page.granule - PRE_SKIP) / RATE)
