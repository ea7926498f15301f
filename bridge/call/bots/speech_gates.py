"""Why legs of a call are held, so that nobody hears them yet; pure."""

from collections.abc import Callable
from typing import Final

from bridge.call.model import LegId

MEDIA: Final = "media"
"""The far party's media is not up yet."""


class SpeechGates:
    """The reasons for which legs of one call are held; a leg without any is open.

    What a held leg says is queued, not lost (`audio.buffer.paced`). A bot that the bridge starts itself is started once it is open.
    """

    def __init__(self, changed: Callable[[LegId], None] = lambda leg_id: None) -> None:
        """`changed` is called with each leg that has just been held or opened."""
        self._changed = changed
        self._reasons: dict[LegId, set[str]] = {}

    def hold(self, leg_id: LegId, reason: str) -> None:
        """Hold a leg until the reason is released; idempotent."""
        was_open = self.is_open(leg_id)
        self._reasons.setdefault(leg_id, set()).add(reason)
        if was_open:
            self._changed(leg_id)

    def release(self, leg_id: LegId, reason: str) -> None:
        """Remove a reason, if it is there; the leg is open if it was the last."""
        reasons = self._reasons.get(leg_id, set())
        reasons.discard(reason)
        if leg_id in self._reasons and not reasons:
            del self._reasons[leg_id]
            self._changed(leg_id)

    def is_open(self, leg_id: LegId) -> bool:
        """Return whether the leg is not held."""
        return leg_id not in self._reasons

    def forget(self, leg_id: LegId) -> None:
        """Forget a leg that has left the call."""
        self._reasons.pop(leg_id, None)
