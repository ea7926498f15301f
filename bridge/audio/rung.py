"""Which encoder a far end gets: the one place where that is decided."""

from typing import Final

from bridge.audio.opus import Application, EncoderSettings

NORMAL: Final = EncoderSettings(application=Application.LOW_DELAY, bitrate=40_000, complexity=0)
"""CELT at its cheapest: the least delay and processor time, and good speech at this rate."""

# Below this rate CELT at 16 kHz falls apart where SILK still sounds like speech.
_LOW_DELAY_FLOOR: Final = 32_000
_LOWEST: Final = 6_000


def choose(maximum_bitrate: int | None) -> EncoderSettings:
    """Choose the encoder for a far end.

    Args:
        maximum_bitrate: `maxaveragebitrate` of its fmtp (RFC 7587 §6.1), bits a second; None when
            it names none.
    """
    if maximum_bitrate is None:
        return NORMAL
    if maximum_bitrate >= _LOW_DELAY_FLOOR:
        bitrate = min(maximum_bitrate, NORMAL.bitrate)
        return EncoderSettings(NORMAL.application, bitrate=bitrate, complexity=NORMAL.complexity)
    bitrate = max(maximum_bitrate, _LOWEST)
    return EncoderSettings(Application.VOIP, bitrate=bitrate, complexity=5)


def parse_bitrate(value: str) -> int | None:
    """Read the value of `maxaveragebitrate`; None when it is not a sensible number."""
    if not value.isascii() or not value.isdigit() or len(value) > 7:
        return None
    return int(value) or None
