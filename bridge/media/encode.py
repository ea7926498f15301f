"""A child process that converts a finished recording to Ogg, WebM or MP4.

Run by `sandbox.py` with SOURCE and TARGET; imports nothing of the bridge. TARGET is the copy's name
with `.part` appended. An Opus copy is exactly as long as its source, an AAC one up to 64 ms longer.
The exit code is 0 if the target is complete and synced.
"""

import os
from collections.abc import Callable, Mapping
from typing import BinaryIO, Literal

import av
import av.error
import av.subtitles.stream  # PyAV imports it late, inside the sandbox, where that fails
from av.audio.resampler import AudioResampler

PROCESSOR_SECONDS = 1800
FILE_BYTES = 2 << 30
NICENESS = 15
BIT_RATE = 32_000
"""More than wideband speech needs (RFC 6716 §2.1.1), so that a low complexity suffices."""
OPUS = {"application": "voip", "compression_level": "0", "frame_duration": "60"}
CODECS: Mapping[str, Literal["libopus", "aac"]] = {
    "ogg": "libopus",
    "webm": "libopus",
    "mp4": "aac",
}
"""By container; few players support Opus in MP4."""
PART = ".part"
"""Suffix of an incomplete copy."""


def encode(source: BinaryIO, target: BinaryIO, form: str) -> None:
    """Convert one open file into another; `form` is a key of `CODECS`.

    Raises:
        av.error.FFmpegError, OSError: The source cannot be read or the target cannot be written.
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
        audio = wav.streams.audio[0]
        codec = CODECS[form]
        options = OPUS if codec == "libopus" else {}
        stream = copy.add_stream(codec, rate=audio.rate, layout="mono", options=options)
        stream.bit_rate = BIT_RATE
        # The encoder needs frames of a fixed size, except the last one.
        resampler = AudioResampler(
            format=stream.codec_context.format,
            layout="mono",
            rate=audio.rate,
            frame_size=stream.codec_context.frame_size,
        )
        for frame in wav.decode(audio):
            for part in resampler.resample(frame):
                copy.mux(stream.encode(part))
        for part in resampler.resample(None):
            copy.mux(stream.encode(part))
        copy.mux(stream.encode(None))


def main(lock: Callable[[], object], source: str, target: str) -> None:
    """Open both files, enter the sandbox, encode, and exit."""
    os.umask(0o077)
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
