"""Opus packets of silence, for peers that need a continuous stream."""

from bridge.audio.frame import SILENCE
from bridge.audio.opus import Application, Encoder, EncoderSettings, Opus

_WARMUP_FRAMES = 5
_BITRATE = 20_000


class SilencePackets:
    """20 ms mono packets of silence, each encoded once."""

    __slots__ = ("_opus", "_packets")

    def __init__(self, opus: Opus) -> None:
        self._opus = opus
        self._packets: dict[Application, bytes] = {}

    def packet(self, application: Application) -> bytes:
        """Return the packet that fits between those of such an encoder.

        It is not predicted from the packet before it, so it can follow any packet.
        """
        packet = self._packets.get(application)
        if packet is None:
            packet = self._packets[application] = self._encode(application)
        return packet

    def _encode(self, application: Application) -> bytes:
        settings = EncoderSettings(application, bitrate=_BITRATE, complexity=0)
        encoder = Encoder(self._opus, settings)
        for _ in range(_WARMUP_FRAMES):
            encoder.encode(SILENCE)
        return encoder.encode_independent(SILENCE)
