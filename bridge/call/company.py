"""Since when a call has nobody on our side: its last browser has gone, and nothing uses it."""

from collections.abc import Iterable

from bridge.call.leg_record import LegRecord


class Company:
    """Follows who and what is on our side of a call.

    A call that an API client or a service uses ends by hang-up, not by being alone: whoever makes calls
    without browsers need never open a socket. Only where people in browsers came and went is a
    forgotten call likely, whose far party would hear silence for hours.
    """

    def __init__(self) -> None:
        self.alone_since: float | None = None
        """Monotonic seconds; None while there is somebody, or something has used the call since."""
        self._had_browser = False

    def joined(self, leg: LegRecord) -> None:
        """Take note of a leg that came."""
        if leg.may_return:
            self._had_browser = True
        if leg.uses_call:
            self.alone_since = None

    def left(self, leg: LegRecord, others: Iterable[LegRecord], now: float) -> None:
        """Take note of a leg that went, and of those that are still here."""
        if leg.is_person and self._had_browser and not any(other.uses_call for other in others):
            self.alone_since = now

    def used(self) -> None:
        """Take note of a request of the line that named the call."""
        self.alone_since = None
