"""When a far end is sent in-band FEC: decided from what it reports about our packets.

FEC costs bits and processor time, and takes clean quality for what it gives under loss, so it is
off until it is needed.
"""

from typing import Final

ON_LOSS: Final = 0.01
ON_REPORTS: Final = 2
"""So many reports in a row with at least `ON_LOSS` switch it on."""
OFF_LOSS: Final = 0.005
OFF_SECONDS: Final = 30.0
"""Reports under `OFF_LOSS` for so long switch it off."""

MIN_EXPECTED: Final = 10
"""Percent: told less, libopus puts FEC into no packet at the rates used here."""
MAX_EXPECTED: Final = 40


class Protection:
    """Follows the reports of one far end about one stream."""

    __slots__ = ("_bad_reports", "_calm_since", "expected_loss")

    def __init__(self) -> None:
        self.expected_loss = 0
        """What the encoder is to expect, in percent of packets; 0 means no FEC."""
        self._bad_reports = 0
        self._calm_since: float | None = None

    def report(self, loss: float, now: float) -> None:
        """Take a report.

        Args:
            loss: The share of packets lost since the report before, 0 to 1.
            now: Monotonic seconds.
        """
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
            # Losses come in bursts: what was bad a moment ago is forgotten slowly.
            fading = (3 * self.expected_loss + _expected(loss)) // 4
            self.expected_loss = max(_expected(loss), fading)


def _expected(loss: float) -> int:
    return min(max(MIN_EXPECTED, round(100 * loss)), MAX_EXPECTED)
