"""Which packets belong to the source: not those of lines that were not taken, nor of a source that it replaced."""

from typing import TYPE_CHECKING, Final

from bridge.wire.rtp.packet import HEADER_BYTES, VERSION
from bridge.wire.sdp.negotiated_audio import NegotiatedAudio

if TYPE_CHECKING:
    from bridge.audio.codec.codec import Codec

SILENT_SECONDS: Final = 0.07
"""After its last packet the source counts as silent: three packets of 20 ms later."""

_NO_SSRC: Final = -1


class SourceFilter:
    """The SSRC of the source, and the payload types that it may send."""

    __slots__ = ("_refused", "audio_types", "codecs", "previous", "refused", "ssrc", "unknown")

    def __init__(self) -> None:
        self.ssrc = self.previous = _NO_SSRC
        self.codecs: dict[int, Codec] = {}
        """By payload type."""
        self.audio_types = bytearray(256)
        """By the second byte of a packet, whether its payload type was negotiated; changed in place."""
        self.unknown = 0
        """Packets of a payload type that was not."""
        self.refused = 0
        """Packets of a payload type of another line, which was refused."""
        self._refused: frozenset[int] = frozenset()

    def renegotiate(self, audio: NegotiatedAudio) -> None:
        """Take what the peer may send from now on."""
        self.codecs, self._refused = audio.codecs, audio.refused_types
        types = audio.payload_types
        self.audio_types[:] = bytes(byte & 0x7F in types for byte in range(256))

    def ignores(self, data: bytes) -> bool:
        """Return whether a packet belongs to no line that was taken, and count it then; nothing else changes.

        It is RTP of a payload type that was not negotiated, and not in the sequence of the source.
        """
        if (
            len(data) < HEADER_BYTES
            or data[0] >> 6 != VERSION
            or self.audio_types[data[1]]
            or int.from_bytes(data[8:12], "big") == self.ssrc
        ):
            return False
        self.count_unknown(data[1] & 0x7F)
        return True

    def count_unknown(self, payload_type: int) -> None:
        """Count a packet of a payload type that was not negotiated."""
        if payload_type in self._refused:
            self.refused += 1
        else:
            self.unknown += 1

    def is_straggler(self, ssrc: int, silent_seconds: float) -> bool:
        """Return whether a packet is of the source before, and comes while its successor still sends."""
        return ssrc == self.previous and silent_seconds < SILENT_SECONDS

    def begin(self, ssrc: int) -> None:
        """Take a new source in place of the one before."""
        self.previous, self.ssrc = self.ssrc, ssrc

    def restart(self) -> None:
        """Forget both sources."""
        self.ssrc = self.previous = _NO_SSRC
