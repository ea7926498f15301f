"""Metrics of turns: how long callers wait for bots, and speak over them."""

from typing import Final

from bridge.metrics.families import OTHER, Families

BOTS: Final = (
    "agent", "socket", "native", "twilio", "openai-realtime", "webrtc", "livekit", OTHER,
)  # fmt: skip
"""Our agent, a media socket, a stream by its protocol, a WebRTC peer, or one with an SDK of LiveKit."""
KINDS: Final = ("backchannel", "interruption", "noise")
_SECONDS: Final = (0.2, 0.3, 0.5, 0.7, 1, 1.2, 1.5, 2, 2.5, 3, 4, 6, 10, 20, 60)


class TurnMetrics:
    """Metrics of one node's turns."""

    def __init__(self, create: Families) -> None:
        self.waited = create.histogram(
            "bridge_turn_wait_seconds",
            "What callers waited for an answer, from their last word to the first of the bot, by kind of bot.",
            _SECONDS,
            bot=BOTS,
        )
        self.overlapped = create.counter(
            "bridge_overlaps_total",
            "Overlaps, in which a caller spoke while a bot did, by kind of bot and kind of overlap.",
            bot=BOTS,
            kind=KINDS,
        )
