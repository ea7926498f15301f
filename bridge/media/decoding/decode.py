"""A child process that decodes an untrusted audio file to PCM: 16 kHz, mono, 16 bit.

Run by `sandbox.py`; imports nothing of the bridge. It reads one line of JSON with the file's `path`
and the bytes of PCM to `skip`, opens the file and enters the sandbox. It writes one line of JSON,
`{"duration": seconds or null}` or `{"error": text}`, then the PCM, no faster than it is read, and
exits with 0 at the end of the file.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator
from typing import IO, Any, BinaryIO

import av
import av.codec
import av.error
import av.subtitles.stream  # PyAV imports it late, inside the sandbox, where that fails
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer

PROCESSOR_SECONDS = 120
FILE_BYTES = 0
NICENESS = 5
CODECS = frozenset(
    {"mp3", "mp3float", "opus", "libopus", "vorbis", "flac", "aac", "alac", "amrnb", "amrwb"}
    | {"gsm", "gsm_ms", "adpcm_ms", "adpcm_ima_wav", "adpcm_ima_qt"}
    | {name for name in av.codec.codecs_available if name.startswith("pcm_")}
)
"""The allowed decoders, also while FFmpeg probes the file."""
RATES = range(4_000, 384_001)
"""Accepted sample rates; others mean a hostile or damaged file."""
MAX_CHANNELS = 8
MAX_DAMAGED = 50
"""Consecutive undecodable packets that end decoding; fewer are skipped."""
HEADER_BYTES = 16
SYNC = 0xE0
"""The MPEG audio sync bits in the second byte."""
LAYER = 0x06
"""The layer bits: 0 in AAC's ADTS frames (ISO 14496-3)."""
MAGIC = {
    b"OggS": "ogg",
    b"fLaC": "flac",
    b"ID3": "mp3",
    b"#!AMR": "amr",
    b"\x1a\x45\xdf\xa3": "matroska",
}
MP4_ATOMS = frozenset({b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"})
"""First atoms of MP4 and QuickTime files, after a length of four bytes."""


class Refused(Exception):
    """Raised when the file cannot be played; the text says why."""


def sniff(head: bytes) -> str:
    """Return the demuxer for a file by its first bytes; its name and content type are ignored.

    Raises:
        Refused: The format is not allowed.
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
        "MP4 or WebM with audio"
    )


def decode(file: BinaryIO) -> Iterator[tuple[float | None, bytes]]:
    """Yield the file's PCM in pieces, each with the duration that the file declares.

    Raises:
        Refused: The file has no audio of an allowed kind.
        av.error.FFmpegError: It is damaged.
    """
    kind = sniff(file.read(HEADER_BYTES))
    file.seek(0)
    # Only the open file: a container must not make us open others.
    options = {
        "fd": str(file.fileno()),
        "protocol_whitelist": "fd",
        "codec_whitelist": ",".join(sorted(CODECS)),
    }
    with av.open("fd:", format=kind, options=options) as container:
        if not container.streams.audio:
            raise Refused("the file has no audio")
        stream = container.streams.audio[0]
        # There is no context for a codec that FFmpeg does not know.
        name = getattr(stream.codec_context, "name", "in its header")
        if name not in CODECS:
            raise Refused(f"the codec {name} is not supported")
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
                frame.pts = None  # timestamps in the file are ignored
                yield frame


def _check(frame: AudioFrame) -> None:
    if frame.sample_rate not in RATES:
        raise Refused(f"a sample rate of {frame.sample_rate} Hz is not supported")
    if frame.layout.nb_channels > MAX_CHANNELS:
        raise Refused(f"more than {MAX_CHANNELS} channels are not supported")


def _pcm(part: AudioFrame) -> bytes:
    return bytes(part.planes[0])[: part.samples * 2]


def serve(request: IO[bytes], answer: IO[bytes], lock: Callable[[], object]) -> int:
    """Serve the one request and return the exit status.

    `lock` is called after the file is opened and before it is read.
    """
    line = request.readline()
    if not line:
        return 0
    began = False
    problem = "the file has no audio"
    try:
        asked = json.loads(line)
        skip = asked.get("skip", 0)
        with open(asked["path"], "rb", buffering=0) as file:
            lock()
            for duration, pcm in decode(file):
                if not began:
                    _respond(answer, {"duration": duration})
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
        _respond(answer, {"error": problem})
    return 1


def _respond(answer: IO[bytes], message: dict[str, Any]) -> None:
    answer.write(json.dumps(message).encode() + b"\n")
    answer.flush()


def main(lock: Callable[[], object]) -> None:
    """Serve the request on stdin, and exit."""
    av.logging.set_level(None)
    status = 1
    try:
        status = serve(sys.stdin.buffer, sys.stdout.buffer, lock)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        pass
    os._exit(status)
