"""Telephone calls over the lines' SIP trunks: from dialogs to legs, and from legs to dialogs."""

import logging
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Final

from bridge.call.model import CallDetails, CallFacts, EndReason, LineName, Parties
from bridge.call.parties import PSTN
from bridge.errors import BridgeError, HandoverRefused, LimitExceeded
from bridge.http.resolver import LookupFailed
from bridge.http.service_health import ServiceHealth
from bridge.legs.base import DialledLeg, PassedLeg, new_leg_id
from bridge.legs.sip import SipLeg
from bridge.legs.sip_media import PortableSip, SipSnapshot
from bridge.legs.sip_reasons import refusal_code
from bridge.providers.base import CallReceiver
from bridge.providers.sip.trunks import MakeSipLeg, Trunk, TrunkStates
from bridge.tasks import Tasks
from bridge.trunk.agent import IncomingInvite, SipAgent
from bridge.trunk.trunk import OutboundCall
from bridge.wire.metadata import pack

log = logging.getLogger(__name__)

MAX_RINGING: Final = 200
"""Inbound calls that are being set up at once; more get 503."""


ANONYMOUS: Final = "anonymous"
"""The peer of a call whose caller withholds the number."""
NOT_FOUND: Final = 404
UNAVAILABLE: Final = 503
NOT_ACCEPTABLE: Final = 488
MAX_NAME: Final = 128

_DIGITS: Final = re.compile(r"\+?([0-9]{3,20})")
_SEPARATORS: Final = str.maketrans("", "", "-.() ")


class SipProvider:
    """The lines of this node that have a trunk."""

    def __init__(
        self,
        trunks: Mapping[LineName, Trunk],
        *,
        dialler: SipAgent,
        make_leg: MakeSipLeg,
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

    async def _resolve(self, trunk: Trunk) -> None:
        """Find a trunk's addresses, which all may send requests within its calls."""
        with suppress(LookupFailed):
            await self._dialler.find(trunk.address)

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


def line_of(
    trunks: Mapping[LineName, Trunk], called: str, allowed: Iterable[str]
) -> LineName | None:
    """Return the called line among the `allowed` ones, whose trunks the call may come from; None for none.

    A trunk may leave out the country code or a leading zero: then the last digits decide, if they are
    those of one line only. A line without numbers takes all calls of its trunk.
    """
    lines = [line for line in trunks if line in set(allowed)]
    digits = number_of(called)
    for line in lines:
        if digits in trunks[line].numbers:
            return line
    short = digits.lstrip("0")
    ends = {
        line
        for line in lines
        for number in trunks[line].numbers
        if len(short) >= 6 and (number.endswith(short) or short.endswith(number))
    }
    if len(ends) == 1:
        return ends.pop()
    without = [line for line in lines if not trunks[line].numbers]
    return without[0] if len(without) == 1 and not ends else None


def number_of(user: str) -> str:
    """Return the digits of the user part of a SIP URI; empty for what is no number."""
    found = _DIGITS.fullmatch(user.partition(";")[0].translate(_SEPARATORS))
    return found[1] if found else ""


async def take_call(
    trunks: Mapping[LineName, Trunk],
    invite: IncomingInvite,
    *,
    make_leg: MakeSipLeg,
    receiver: CallReceiver,
) -> None:
    """Begin a call of the line whose number was called, or refuse it."""
    line = line_of(trunks, invite.to_number, invite.trunks)
    if line is None:
        log.info("sip.unknown_number")
        invite.dialog.refuse(NOT_FOUND)
        return
    trunk = trunks[line]
    try:
        leg = make_leg(new_leg_id(), dialog=invite.dialog, trunk=trunk, inbound=invite)
    except LimitExceeded as error:
        log.warning("sip.inbound_refused", extra={"line": line, "code": error.code})
        invite.dialog.refuse(UNAVAILABLE)
        return
    except BridgeError as error:
        log.warning("sip.inbound_refused", extra={"line": line, "code": error.code})
        invite.dialog.refuse(NOT_ACCEPTABLE)
        return
    details = details_of(invite, trunk)
    try:
        await receiver.receive(line, details.parties.from_.removeprefix("+"), leg, details)
    except BridgeError as error:
        log.warning("sip.inbound_refused", extra={"line": line, "code": error.code})
        busy = isinstance(error, LimitExceeded)
        invite.dialog.refuse(UNAVAILABLE if busy else refusal_code(EndReason.FAILED))
        await leg.aclose()


def details_of(invite: IncomingInvite, trunk: Trunk) -> CallDetails:
    """Return the parties of an inbound call, and the name that the network shows of the caller."""
    said = invite.invitation
    caller = "" if said.anonymous else number_of(invite.from_number)
    called = number_of(invite.to_number)
    named = said.from_name.strip()[:MAX_NAME]
    known = {
        "caller_name": "" if said.anonymous or not named.isprintable() else named,
        "diversion": number_of(_diverted_by(said.headers)),
    }
    metadata = {name: text for name, text in known.items() if text}
    return CallDetails(
        Parties(
            f"+{caller}" if caller else ANONYMOUS,
            f"+{called}" if called in trunk.numbers else "",
            PSTN,
            PSTN,
        ),
        metadata=pack(metadata) if metadata else b"",
    )


def _diverted_by(headers: Mapping[str, tuple[str, ...]]) -> str:
    """Return the user part of the first Diversion header (RFC 5806): the number that diverted the call."""
    found = re.search(r"sips?:([^@;>]{1,64})@", next(iter(headers.get("diversion", ())), ""))
    return found[1] if found else ""
