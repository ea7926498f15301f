"""How a service elsewhere answered last."""

from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(slots=True)
class ServiceHealth:
    """When a service last did what it was asked, and when and why it last did not; in seconds since 1970."""

    answered_at: float = 0.0
    """0: it never did."""
    failed_at: float = 0.0
    """0: it never failed."""
    failure: str = ""
    """The last failure's text, which holds no secret and no number."""

    reported_at: float = 0.0
    """When it last sent an event of its own; 0: it never did."""

    def answered(self) -> None:
        """Note that it did what it was asked."""
        self.answered_at = datetime.now(UTC).timestamp()

    def failed(self, error: Exception) -> None:
        """Note that it refused, or did not answer; the error's text is for people."""
        self.failed_at, self.failure = datetime.now(UTC).timestamp(), str(error)

    def reported(self) -> None:
        """Note that it sent an event of its own."""
        self.reported_at = datetime.now(UTC).timestamp()
