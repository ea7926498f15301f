"""A process of its own that turns a stranger's audio file into PCM: 16 kHz, mono, 16 bit.

It is run by `sandbox.py` and imports nothing of the bridge. It waits for one line on its input, a JSON
object with the file's `path` and how many bytes of PCM to `skip` at its beginning, opens the file and shuts itself off; then it writes one line of JSON,
`{"duration": seconds or null}` once the first sound is decoded or `{"error": text}`, and then the PCM,
no faster than it is read. It ends with 0 when that was the whole file. Its memory, its processor time
and its files are limited, so that a hostile file harms nobody but itself.
"""

import json
import os
import resource
import sys
from collections.abc import Callable, Iterator
from typing import IO, Any, BinaryIO

import av
import av.codec
import av.error
import av.subtitles.stream  # PyAV imports it late, when behind the lock nothing can be imported
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer

MEMORY_BYTES = 1 << 30
PROCESSOR_SECONDS = 120
OPEN_FILES = 16
CODECS = frozenset(
    {"mp3", "mp3float", "opus", "libopus", "vorbis", "flac", "aac", "alac", "amrnb", "amrwb"}
    | {"gsm", "gsm_ms", "adpcm_ms", "adpcm_ima_wav", "adpcm_ima_qt"}
    | {name for name in av.codec.codecs_available if name.startswith("pcm_")}
)
"""The decoders that may run at all, also while FFmpeg looks what is in the file."""
RATES = range(4_000, 384_001)
"""Of so many samples a second is sound; a file that claims others is made to do harm, or damaged."""
MAX_CHANNELS = 8
MAX_DAMAGED = 50
"""So many packets one after the other that cannot be decoded are the end; fewer are passed over."""
HEAD_BYTES = 16
SYNC = 0xE0
"""The eleven bits with which an MPEG audio frame begins, as far as the second byte has them."""
LAYER = 0x06
"""The two bits behind that are 0 in AAC's ADTS frames (ISO 14496-3), and the layer in MP3's."""
MAGIC = {
    b"OggS": "ogg",
    b"fLaC": "flac",
    b"ID3": "mp3",
    b"#!AMR": "amr",
    b"\x1a\x45\xdf\xa3": "matroska",
}
MP4_ATOMS = frozenset({b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"})
"""What MP4 and QuickTime files begin with, behind a length of four bytes."""


class Refused(Exception):
    """The file is not one that is played; the text says why."""


def sniff(head: bytes) -> str:
    """Return the demuxer a file is for by its first bytes; its name and type are not believed.

    Raises:
        Refused: none of those that are allowed.
    """
    for start, kind in MAGIC.items():
        if head.startswith(start):
            return kind
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return "wav"
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "aiff"
    if head[4:8] in MP4_ATOMS:
        return "mov"
    if len(head) > 1 and head[0] == 0xFF and head[1] & SYNC == SYNC:
        return "aac" if head[1] & LAYER == 0 else "mp3"
    raise Refused(
        "not an audio file that can be played: expected WAV, MP3, Ogg, FLAC, AAC, AIFF, AMR, or "
        "MP4 or WebM with sound"
    )


def decode(file: BinaryIO) -> Iterator[tuple[float | None, bytes]]:
    """Yield the file's sound piece by piece, each with the duration that the file claims.

    Raises:
        Refused: the file has no sound that is allowed.
        av.error.FFmpegError: it is damaged.
    """
    kind = sniff(file.read(HEAD_BYTES))
    file.seek(0)
    # Only what is open already: a container that names others must not make us open them.
    options = {
        "fd": str(file.fileno()),
        "protocol_whitelist": "fd",
        "codec_whitelist": ",".join(sorted(CODECS)),
    }
    with av.open("fd:", format=kind, options=options) as container:
        if not container.streams.audio:
            raise Refused("the file has no sound")
        stream = container.streams.audio[0]
        # There is no context where FFmpeg knows of no coder.
        name = getattr(stream.codec_context, "name", "that its header names")
        if name not in CODECS:
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
            if damaged == MAX_DAMAGED:
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
    if frame.layout.nb_channels > MAX_CHANNELS:
        raise Refused(f"sound of more than {MAX_CHANNELS} channels is not played")


def _pcm(part: AudioFrame) -> bytes:
    return bytes(part.planes[0])[: part.samples * 2]


def serve(request: IO[bytes], answer: IO[bytes], lock: Callable[[], object]) -> int:
    """Answer the one request; returns the status to end with, 0 when all was written.

    Args:
        request: where the request is read from.
        answer: where the answer goes.
        lock: called once the file is open, before it is read.
    """
    line = request.readline()
    if not line:
        return 0
    began = False
    problem = "the file holds no sound"
    try:
        asked = json.loads(line)
        skip = asked.get("skip", 0)
        with open(asked["path"], "rb", buffering=0) as file:
            lock()
            for duration, pcm in decode(file):
                if not began:
                    _tell(answer, {"duration": duration})
                    began = True
                answer.write(pcm[skip:])
                skip = max(0, skip - len(pcm))
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


def main(lock: Callable[[], object]) -> None:
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
        status = serve(sys.stdin.buffer, sys.stdout.buffer, lock)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        pass
    os._exit(status)
