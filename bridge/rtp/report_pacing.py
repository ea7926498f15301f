"""When RTCP reports are sent: fewer while there is nothing to report (RFC 3550 §6.2 asks for one in 5 s)."""

from typing import Final

IDLE_SECONDS: Final = 5
"""Between two reports while no packets flow."""
TAIL: Final = 2
"""Reports after the last packet, so that levels fall and the peer learns how much has come."""


class ReportPacing:
    """Decides for one session, once a second."""

    def __init__(self) -> None:
        self._before: tuple[int, float | None] = -1, None
        self._idle = 0

    def due(self, sent: int, received: float | None) -> bool:
        """Return whether to report now; to be called once a second.

        `sent` is the number of the next packet, `received` when the last one came.
        """
        now = sent, received
        if now != self._before:
            self._before, self._idle = now, 0
            return True
        self._idle += 1
        return self._idle <= TAIL or (self._idle - TAIL) % IDLE_SECONDS == 0
