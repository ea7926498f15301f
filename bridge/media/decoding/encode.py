"""A child process that converts a finished recording to WAV, Ogg, WebM or MP4, or mixes two.

Run by `sandbox.py` with SAMPLES, SOURCE..., and TARGET; imports nothing of the bridge. TARGET is the copy's name
with `.part` appended. A source is a WAV of 16 kHz or an Ogg/Opus file; SAMPLES at 16 kHz is how long the copy is to be, 0 as
long as its source. An AAC copy is up to 64 ms longer. The exit code is 0 if the target is complete and synced.
"""

import os
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import BinaryIO, Literal

import av
import av.error
import av.subtitles.stream  # PyAV imports it late, inside the sandbox, where that fails
import numpy as np
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


RATE = 16_000
SUFFIXES = {".wav": ("wav", "pcm_s16le"), ".ogg": ("ogg", "opus,libopus")}
"""Container and codecs by the suffix of a source."""


def read(source: BinaryIO, suffix: str) -> Iterator[bytes]:
    """Yield the samples of an open file, 16-bit mono at 16 kHz.

    Raises:
        av.error.FFmpegError: The source cannot be read.
    """
    container, codecs = SUFFIXES[suffix]
    options = {
        "fd": str(source.fileno()),
        "protocol_whitelist": "fd",
        "codec_whitelist": codecs,
    }
    with av.open("fd:", format=container, options=options) as opened:
        audio = opened.streams.audio[0]
        resampler = AudioResampler(format="s16", layout="mono", rate=RATE)
        for frame in opened.decode(audio):
            for part in resampler.resample(frame):
                yield part.to_ndarray().tobytes()
        for part in resampler.resample(None):
            yield part.to_ndarray().tobytes()


def cut(pieces: Iterator[bytes], samples: int) -> Iterator[bytes]:
    """Yield pieces of a second, in all exactly as long as wanted, with silence at the end; 0 as they are."""
    left, rest = 2 * samples, b""
    for piece in pieces:
        rest += piece
        if samples:
            rest = rest[:left]
        while len(rest) >= 2 * RATE:
            yield rest[: 2 * RATE]
            rest, left = rest[2 * RATE :], left - 2 * RATE
    if samples:
        rest += bytes(left - len(rest))
    for start in range(0, len(rest), 2 * RATE):
        yield rest[start : start + 2 * RATE]


def mix(sources: Sequence[Iterator[bytes]]) -> Iterator[bytes]:
    """Yield the sum of equally long sources; beyond full scale it is clipped."""
    if len(sources) == 1:
        yield from sources[0]
        return
    for pieces in zip(*sources, strict=True):
        total = sum(np.frombuffer(piece, np.int16).astype(np.int32) for piece in pieces)
        yield np.clip(total, -32768, 32767).astype(np.int16).tobytes()


def encode(pieces: Iterator[bytes], target: BinaryIO, file_format: str) -> None:
    """Encode samples into an open file; `file_format` is a key of `CODECS`.

    Raises:
        av.error.FFmpegError, OSError: The target cannot be written.
    """
    with av.open(target, "w", format=file_format) as copy:
        codec = CODECS[file_format]
        options = OPUS if codec == "libopus" else {}
        stream = copy.add_stream(codec, rate=RATE, layout="mono", options=options)
        stream.bit_rate = BIT_RATE
        # The encoder needs frames of a fixed size, except the last one.
        resampler = AudioResampler(
            format=stream.codec_context.format,
            layout="mono",
            rate=RATE,
            frame_size=stream.codec_context.frame_size,
        )
        position = 0
        for piece in pieces:
            frame = av.AudioFrame.from_ndarray(
                np.frombuffer(piece, np.int16).reshape(1, -1), format="s16", layout="mono"
            )
            frame.sample_rate, frame.pts = RATE, position
            position += frame.samples
            for part in resampler.resample(frame):
                copy.mux(stream.encode(part))
        for part in resampler.resample(None):
            copy.mux(stream.encode(part))
        copy.mux(stream.encode(None))


def write_wav(pieces: Iterator[bytes], target: BinaryIO) -> None:
    """Write samples as a WAV file with the 44-byte header of all recordings."""
    length = 0
    target.seek(44)
    for piece in pieces:
        target.write(piece)
        length += len(piece)
    target.seek(0)
    target.write(
        struct.pack("<4sI4s4sIHH", b"RIFF", length + 36, b"WAVE", b"fmt ", 16, 1, 1)
        + struct.pack("<IIHH4sI", RATE, 2 * RATE, 2, 16, b"data", length)
    )


def main(lock: Callable[[], object], samples: str, *paths: str) -> None:
    """Open all files, enter the sandbox, convert, and exit."""
    os.umask(0o077)
    av.logging.set_level(None)
    *sources, target = paths
    try:
        with ExitStack() as stack, open(target, "xb", buffering=0) as copy:
            opened = [stack.enter_context(open(path, "rb", buffering=0)) for path in sources]
            lock()
            decoded = [
                cut(read(file, os.path.splitext(path)[1]), int(samples))
                for file, path in zip(opened, sources, strict=True)
            ]
            file_format = target.removesuffix(PART).rpartition(".")[2]
            if file_format == "wav":
                write_wav(mix(decoded), copy)
            else:
                encode(mix(decoded), copy, file_format)
            os.fsync(copy.fileno())
            written = copy.seek(0, os.SEEK_END)
    except (av.error.FFmpegError, OSError, MemoryError, ValueError, IndexError):
        os._exit(1)
    os._exit(0 if written else 1)
