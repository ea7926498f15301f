"""Which encoder a far end gets: the one place where that is decided.

`docs/encoder-rungs.md` has the measurements behind the choices.
"""

from dataclasses import replace
from enum import IntEnum
from typing import Final

from bridge.audio.opus import Application, EncoderSettings


class EncoderLevel(IntEnum):
    """What encoders may cost; a node under load steps down this ladder."""

    NORMAL = 0
    SPARING = 1
    """SILK costs as little as it can; FEC where a far end needs it."""
    LEAST = 2
    """No FEC either."""


class EncoderBudget:
    """The rung of a node; one object that whoever watches the load sets, and all senders read."""

    __slots__ = ("rung",)

    def __init__(self) -> None:
        self.rung = EncoderLevel.NORMAL


NORMAL: Final = EncoderSettings(application=Application.LOW_DELAY, bitrate=48_000, complexity=0)
"""CELT at its cheapest: the least delay and processor time, and good speech at this rate."""

# Below this rate CELT at 16 kHz sounds clearly worse than SILK.
_LOW_DELAY_FLOOR: Final = 40_000
_LOWEST: Final = 6_000

_FEC_BITRATE: Final = 8_000
"""FEC gets these bits on top, so that what arrives sounds no worse for it."""

# SILK at complexity 1 costs a third of 5, and at high rates hardly falls behind. Below the lower
# rate it carries no FEC at all.
_CHEAP_FEC_SOUNDS_WELL: Final = 48_000
_CHEAP_FEC_EXISTS: Final = 24_000


def choose(
    maximum_bitrate: int | None, *, rung: EncoderLevel = EncoderLevel.NORMAL, expected_loss: int = 0
) -> EncoderSettings:
    """Choose the encoder for a far end.

    Args:
        maximum_bitrate: `maxaveragebitrate` of its fmtp (RFC 7587 §6.1), bits a second; None when
            it names none. It is never exceeded, not for FEC either.
        rung: What the node can afford.
        expected_loss: Percent of packets that FEC is to make up for; 0 sends none. FEC exists in
            SILK alone (RFC 6716 §2.1.7), so it moves a far end from CELT to SILK.
    """
    most = NORMAL.bitrate + _FEC_BITRATE
    limit = most if maximum_bitrate is None else min(max(maximum_bitrate, _LOWEST), most)
    if expected_loss and rung < EncoderLevel.LEAST:
        return EncoderSettings(
            Application.VOIP,
            bitrate=limit,
            complexity=_fec_complexity(limit, rung),
            fec=True,
            expected_loss=expected_loss,
        )
    if limit >= _LOW_DELAY_FLOOR:
        return replace(NORMAL, bitrate=min(limit, NORMAL.bitrate))
    complexity = 5 if rung is EncoderLevel.NORMAL else 1
    return EncoderSettings(Application.VOIP, bitrate=limit, complexity=complexity)


def _fec_complexity(bitrate: int, rung: EncoderLevel) -> int:
    if rung is EncoderLevel.NORMAL:
        return 1 if bitrate >= _CHEAP_FEC_SOUNDS_WELL else 5
    return 1 if bitrate >= _CHEAP_FEC_EXISTS else 2


def parse_bitrate(value: str) -> int | None:
    """Read the value of `maxaveragebitrate`; None when it is not a sensible number."""
    if not value.isascii() or not value.isdigit() or len(value) > 7:
        return None
    return int(value) or None
