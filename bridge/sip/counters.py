"""The counters of a user agent."""

from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    """Totals since the start."""

    received: int = 0
    malformed: int = 0
    """Messages that could not be read, answered or not."""
    refused: int = 0
    """Requests that the policy did not admit."""
    challenged: int = 0
    authentication_failures: int = 0
    """Wrong digest credentials, and requests of addresses that had too many of them."""
    retransmissions: int = 0
    """Messages sent again, ours and for repeated requests."""
    stray_responses: int = 0
    """Responses to no request of ours."""
    unknown_dialog: int = 0
    """Requests in a dialog that we do not have."""
    foreign: int = 0
    """Requests in a dialog from an address or by a transport that is not its peer's."""
    overload: int = 0
    """Requests not taken or not sent because a table was full."""
