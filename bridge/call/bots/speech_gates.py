"""Which legs of a call may be heard yet: a bot is not, as long as there is a reason to hold it; pure."""

from collections.abc import Callable
from typing import Final

from bridge.call.model import LegId

MEDIA: Final = "media"
"""The far party's media is not up, so that it would not hear the bot."""


class SpeechGates:
    """The reasons why legs of one call are not heard yet; a leg without any is.

    What a leg says meanwhile is held, not lost (`audio.buffer.paced`); a bot that the bridge starts by itself does not begin.
    """

    def __init__(self, changed: Callable[[LegId], None] = lambda leg_id: None) -> None:
        """`changed` takes each leg that is held from now on, or is not any longer."""
        self._changed = changed
        self._reasons: dict[LegId, set[str]] = {}

    def hold(self, leg_id: LegId, reason: str) -> None:
        """Let a leg not be heard until the reason is released; does nothing if that reason is known."""
        was_open = self.is_open(leg_id)
        self._reasons.setdefault(leg_id, set()).add(reason)
        if was_open:
            self._changed(leg_id)

    def release(self, leg_id: LegId, reason: str) -> None:
        """Remove a reason, if there is such a one; the leg is heard if it was the last."""
        reasons = self._reasons.get(leg_id, set())
        reasons.discard(reason)
        if leg_id in self._reasons and not reasons:
            del self._reasons[leg_id]
            self._changed(leg_id)

    def is_open(self, leg_id: LegId) -> bool:
        """Return whether the leg may be heard."""
        return leg_id not in self._reasons

    def forget(self, leg_id: LegId) -> None:
        """Forget a leg that has left the call."""
        self._reasons.pop(leg_id, None)
