"""Which provider reaches whom for which line."""

from collections.abc import Sequence
from typing import Protocol

from bridge.call.model import CallDetails, CallFacts, LineName
from bridge.call.parties import PSTN
from bridge.errors import InvalidState
from bridge.http.service_health import ServiceHealth
from bridge.legs.base import DialledLeg, new_leg_id
from bridge.legs.simulator import ECHO, SimulatedContact


class Provider(Protocol):
    """Calls numbers, and takes inbound calls, for some lines."""

    @property
    def name(self) -> str:
        """Its name in the settings (`whatsapp.provider`)."""

    def has(self, line: LineName) -> bool:
        """Return whether it is the line's provider."""

    def health(self, line: LineName) -> ServiceHealth:
        """Return how the line's server answered last."""

    def outbound_leg(self, call: CallFacts, number: str) -> DialledLeg:
        """Return a leg that rings the number (`legs.base.Dialer`)."""


class PstnProvider(Protocol):
    """Calls numbers of the telephone network for some lines."""

    def has(self, line: LineName) -> bool:
        """Return whether the line calls over it."""

    def outbound_leg(self, call: CallFacts, number: str, replaces: str = "") -> DialledLeg:
        """Return a leg that rings the number (`legs.base.Dialer`)."""


class Received(Protocol):
    """An inbound call that has begun; `node.runner.CallRunner` is one."""

    @property
    def facts(self) -> CallFacts:
        """Return what stays true of it."""


class CallReceiver(Protocol):
    """Takes inbound calls; `node.manager.Manager` is one."""

    async def receive(
        self,
        line: LineName,
        number: str,
        far: DialledLeg,
        details: CallDetails | None = None,
    ) -> Received:
        """Take a call; raises `LimitExceeded`, and leaves freeing the leg to the caller."""


class Providers:
    """All providers as one `legs.base.Dialer`; each line has at most one for WhatsApp, and one for telephones."""

    def __init__(
        self, providers: Sequence[Provider], telephones: Sequence[PstnProvider] = ()
    ) -> None:
        """`telephones` are those of the channel `pstn`."""
        self._providers = providers
        self._pstn = telephones

    def of(self, line: LineName) -> Provider:
        """Return the provider of a line's WhatsApp calls.

        Raises:
            InvalidState: the line has none.
        """
        for provider in self._providers:
            if provider.has(line):
                return provider
        raise InvalidState(
            "no WhatsApp provider is configured for this line: set lines.NAME.whatsapp.provider"
        )

    def outbound_leg(
        self, call: CallFacts, number: str, channel: str, replaces: str = ""
    ) -> DialledLeg:
        """Return the leg of the line's provider for the channel; of a test call, an echo inside the bridge.

        Raises:
            InvalidState: the line has none.
        """
        if call.details.test:
            return SimulatedContact(new_leg_id(), ECHO, inbound=False, ring_seconds=0.0, speech=b"")
        if channel == PSTN:
            for pstn in self._pstn:
                if pstn.has(call.line):
                    return pstn.outbound_leg(call, number, replaces)
            raise InvalidState("no SIP trunk is configured for this line: set lines.NAME.sip")
        return self.of(call.line).outbound_leg(call, number)
