"""Speech quality estimated from network statistics by the E-model (ITU-T G.107).

ITU-T has no factors for Opus; those used here are common practice.
"""

import math
from typing import Final

CODEC_DELAY_SECONDS: Final = 0.06
"""Delay of a browser's capture, packetization and playback."""

_BEST_RATING: Final = 93.2
_ROBUSTNESS_WITH_FEC: Final = 20.0
_ROBUSTNESS_WITHOUT_FEC: Final = 10.0
# One-way delay in milliseconds from which people talk over each other.
_DELAY_THRESHOLD_MS: Final = 177.3


def estimate_rating(
    *, loss: float, delay: float, jitter: float = 0.0, bitrate: int = 24_000, fec: bool = False
) -> float:
    """Estimate the rating R that a listener would give, 0 to 93.2; above 80 is good.

    Args:
        loss: Share of packets lost, 0 to 1.
        delay: One-way delay of network and codec in seconds.
        jitter: Interarrival jitter in seconds; the jitter buffer is assumed to hold twice that.
        bitrate: Bits per second.
        fec: Whether lost frames are recovered from in-band FEC.
    """
    # Taken twice a second for each leg, of which most have lost nothing.
    milliseconds = 1000.0 * max(0.0, delay + 2.0 * jitter)
    delay_impairment = 0.024 * milliseconds
    if milliseconds > _DELAY_THRESHOLD_MS:
        delay_impairment += 0.11 * (milliseconds - _DELAY_THRESHOLD_MS)
    equipment = codec = max(0.0, 55.0 - 4.6 * math.log(bitrate)) if bitrate > 1 else 55.0
    if loss > 0.0:
        percent = 100.0 * min(1.0, loss)
        robustness = _ROBUSTNESS_WITH_FEC if fec else _ROBUSTNESS_WITHOUT_FEC
        equipment += (95.0 - codec) * percent / (percent + robustness)
    return max(0.0, _BEST_RATING - delay_impairment - equipment)


def opinion_score(rating: float) -> float:
    """Convert a rating R to a mean opinion score, 1 to 4.41 (G.107 annex B)."""
    if rating <= 0.0:
        return 1.0
    score = 1.0 + 0.035 * rating + 7e-6 * rating * (rating - 60.0) * (100.0 - rating)
    return max(1.0, score)
