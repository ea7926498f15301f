"""What the call service asks of a provider: a leg that rings a number."""

from typing import Protocol

from bridge.call.model import CallFacts, EndReason
from bridge.errors import BridgeError, Unreachable
from bridge.legs.base import DialledLeg


class Dialer(Protocol):
    """Makes legs that ring numbers over a line's provider."""

    def outbound_leg(self, call: CallFacts, number: str) -> DialledLeg:
        """Return a leg for the call that rings the number while it runs.

        Its first event is `LegDialled` once the provider has accepted the dial, or `LegEnded` with
        the error of the provider that refuses.

        Raises:
            InvalidState: the line has no provider.
        """
        ...


def refusal_reason(error: BridgeError) -> EndReason:
    """Return why a leg ended whose provider refused to ring its party."""
    return EndReason.UNREACHABLE if isinstance(error, Unreachable) else EndReason.FAILED
