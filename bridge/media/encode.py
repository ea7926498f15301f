"""A process of its own that makes a copy of a finished recording: Ogg, WebM or MP4.

It is run by `sandbox.py` with SOURCE and TARGET, and imports nothing of the bridge. The target
is named like the copy, with `.part` behind it. A copy in Opus is exactly as long as its source, one in
AAC up to 64 ms longer. Its exit code says whether the target is there, whole and on disk.
"""

import os
import resource
from collections.abc import Callable, Mapping
from typing import BinaryIO, Literal

import av
import av.error
import av.subtitles.stream  # PyAV imports it late, when behind the lock nothing can be imported
from av.audio.resampler import AudioResampler

MEMORY_BYTES = 1 << 30
PROCESSOR_SECONDS = 1800
FILE_BYTES = 2 << 30
OPEN_FILES = 16
BIT_RATE = 32_000
"""More than wideband speech needs (RFC 6716, section 2.1.1), so that little effort does."""
OPUS = {"application": "voip", "compression_level": "0", "frame_duration": "60"}
CODECS: Mapping[str, Literal["libopus", "aac"]] = {
    "ogg": "libopus",
    "webm": "libopus",
    "mp4": "aac",
}
"""By container; every player of MP4 has AAC, few have Opus in it."""
PART = ".part"
"""How the name of a copy ends that is not whole yet."""
NICENESS = 15


def encode(source: BinaryIO, target: BinaryIO, form: str) -> None:
    """Write the copy of one open file into the other, as a container of `CODECS`.

    Raises:
        av.error.FFmpegError, OSError: the source cannot be read, or the target not be written.
    """
    reading = {
        "fd": str(source.fileno()),
        "protocol_whitelist": "fd",
        "codec_whitelist": "pcm_s16le",
    }
    with (
        av.open("fd:", format="wav", options=reading) as wav,
        av.open(target, "w", format=form) as copy,
    ):
        sound = wav.streams.audio[0]
        codec = CODECS[form]
        options = OPUS if codec == "libopus" else {}
        stream = copy.add_stream(codec, rate=sound.rate, layout="mono", options=options)
        stream.bit_rate = BIT_RATE
        # The encoder takes frames of one size; the last may be shorter.
        resampler = AudioResampler(
            format=stream.codec_context.format,
            layout="mono",
            rate=sound.rate,
            frame_size=stream.codec_context.frame_size,
        )
        for frame in wav.decode(sound):
            for part in resampler.resample(frame):
                copy.mux(stream.encode(part))
        for part in resampler.resample(None):
            copy.mux(stream.encode(part))
        copy.mux(stream.encode(None))


def main(lock: Callable[[], object], source: str, target: str) -> None:
    """Limit this process, open both files, shut it off, then encode."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_SECONDS, PROCESSOR_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o077)
    os.nice(NICENESS)
    av.logging.set_level(None)
    try:
        with open(source, "rb", buffering=0) as wav, open(target, "xb", buffering=0) as copy:
            lock()
            encode(wav, copy, target.removesuffix(PART).rpartition(".")[2])
            os.fsync(copy.fileno())
            written = copy.seek(0, os.SEEK_END)
    except (av.error.FFmpegError, OSError, MemoryError, ValueError, IndexError):
        os._exit(1)
    os._exit(0 if written else 1)
