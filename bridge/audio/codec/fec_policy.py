"""Deciding from the reception reports of a leg's peer whether it is sent in-band FEC.

FEC costs bits, CPU time and quality without loss, so it is off until needed.
"""

from typing import Final

ON_LOSS: Final = 0.01
ON_REPORTS: Final = 2
"""Consecutive reports of at least `ON_LOSS` that enable FEC."""
OFF_LOSS: Final = 0.005
OFF_SECONDS: Final = 30.0
"""Reports below `OFF_LOSS` for this long disable it."""

MIN_EXPECTED: Final = 10
"""Percent; below this libopus emits no FEC at the rates used here."""
MAX_EXPECTED: Final = 40


class FecPolicy:
    """The FEC decision for one outgoing stream."""

    __slots__ = ("_bad_reports", "_calm_since", "expected_loss")

    def __init__(self) -> None:
        self.expected_loss = 0
        """Loss for the encoder to expect, in percent of packets; 0 means no FEC."""
        self._bad_reports = 0
        self._calm_since: float | None = None

    def report(self, loss: float, now: float) -> None:
        """Process a report; `loss` is the share lost since the previous report, 0 to 1."""
        self._bad_reports = self._bad_reports + 1 if loss >= ON_LOSS else 0
        if loss >= OFF_LOSS:
            self._calm_since = None
        elif self._calm_since is None:
            self._calm_since = now
        if self.expected_loss == 0:
            if self._bad_reports >= ON_REPORTS:
                self.expected_loss = _expected(loss)
        elif self._calm_since is not None and now - self._calm_since >= OFF_SECONDS:
            self.expected_loss = 0
        else:
            # Loss is bursty, so the expectation decays slowly.
            decayed = (3 * self.expected_loss + _expected(loss)) // 4
            self.expected_loss = max(_expected(loss), decayed)


def _expected(loss: float) -> int:
    return min(max(MIN_EXPECTED, round(100 * loss)), MAX_EXPECTED)
