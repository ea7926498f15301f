"""Finishes the files of recordings whose process was killed."""

from pathlib import Path

from bridge.audio.file.formats import WAV
from bridge.audio.file.ogg import MAX_PAGE, PRE_SKIP, RATE, as_last, last_page
from bridge.audio.file.wav import BYTES_PER_SECOND, HEADER_BYTES, make_header
from bridge.call.recording import Recording, Written


def repair(folder: Path, recording: Recording) -> Written:
    """Make the file of a recording whole, and return what it holds; of a mix, the files of both sides."""
    mend = repair_wav if recording.file_format == WAV else repair_ogg
    return Written.sum(mend(folder / key) for key in recording.mixed_from or (recording.key,))


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
