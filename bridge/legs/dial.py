"""What the call service asks of whoever reaches numbers: one leg for one number."""

from dataclasses import dataclass, field
from typing import Protocol

from bridge.call.model import CallDetails, CallId, LegId, LineName
from bridge.legs.base import DialledLeg


@dataclass(frozen=True, slots=True)
class DialOrder:
    """What a provider may pass on about a call that is to be."""

    call_id: CallId
    details: CallDetails = field(default_factory=CallDetails)


class Dialer(Protocol):
    """Makes the leg that reaches a number over a line's provider."""

    async def dial(
        self, line: LineName, number: str, leg_id: LegId, order: DialOrder
    ) -> DialledLeg:
        """Give a leg that rings the number; what else is asked of it waits until `run`.

        Raises:
            BridgeError: it is known at once that the number cannot be reached, or may not be.
        """
        ...
