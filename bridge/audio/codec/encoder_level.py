"""Encoder settings for a leg's peer; `docs/encoder-levels.md` has the measurements behind them."""

from dataclasses import replace
from enum import IntEnum
from typing import Final

from bridge.audio.codec.opus import Application, EncoderSettings


class EncoderLevel(IntEnum):
    """What encoders may cost; a node under load raises it step by step."""

    NORMAL = 0
    REDUCED = 1
    """SILK at its lowest complexity; FEC where a peer needs it."""
    MINIMAL = 2
    """As `REDUCED`, without FEC."""


class EncoderBudget:
    """A node's encoder level: written by its load monitor, read by all senders."""

    __slots__ = ("level",)

    def __init__(self) -> None:
        self.level = EncoderLevel.NORMAL


NORMAL: Final = EncoderSettings(application=Application.LOW_DELAY, bitrate=48_000, complexity=0)
"""CELT at its cheapest: the lowest delay and CPU time, and good speech at this rate."""

# Below this rate CELT at 16 kHz sounds clearly worse than SILK.
_MIN_CELT_BITRATE: Final = 40_000
_MIN_BITRATE: Final = 6_000

_FEC_BITRATE: Final = 8_000
"""Added for FEC, so that the primary frames keep their quality."""

# SILK at complexity 1 costs a third of complexity 5 and sounds about as good at high rates; below
# the second rate it carries no FEC at all.
_COMPLEXITY_1_SOUNDS_GOOD: Final = 48_000
_COMPLEXITY_1_HAS_FEC: Final = 24_000


def choose(
    maximum_bitrate: int | None,
    *,
    level: EncoderLevel = EncoderLevel.NORMAL,
    expected_loss: int = 0,
) -> EncoderSettings:
    """Choose the encoder for a leg's peer.

    Args:
        maximum_bitrate: `maxaveragebitrate` of its fmtp (RFC 7587 §6.1), bits per second; None if
            absent. Never exceeded, FEC included.
        level: What the node can afford.
        expected_loss: Percent of packets that FEC should cover; 0 for no FEC. Only SILK has FEC
            (RFC 6716 §2.1.7), so a peer that needs it moves from CELT to SILK.
    """
    maximum = NORMAL.bitrate + _FEC_BITRATE
    limit = maximum if maximum_bitrate is None else min(max(maximum_bitrate, _MIN_BITRATE), maximum)
    if expected_loss and level < EncoderLevel.MINIMAL:
        return EncoderSettings(
            Application.VOIP,
            bitrate=limit,
            complexity=_fec_complexity(limit, level),
            fec=True,
            expected_loss=expected_loss,
        )
    if limit >= _MIN_CELT_BITRATE:
        return replace(NORMAL, bitrate=min(limit, NORMAL.bitrate))
    complexity = 5 if level is EncoderLevel.NORMAL else 1
    return EncoderSettings(Application.VOIP, bitrate=limit, complexity=complexity)


def _fec_complexity(bitrate: int, level: EncoderLevel) -> int:
    if level is EncoderLevel.NORMAL:
        return 1 if bitrate >= _COMPLEXITY_1_SOUNDS_GOOD else 5
    return 1 if bitrate >= _COMPLEXITY_1_HAS_FEC else 2


def parse_bitrate(value: str) -> int | None:
    """Parse the value of `maxaveragebitrate`; None if it is not a positive number."""
    if not value.isascii() or not value.isdigit() or len(value) > 7:
        return None
    return int(value) or None
