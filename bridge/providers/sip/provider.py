"""Telephone calls over the lines' SIP trunks: from dialogs to legs, and from legs to dialogs."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from bridge.call.model import CallFacts, LineName
from bridge.errors import HandoverRefused
from bridge.http.resolver import LookupFailed
from bridge.http.service_health import ServiceHealth
from bridge.legs.base import DialledLeg, PassedLeg, new_leg_id
from bridge.legs.sip import SipLeg
from bridge.legs.sip_media import PortableSip, SipSnapshot
from bridge.providers.base import CallReceiver
from bridge.providers.sip.inbound import take_call
from bridge.providers.sip.meta import MetaSipProvider
from bridge.providers.sip.trunks import MakeSipLeg, Trunk, TrunkStates
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
        make_leg: MakeSipLeg,
        states: TrunkStates,
        meta: MetaSipProvider | None = None,
    ) -> None:
        """`meta` takes the calls that Meta's server makes."""
        self.trunks = trunks
        self._meta = meta
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

    def restore(self, passed: PassedLeg) -> SipLeg:
        """Return a leg that another process has passed to this one.

        Raises:
            HandoverRefused: it cannot be restored.
        """
        snapshot, trunk = passed.read(SipSnapshot), self.trunks.get(passed.call.line)
        if trunk is None:
            raise HandoverRefused("the line has no trunk here")
        dialog = self._dialler.restore(snapshot.dialog, trunk.address)
        try:
            leg = self._make_leg(passed.leg_id, dialog=dialog, trunk=trunk)
            leg.restore(snapshot, passed.sockets)
        except BaseException:
            dialog.abandon()
            raise
        self._tasks.spawn(self._resolve(trunk), name="sip.resolve")
        return leg

    def take_over(self, passed: PassedLeg) -> SipLeg:
        """Return a leg of a machine that has died, which offers its far side to talk with this one.

        Raises:
            HandoverRefused: the trunk does not allow it.
        """
        snapshot, trunk = passed.read(PortableSip), self.trunks.get(passed.call.line)
        if trunk is None or not self.may_take_over(passed.call.line):
            raise HandoverRefused("the line's trunk takes no calls over (lines.NAME.sip.takeover)")
        dialog = self._dialler.restore(snapshot.dialog, trunk.address)
        leg = self._make_leg(passed.leg_id, dialog=dialog, trunk=trunk)
        leg.take_over(snapshot)
        self._tasks.spawn(self._resolve(trunk), name="sip.resolve")
        return leg

    def may_take_over(self, line: LineName) -> bool:
        """Return whether another machine may go on with calls of the line."""
        trunk = self.trunks.get(line)
        return trunk is not None and trunk.media.takeover

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
        if self._meta is not None:
            await self._meta.aclose()

    async def _resolve(self, trunk: Trunk) -> None:
        """Find a trunk's addresses, which all may send requests within its calls."""
        with suppress(LookupFailed):
            await self._dialler.find(trunk.address)

    async def _take(self, invite: IncomingInvite, receiver: CallReceiver) -> None:
        try:
            if self._meta is not None and (line := self._meta.line_of(invite)) is not None:
                await self._meta.take(line, invite, receiver)
                return
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
