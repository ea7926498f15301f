"""Finishes the files of recordings whose process was killed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bridge.audio.file.ogg import MAX_PAGE, PRE_SKIP, RATE, as_last, last_page
from bridge.audio.file.wav import make_header
from bridge.audio.frame import SAMPLE_RATE
from bridge.media.recording.files import OGG, WAV_HEADER
from bridge.media.recording.rows import Recording

BYTES_PER_SECOND: Final = 2 * SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a file holds."""

    size_bytes: int = 0
    """0 if there is no file, or nothing in it."""
    seconds: float = 0.0


def repair(folder: Path, recording: Recording) -> Repaired:
    """Make the file of a recording whole, and return what it holds; of a mix, the files of both sides."""
    if recording.file_format != OGG:
        return repair_wav(folder / recording.key)
    found = [repair_ogg(folder / key) for key in recording.mixed_from or (recording.key,)]
    size = sum(one.size_bytes for one in found)
    return Repaired(size, max(one.seconds for one in found))


def repair_wav(path: Path) -> Repaired:
    """Correct the length in a file's header."""
    try:
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.write(make_header(max(0, size - WAV_HEADER)))
    except OSError:
        return Repaired()
    return Repaired(size, max(0, size - WAV_HEADER) / BYTES_PER_SECOND)


def repair_ogg(path: Path) -> Repaired:
    """Cut off a page that is not complete, and mark the last one as such."""
    try:
        with path.open("r+b") as file:
            size = file.seek(0, 2)
            offset = file.seek(max(0, size - 2 * MAX_PAGE))
            piece = file.read()
            page = last_page(piece)
            if page is None or page.granule <= PRE_SKIP:
                return Repaired()
            file.seek(offset + page.start)
            file.write(as_last(piece[page.start : page.end]))
            file.truncate()
    except OSError:
        return Repaired()
    return Repaired(offset + page.end, (page.granule - PRE_SKIP) / RATE)
