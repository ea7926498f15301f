"""A process of its own that turns a stranger's audio file into PCM: 16 kHz, mono, 16 bit.

It is run as a script and imports nothing of the bridge. It waits for one line on its input, a JSON
object with the file's `path`; then it writes one line of JSON, `{"duration": seconds or null}` once
the first sound is decoded or `{"error": text}`, and then the PCM, no faster than it is read. Its
memory, its processor time and its files are limited, so that a hostile file harms nobody but itself.
"""

import json
import os
import resource
import sys
from collections.abc import Iterator
from typing import IO, Any

import av
import av.error
from av.audio.resampler import AudioResampler

MEMORY_BYTES = 1 << 30
PROCESSOR_SECONDS = 120
OPEN_FILES = 16
CODECS = frozenset({"mp3", "mp3float", "opus", "libopus", "vorbis", "flac", "aac", "alac"})
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
        name = stream.codec_context.name
        if name not in CODECS and not name.startswith("pcm_"):
            raise Refused(f"sound of the kind {name} is not played")
        length = container.duration
        duration = length / av.time_base if length is not None else None
        resampler = AudioResampler(format="s16", layout="mono", rate=16000)
        for frame in container.decode(stream):
            for part in resampler.resample(frame):
                yield duration, bytes(part.planes[0])[: part.samples * 2]
        for part in resampler.resample(None):
            yield duration, bytes(part.planes[0])[: part.samples * 2]


def serve(request: IO[bytes], answer: IO[bytes]) -> None:
    """Answer the one request."""
    line = request.readline()
    if not line:
        return
    began = False
    try:
        for duration, pcm in decode(json.loads(line)["path"]):
            if not began:
                _tell(answer, {"duration": duration})
                began = True
            answer.write(pcm)
        if not began:
            _tell(answer, {"error": "the file holds no sound"})
    except BrokenPipeError:
        return
    except Refused as error:
        if not began:
            _tell(answer, {"error": str(error)})
    except (av.error.FFmpegError, OSError, MemoryError, ValueError):
        if not began:
            _tell(answer, {"error": "the file is damaged and cannot be decoded"})


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
    try:
        serve(sys.stdin.buffer, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
