"""A process of its own that makes an Ogg/Opus copy of a finished recording.

It is run by `sandbox.py` with SOURCE and TARGET, and imports nothing of the bridge. The copy is
exactly as long as its source. Its exit code says whether the target is there, whole and on disk.
"""

import os
import resource
from collections.abc import Callable
from typing import BinaryIO

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
COMPLEXITY = "0"
FRAME_MILLISECONDS = "60"
NICENESS = 15


def encode(source: BinaryIO, target: BinaryIO) -> None:
    """Write the copy of one open file into the other.

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
        av.open(target, "w", format="ogg") as ogg,
    ):
        sound = wav.streams.audio[0]
        stream = ogg.add_stream(
            "libopus",
            rate=sound.rate,
            layout="mono",
            options={
                "application": "voip",
                "compression_level": COMPLEXITY,
                "frame_duration": FRAME_MILLISECONDS,
            },
        )
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
                ogg.mux(stream.encode(part))
        for part in resampler.resample(None):
            ogg.mux(stream.encode(part))
        ogg.mux(stream.encode(None))


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
        with open(source, "rb", buffering=0) as wav, open(target, "xb", buffering=0) as ogg:
            lock()
            encode(wav, ogg)
            os.fsync(ogg.fileno())
            written = ogg.seek(0, os.SEEK_END)
    except (av.error.FFmpegError, OSError, MemoryError, ValueError, IndexError):
        os._exit(1)
    os._exit(0 if written else 1)
