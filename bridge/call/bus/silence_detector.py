"""Whether a party that was sending has stopped: an observation (`LegSilent`), never an end."""

from typing import Final

from bridge.call.events import LegResumed, LegSilent
from bridge.call.model import LegId

SILENT_AFTER_SECONDS: Final = 2.0


class SilenceDetector:
    """Compares when a leg last received audio with the time."""

    def __init__(self, leg_id: LegId) -> None:
        self._leg_id = leg_id
        self.silent = False
        """Whether it has stopped, as of the last check."""

    def check(self, last_received: float | None, now: float) -> LegSilent | LegResumed | None:
        """Return what has changed since the last check; None for nothing.

        A leg that has never received anything is not silent.
        """
        silent = last_received is not None and now - last_received >= SILENT_AFTER_SECONDS
        if silent is self.silent:
            return None
        self.silent = silent
        return (LegSilent if silent else LegResumed)(self._leg_id)
