"""Exponential back-off: delays between attempts that grow while they fail."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds after the first failure, the most that they grow to, and what each further one multiplies them by."""

    first: float
    limit: float
    factor: float = 2.0

    def after(self, failures: int, *, jitter: float = 0.0) -> float:
        """Return the delay after so many failures in a row, 1 or more; `jitter` is the share by which it is longer."""
        return min(self.first * self.factor ** min(failures - 1, 30), self.limit) * (1.0 + jitter)
