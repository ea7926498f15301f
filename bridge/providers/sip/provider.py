"""Telephone calls over the lines' SIP trunks: from dialogs to legs, and from legs to dialogs."""

import logging
from collections.abc import Mapping
from typing import Final

from bridge.call.model import CallFacts, LineName
from bridge.http.service_health import ServiceHealth
from bridge.legs.base import DialledLeg, new_leg_id
from bridge.providers.base import CallReceiver
from bridge.providers.sip.inbound_calls import take_call
from bridge.providers.sip.trunks import MakeLeg, Trunk, TrunkStates
from bridge.tasks import Tasks
from bridge.trunk.agent import IncomingInvite, SipAgent
from bridge.trunk.trunk import OutboundCall

log = logging.getLogger(__name__)

MAX_RINGING: Final = 200
"""Inbound calls that are being set up at once; more get 503."""


class SipProvider:
    """The lines of this node that have a trunk."""

    def __init__(
        self,
        trunks: Mapping[LineName, Trunk],
        *,
        dialler: SipAgent,
        make_leg: MakeLeg,
        states: TrunkStates,
    ) -> None:
        self.trunks = trunks
        self.states = states
        self._dialler = dialler
        self._make_leg = make_leg
        self._receiver: CallReceiver | None = None
        self._tasks = Tasks()
        self._taking = 0

    def has(self, line: LineName) -> bool:
        """Return whether the line has a trunk."""
        return line in self.trunks

    def health(self, line: LineName) -> ServiceHealth:
        """Return how the line's trunk answered last."""
        return self.states.health(line)

    def outbound_leg(self, call: CallFacts, number: str, replaces: str = "") -> DialledLeg:
        """Return a leg that has the line's trunk ring the number (`legs.base.Dialer`)."""
        trunk = self.trunks[call.line]
        caller = caller_of(call, number, trunk)
        dialled = OutboundCall(number=f"+{number}", caller=caller, replaces=replaces)
        dialog = self._dialler.dialog(trunk.address, dialled)
        return self._make_leg(new_leg_id(), dialog=dialog, trunk=trunk)

    def start(self, receiver: CallReceiver) -> None:
        """Take inbound calls from now on."""
        self._receiver = receiver

    def take(self, invite: IncomingInvite) -> None:
        """Take an inbound call, which its trunk or its password has admitted; never waits."""
        if self._receiver is None or self._taking >= MAX_RINGING:
            log.warning("sip.inbound_refused", extra={"code": "busy"})
            invite.dialog.refuse(503)
            return
        self._taking += 1
        self._tasks.spawn(self._take(invite, self._receiver), name="sip.ring")

    async def aclose(self) -> None:
        """Cancel the set-up of inbound calls."""
        await self._tasks.aclose()

    async def _take(self, invite: IncomingInvite, receiver: CallReceiver) -> None:
        try:
            await take_call(self.trunks, invite, make_leg=self._make_leg, receiver=receiver)
        finally:
            self._taking -= 1


def caller_of(call: CallFacts, number: str, trunk: Trunk) -> str:
    """Return the number that is shown to a party that is called, with `+`; empty for the trunk's account.

    The far party of an outbound call sees what the request named; others a number of the line, never that
    of another party.
    """
    parties = call.details.parties
    if call.peer == number and parties.from_.removeprefix("+").isdigit():
        return parties.from_
    own = (text for text in (parties.to, parties.from_) if text.removeprefix("+") in trunk.numbers)
    return next(own, trunk.caller)
