"""Which encoder a far end gets: the one place where that is decided.

`docs/encoder-rungs.md` has the measurements behind the choices.
"""

from enum import IntEnum
from typing import Final

from bridge.audio.opus import Application, EncoderSettings


class Rung(IntEnum):
    """What encoders may cost; a node under load steps down this ladder."""

    NORMAL = 0
    SPARING = 1
    """SILK at the least complexity that still carries FEC."""
    LEAST = 2
    """SILK at its cheapest, and no FEC."""


class Effort:
    """The rung of a node; one object that whoever watches the load sets, and all senders read."""

    __slots__ = ("rung",)

    def __init__(self) -> None:
        self.rung = Rung.NORMAL


NORMAL: Final = EncoderSettings(application=Application.LOW_DELAY, bitrate=40_000, complexity=0)
"""CELT at its cheapest: the least delay and processor time, and good speech at this rate."""

_COMPLEXITY: Final = {Rung.NORMAL: 5, Rung.SPARING: 2, Rung.LEAST: 0}
"""Of SILK."""

# Below this rate CELT at 16 kHz falls apart where SILK still sounds like speech.
_LOW_DELAY_FLOOR: Final = 32_000
_LOWEST: Final = 6_000

PROTECTED_BITRATE: Final = 32_000
"""Of SILK with FEC, for a far end that sets no limit: 8 kb/s more than good speech needs."""


def choose(
    maximum_bitrate: int | None, *, rung: Rung = Rung.NORMAL, expected_loss: int = 0
) -> EncoderSettings:
    """Choose the encoder for a far end.

    Args:
        maximum_bitrate: `maxaveragebitrate` of its fmtp (RFC 7587 §6.1), bits a second; None when
            it names none. It is never exceeded, not for FEC either.
        rung: What the node can afford.
        expected_loss: Percent of packets that FEC is to make up for; 0 sends none. FEC exists in
            SILK alone (RFC 6716 §2.1.7), so it moves a far end from CELT to SILK.
    """
    limit = NORMAL.bitrate if maximum_bitrate is None else max(maximum_bitrate, _LOWEST)
    complexity = _COMPLEXITY[rung]
    if expected_loss and rung < Rung.LEAST:
        return EncoderSettings(
            Application.VOIP,
            bitrate=min(limit, PROTECTED_BITRATE),
            complexity=complexity,
            fec=True,
            expected_loss=expected_loss,
        )
    if limit >= _LOW_DELAY_FLOOR:
        bitrate = min(limit, NORMAL.bitrate)
        return EncoderSettings(NORMAL.application, bitrate=bitrate, complexity=NORMAL.complexity)
    return EncoderSettings(Application.VOIP, bitrate=limit, complexity=complexity)


def parse_bitrate(value: str) -> int | None:
    """Read the value of `maxaveragebitrate`; None when it is not a sensible number."""
    if not value.isascii() or not value.isdigit() or len(value) > 7:
        return None
    return int(value) or None
