"""When a call has heard its last words, so that a hang-up after speech may end it; pure.

A word is on its way from when it is queued here until the far party reports the packet that has its end; a party
that reports seldom, or never, is given a fixed time after the packet was sent.
"""

from collections.abc import Mapping
from typing import Final

from bridge.call.model import LegId, SentAudio

MAX_SECONDS: Final = 60.0
"""Maximum wait, after which the call ends; no bot's queue holds more."""
MUSIC_SECONDS: Final = 10.0
"""Maximum wait for a file that is played in a loop."""
ARRIVAL_SECONDS: Final = 0.1
"""What a bot said before it hung up may arrive so much later: it is sent over another connection."""
REPORT_SECONDS: Final = 0.4
"""For which a report of the last word is waited for, once it has been sent."""
PLAYOUT_SECONDS: Final = 0.1
"""Allowance for the far party's jitter buffer."""


class LastWords:
    """Finds when the last words of one call have been received."""

    def __init__(self) -> None:
        self._played_at: float | None = None
        """When nothing waited to be played any more."""
        self._awaited: dict[LegId, int] = {}
        """The packets that each far party must have received."""

    def received(self, now: float, *, waiting: bool, sent: Mapping[LegId, SentAudio]) -> bool:
        """Return whether they have been; `waiting` says whether any wait to be played, `sent` is what each far party was sent."""
        if waiting:
            return False
        if self._played_at is None:
            self._played_at = now
            # A word's end may be in the packet after it: codecs look ahead, and packets may be longer than a frame.
            self._awaited = {leg_id: audio.packets + 1 for leg_id, audio in sent.items()}
        since = now - self._played_at
        if since >= REPORT_SECONDS or not sent:
            return True
        return since >= PLAYOUT_SECONDS and all(
            audio.reported_packets is not None
            and audio.reported_packets >= self._awaited.get(leg_id, 0)
            for leg_id, audio in sent.items()
        )
