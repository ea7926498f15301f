"""What a bot has done over the last seconds, from its leg's totals once a second."""

from bridge.call.diagnosis.observation import LegObservation
from bridge.call.model import LegStatistics

_NOTHING = LegStatistics()


class BotHistory:
    """Follows one leg; `now` is in monotonic seconds, and never goes back."""

    def __init__(self) -> None:
        self.audio_messages = 0
        """That came in the last second."""
        self.unheard_messages = 0
        """Of a one-way stream's server, which nobody hears, in the last second."""
        self.held_at: float | None = None
        """When what it said was last held, because nobody could hear it yet."""
        self._before = _NOTHING

    def update(self, leg: LegObservation, now: float) -> None:
        """Take the leg's figures."""
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
