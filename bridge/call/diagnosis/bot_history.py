"""What a bot did in the last seconds, computed from its leg's totals once a second."""

from bridge.call.diagnosis.observation import LegObservation
from bridge.call.model import LegStatistics

_NOTHING = LegStatistics()


class BotHistory:
    """Follows one leg; `now` is in monotonic seconds, and never goes back."""

    def __init__(self) -> None:
        self.audio_messages = 0
        """Frames that arrived in the last second."""
        self.unheard_messages = 0
        """Messages from the server of a one-way stream, which nobody hears, in the last second."""
        self.held_at: float | None = None
        """When its speech was last held."""
        self._before = _NOTHING

    def update(self, leg: LegObservation, now: float) -> None:
        """Update with the leg's totals."""
        statistics = leg.statistics
        before, self._before = self._before, statistics
        received, old = statistics.received, before.received
        self.audio_messages = received.packets - old.packets
        stream, earlier = statistics.stream, before.stream
        if stream is not None:
            known = 0 if earlier is None else earlier.ignored.get("oneway", 0)
            self.unheard_messages = stream.ignored.get("oneway", 0) - known
        lost = received.held_dropped_seconds > old.held_dropped_seconds
        if lost or received.held_seconds > old.held_seconds:
            self.held_at = now
