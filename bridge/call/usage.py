"""Whether anybody on our side uses a call, so that an abandoned one can be ended."""

from collections.abc import Iterable

from bridge.call.leg_record import LegRecord
from bridge.call.model import Party


class CallUsage:
    """Tracks the legs on our side of a call, and the requests that name it.

    A call is abandoned when its last browser has left and nothing else uses it. One that never had a
    browser is not: an API client need not open a socket.
    """

    def __init__(self) -> None:
        self.abandoned_since: float | None = None
        """Monotonic seconds; None while the call is in use, or has been used since."""
        self._had_browser = False

    def joined(self, leg: LegRecord) -> None:
        """Note a leg that joined."""
        self._had_browser = self._had_browser or leg.may_return
        if leg.uses_call:
            self.abandoned_since = None

    def left(self, leg: LegRecord, others: Iterable[LegRecord], now: float) -> None:
        """Note a leg that left, and those that remain; far parties that talk with each other use the call."""
        remain = list(others)
        far = [other for other in remain if other.role.party is Party.FAR and other.talks]
        used = any(other.uses_call for other in remain) or len(far) > 1
        person = leg.is_person or leg.role.party is Party.FAR
        if person and self._had_browser and not used:
            self.abandoned_since = now

    def used(self) -> None:
        """Note a request of the line that named the call."""
        self.abandoned_since = None
