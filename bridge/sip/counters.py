"""The counters of a user agent."""

from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    """Totals since the start."""

    malformed: int = 0
    """Messages that could not be read, answered or not."""
    authentication_failures: int = 0
    """Wrong digest credentials, and requests of addresses that had too many of them."""
    foreign: int = 0
    """Requests in a dialog from an address or by a transport that is not its peer's."""
    overload: int = 0
    """Requests not taken or not sent because a table was full."""
