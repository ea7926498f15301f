"""A process of its own that turns a stranger's audio file into PCM: 16 kHz, mono, 16 bit.

It is run as a script and imports nothing of the bridge. It waits for one line on its input, a JSON
object with the file's `path`; then it writes one line of JSON, `{"duration": seconds or null}` once
the first sound is decoded or `{"error": text}`, and then the PCM, no faster than it is read. It ends
with 0 when that was the whole file. Its memory, its processor time and its files are limited, so
that a hostile file harms nobody but itself.
"""

import json
import os
import resource
import sys
from collections.abc import Iterator
from typing import IO, Any

import av
import av.error
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer

MEMORY_BYTES = 1 << 30
PROCESSOR_SECONDS = 120
OPEN_FILES = 16
CODECS = frozenset({"mp3", "mp3float", "opus", "libopus", "vorbis", "flac", "aac", "alac"})
RATES = range(4_000, 384_001)
"""Of so many samples a second is sound; a file that claims others is made to do harm, or damaged."""
MOST_CHANNELS = 8
MOST_DAMAGED = 50
"""So many packets one after the other that cannot be decoded are the end; fewer are passed over."""
HEAD_BYTES = 16
SYNC = 0xE0
"""The eleven bits with which an MPEG audio frame begins, as far as the second byte has them."""


class Refused(Exception):
    """The file is not one that is played; the text says why."""


def sniff(head: bytes) -> str:
    """Say by its first bytes which demuxer a file is for; its name and type are not believed.

    Raises:
        Refused: none of those that are allowed.
    """
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return "wav"
    if head[:4] == b"OggS":
        return "ogg"
    if head[:4] == b"fLaC":
        return "flac"
    if head[4:8] == b"ftyp":
        return "mov"
    if head[:3] == b"ID3" or (len(head) > 1 and head[0] == 0xFF and head[1] & SYNC == SYNC):
        return "mp3"
    raise Refused("not an audio file that can be played: expected WAV, MP3, Ogg, FLAC or M4A")


def decode(path: str) -> Iterator[tuple[float | None, bytes]]:
    """Give the file's sound piece by piece, each with the duration that the file claims.

    Raises:
        Refused: the file has no sound that is allowed.
        av.error.FFmpegError: it is damaged.
    """
    with open(path, "rb") as file:
        kind = sniff(file.read(HEAD_BYTES))
    # Only the file itself: a container that names others must not make us open them.
    with av.open(path, format=kind, options={"protocol_whitelist": "file"}) as container:
        if not container.streams.audio:
            raise Refused("the file has no sound")
        stream = container.streams.audio[0]
        # There is no context where FFmpeg knows of no coder.
        name = getattr(stream.codec_context, "name", "that its header names")
        if name not in CODECS and not name.startswith("pcm_"):
            raise Refused(f"sound of the kind {name} is not played")
        length = container.duration
        duration = length / av.time_base if length is not None else None
        resampler, form = None, None
        for frame in _frames(container, stream):
            if form != (form := (frame.format.name, frame.layout.name, frame.sample_rate)):
                _check(frame)
                if resampler is not None:
                    yield from ((duration, _pcm(part)) for part in resampler.resample(None))
                resampler = AudioResampler(format="s16", layout="mono", rate=16000)
            if resampler is not None:
                yield from ((duration, _pcm(part)) for part in resampler.resample(frame))
        if resampler is not None:
            yield from ((duration, _pcm(part)) for part in resampler.resample(None))


def _frames(container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
    damaged = 0
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            damaged += 1
            if damaged == MOST_DAMAGED:
                raise
            continue
        for frame in frames:
            damaged = 0
            if isinstance(frame, AudioFrame):
                frame.pts = None  # times in the file are of no account
                yield frame


def _check(frame: AudioFrame) -> None:
    if frame.sample_rate not in RATES:
        raise Refused(f"sound of {frame.sample_rate} Hz is not played")
    if frame.layout.nb_channels > MOST_CHANNELS:
        raise Refused(f"sound of more than {MOST_CHANNELS} channels is not played")


def _pcm(part: AudioFrame) -> bytes:
    return bytes(part.planes[0])[: part.samples * 2]


def serve(request: IO[bytes], answer: IO[bytes]) -> int:
    """Answer the one request; returns the status to end with, 0 when all was told."""
    line = request.readline()
    if not line:
        return 0
    began = False
    problem = "the file holds no sound"
    try:
        for duration, pcm in decode(json.loads(line)["path"]):
            if not began:
                _tell(answer, {"duration": duration})
                began = True
            answer.write(pcm)
        if began:
            return 0
    except BrokenPipeError:
        return 1
    except Refused as error:
        problem = str(error)
    except (av.error.FFmpegError, OSError, MemoryError, ValueError):
        problem = "the file is damaged and cannot be decoded"
    if not began:
        _tell(answer, {"error": problem})
    return 1


def _tell(answer: IO[bytes], message: dict[str, Any]) -> None:
    answer.write(json.dumps(message).encode() + b"\n")
    answer.flush()


def main() -> None:
    """Limit this process, then serve."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_SECONDS, PROCESSOR_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(5)
    av.logging.set_level(None)
    status = 1
    try:
        status = serve(sys.stdin.buffer, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        pass
    os._exit(status)


if __name__ == "__main__":
    main()
