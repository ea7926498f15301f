"""Which provider reaches whom for which line."""

from collections.abc import Iterable
from typing import Protocol

from bridge.call.model import CallDetails, CallFacts, LineName
from bridge.call.parties import PSTN
from bridge.errors import InvalidState
from bridge.legs.base import DialledLeg, new_leg_id
from bridge.legs.simulator import ECHO, SimulatedContact


class Provider(Protocol):
    """Calls numbers, and takes inbound calls, for some lines."""

    def has(self, line: LineName) -> bool:
        """Return whether it is the line's provider."""
        ...

    def outbound_leg(self, call: CallFacts, number: str) -> DialledLeg:
        """Return a leg that rings the number (`legs.base.Dialer`)."""
        ...


class TelephoneProvider(Protocol):
    """Calls numbers of the telephone network for some lines."""

    def has(self, line: LineName) -> bool:
        """Return whether the line calls over it."""
        ...

    def outbound_leg(self, call: CallFacts, number: str, replaces: str = "") -> DialledLeg:
        """Return a leg that rings the number (`legs.base.Dialer`)."""
        ...


class Received(Protocol):
    """An inbound call that has begun; `node.runner.CallRunner` is one."""

    @property
    def facts(self) -> CallFacts:
        """Return what stays true of it."""
        ...


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
        ...


class Providers:
    """All providers as one `legs.base.Dialer`; each line has at most one for WhatsApp, and one for telephones."""

    def __init__(self, providers: Iterable[Provider] = ()) -> None:
        self._providers = list(providers)
        self._telephones: list[TelephoneProvider] = []

    def add(self, provider: Provider) -> None:
        """Add a provider that is made after the manager."""
        self._providers.append(provider)

    def add_telephones(self, provider: TelephoneProvider) -> None:
        """Add a provider of the channel `pstn`."""
        self._telephones.append(provider)

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
            for telephones in self._telephones:
                if telephones.has(call.line):
                    return telephones.outbound_leg(call, number, replaces)
            raise InvalidState("this line has no way to telephones (lines.NAME.sip)")
        for provider in self._providers:
            if provider.has(call.line):
                return provider.outbound_leg(call, number)
        raise InvalidState("this line has no way to WhatsApp (lines.NAME.whatsapp.provider)")
