"""What converts and writes media sockets' and streams' audio in compiled code, `bridge/rtc/stream_frames.c`."""

from typing import Any, Final

from bridge.audio.codec.resample import Polyphase
from bridge.audio.codec.sample_encoding import READINGS
from bridge.rtc.packet_path_library import Library
from bridge.wire.stream.media_format import (
    IN_PYTHON,
    Conversion,
    Convert,
    Encoding,
    MediaFormat,
    filter_from_bus,
    filter_to_bus,
)
from bridge.wire.stream.media_template import MediaTemplate, Place, WriteFrame

PIECE_BYTES: Final = 16_384
"""Longer audio is converted in pieces: one output buffer is large enough for all."""
_LANES: Final = 8
"""The taps of each filter in C are a multiple of this."""


def compiled_conversion(library: Library) -> Conversion:
    """Return the conversion in C, which leaves unusual sample rates, and messages with much text, to Python."""
    frames = _Frames(library)
    return Conversion(frames.to_bus, frames.from_bus, frames.writer, frames.roughness)


class _Frames:
    """Makes converters, which share filters and their output buffer."""

    def __init__(self, library: Library) -> None:
        self.ffi: Any = library.ffi
        self.lib = library.lib
        # A byte becomes a 32-bit float in each phase, at most.
        self.room = 4 * self.lib.FRAMES_PHASES * (PIECE_BYTES + 1)
        self.output = self.ffi.new("char[]", self.room)
        self._found = self.ffi.new("double[]", len(READINGS))
        self._codes = {
            Encoding.S16LE: self.lib.FRAMES_S16LE,
            Encoding.F32LE: self.lib.FRAMES_F32LE,
            Encoding.MULAW: self.lib.FRAMES_MULAW,
        }
        self._filters: dict[tuple[int, int, int], Any] = {}

    def to_bus(self, media: MediaFormat) -> Convert:
        """See `Conversion`."""
        polyphase = filter_to_bus(media)
        if not self._converts(media, polyphase):
            return IN_PYTHON.to_bus(media)
        return self._converter(media.encoding, Encoding.S16LE, polyphase)

    def from_bus(self, media: MediaFormat) -> Convert:
        """See `Conversion`."""
        polyphase = filter_from_bus(media)
        if not self._converts(media, polyphase):
            return IN_PYTHON.from_bus(media)
        return self._converter(Encoding.S16LE, media.encoding, polyphase)

    def writer(self, template: MediaTemplate) -> WriteFrame:
        """See `Conversion`."""
        text = b"".join(part for part in template.parts if isinstance(part, bytes))
        places = [part for part in template.parts if isinstance(part, Place)]
        if len(text) > self.lib.FRAMES_TEXT or len(places) > self.lib.FRAMES_PARTS:
            return IN_PYTHON.frames(template)
        layout: Any = self.ffi.new("frames_template *", {"size": len(text), "places": len(places)})
        layout.text[0 : len(text)] = text
        end = number = 0
        for part in template.parts:
            if isinstance(part, Place):
                layout.kinds[number], layout.ends[number] = part, end
                number += 1
            else:
                end += len(part)
        return _Writer(self, layout, IN_PYTHON.frames(template)).write

    def roughness(self, data: bytes) -> list[float]:
        """See `Conversion`."""
        self.lib.frames_roughness(data, len(data), self._found)
        return list(self._found)

    def _converts(self, media: MediaFormat, polyphase: Polyphase | None) -> bool:
        if polyphase is None:
            return media.encoding is not Encoding.S16LE
        phases, taps = polyphase.rows.shape
        return bool(phases <= self.lib.FRAMES_PHASES and taps <= self.lib.FRAMES_TAPS)

    def _converter(
        self, source: Encoding, target: Encoding, polyphase: Polyphase | None
    ) -> Convert:
        state: Any = self.ffi.new(
            "frames_converter *", {"source": self._codes[source], "target": self._codes[target]}
        )
        if polyphase is not None:
            state.filter, state.next = self._filter(polyphase), polyphase.first
        return _Converter(self, state).convert

    def _filter(self, polyphase: Polyphase) -> Any:  # noqa: ANN401  (cffi has no static type)
        phases, taps = polyphase.rows.shape
        key = (phases, polyphase.down, taps)
        if key not in self._filters:
            made: Any = self.ffi.new("frames_filter *", {"up": phases, "down": polyphase.down})
            padding = -taps % _LANES
            made.taps = taps + padding
            for number, row in enumerate(polyphase.rows):
                made.rows[number][padding : padding + taps] = row.tolist()
            self._filters[key] = made
        return self._filters[key]


class _Writer:
    """The messages of one track."""

    __slots__ = ("_buffer", "_frames", "_in_python", "_layout", "_output", "_room", "_write")

    def __init__(self, frames: _Frames, layout: Any, in_python: WriteFrame) -> None:  # noqa: ANN401
        self._frames = frames  # owns the buffer
        self._layout = layout
        self._in_python = in_python
        self._write, self._buffer = frames.lib.frames_write, frames.ffi.buffer
        self._output, self._room = frames.output, frames.room

    def write(self, audio: bytes, mask: bytes, *numbers: int) -> bytes:
        """Write a frame (`WriteFrame`)."""
        output = self._output
        made = self._write(self._layout, audio, len(audio), mask, *numbers, output, self._room)
        if made < 0:
            return self._in_python(audio, mask, *numbers)
        frame: bytes = self._buffer(output, made)[:]
        return frame


class _Converter:
    """One direction of one stream."""

    __slots__ = ("_buffer", "_convert", "_frames", "_output", "_room", "_state")

    def __init__(self, frames: _Frames, state: Any) -> None:  # noqa: ANN401
        self._frames = frames  # owns the filter and the buffer
        self._state = state
        self._convert, self._buffer = frames.lib.frames_convert, frames.ffi.buffer
        self._output, self._room = frames.output, frames.room

    def convert(self, data: bytes) -> bytes:
        """Convert whole samples (`Convert`)."""
        size = len(data)
        if size > PIECE_BYTES:
            begins = range(0, size, PIECE_BYTES)
            return b"".join(self.convert(data[begin : begin + PIECE_BYTES]) for begin in begins)
        output = self._output
        made = self._convert(self._state, data, size, output, self._room)
        converted: bytes = self._buffer(output, made)[:]
        return converted
