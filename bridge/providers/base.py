"""Which provider reaches WhatsApp for which line."""

from collections.abc import Iterable
from typing import Protocol

from bridge.call.model import CallDetails, CallFacts, LineName
from bridge.errors import InvalidState
from bridge.legs.base import DialledLeg
from bridge.legs.dial import Dialer


class Provider(Dialer, Protocol):
    """Calls numbers, and takes inbound calls, for some lines."""

    def has(self, line: LineName) -> bool:
        """Return whether it is the line's provider."""
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
    """All providers as one `legs.dial.Dialer`; each line has at most one."""

    def __init__(self, providers: Iterable[Provider] = ()) -> None:
        self._providers = list(providers)

    def add(self, provider: Provider) -> None:
        """Add a provider that is made after the manager."""
        self._providers.append(provider)

    def outbound_leg(self, call: CallFacts, number: str) -> DialledLeg:
        """Return the leg of the line's provider.

        Raises:
            InvalidState: the line has none.
        """
        for provider in self._providers:
            if provider.has(call.line):
                return provider.outbound_leg(call, number)
        raise InvalidState("this line has no way to WhatsApp (lines.NAME.whatsapp.provider)")
