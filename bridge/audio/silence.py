"""Packets of silence, for far ends that must be sent something without a pause."""

from bridge.audio.frame import SILENCE
from bridge.audio.opus import Application, Encoder, EncoderSettings, Opus

_WARMING_FRAMES = 5
_BITRATE = 20_000


class SilencePackets:
    """Opus packets of 20 ms mono silence, each encoded once."""

    __slots__ = ("_opus", "_packets")

    def __init__(self, opus: Opus) -> None:
        self._opus = opus
        self._packets: dict[Application, bytes] = {}

    def packet(self, application: Application) -> bytes:
        """Give the packet that goes between those of such an encoder.

        It leans on none before it, so that it can follow anything and itself.
        """
        packet = self._packets.get(application)
        if packet is None:
            packet = self._packets[application] = self._encode(application)
        return packet

    def _encode(self, application: Application) -> bytes:
        settings = EncoderSettings(application, bitrate=_BITRATE, complexity=0)
        encoder = Encoder(self._opus, settings)
        for _ in range(_WARMING_FRAMES):
            encoder.encode(SILENCE)
        return encoder.encode_independent(SILENCE)
