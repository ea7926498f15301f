"""WhatsApp calls whose signalling is SIP with Meta's server: from dialogs to legs, and from legs to dialogs.

The leg is a WhatsApp leg like those of the Graph API. A call is taken only of somebody who has logged in with the line's
password at Meta, which `trunk.admission` asks for; what its INVITE says of the caller is believed then.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from bridge.call.model import CallDetails, CallFacts, LegId, LineName, Parties
from bridge.call.parties import WHATSAPP
from bridge.errors import HandoverRefused
from bridge.http.service_health import ServiceHealth
from bridge.legs.base import DialledLeg, PassedLeg, new_leg_id
from bridge.legs.cloud import CloudLeg, CloudSnapshot
from bridge.legs.sip import SipLeg
from bridge.legs.sip_media import SipSnapshot
from bridge.providers.base import CallReceiver
from bridge.providers.sip.inbound import NOT_FOUND, begin_call, number_of
from bridge.providers.sip.trunks import Trunk
from bridge.sip import events
from bridge.tasks import Tasks
from bridge.trunk.agent import IncomingInvite, SipAgent
from bridge.trunk.dialog import AgentDialog
from bridge.trunk.trunk import OutboundCall
from bridge.whatsapp.sip_refusals import error_of
from bridge.wire.meta_sip import MetaInvite, read_invite
from bridge.wire.metadata import pack

log = logging.getLogger(__name__)

UNAVAILABLE: Final = frozenset({408, 503})
"""Final responses that say nothing but that Meta's server is not there."""


@dataclass(frozen=True, slots=True)
class MetaLine:
    """A line whose WhatsApp calls go over SIP."""

    trunk: Trunk
    """Meta's server; its only number is the line's."""
    webrtc: bool = False
    """Whether the media is that of WebRTC, not SRTP with keys in the SIP messages."""


class MakeMetaLeg(Protocol):
    """Makes the leg of one call, with the line's kind of media."""

    def __call__(
        self,
        leg_id: LegId,
        *,
        line: MetaLine,
        dialog: AgentDialog,
        inbound: MetaInvite | None = None,
    ) -> SipLeg | CloudLeg:
        """Return the leg; raises `SdpError` for an offer that cannot be answered."""


class MetaSipProvider:
    """The lines of this node whose WhatsApp calls go over SIP."""

    name = "cloud"

    def __init__(
        self, lines: Mapping[LineName, MetaLine], *, dialler: SipAgent, make_leg: MakeMetaLeg
    ) -> None:
        self.lines = lines
        self._by_trunk = {line.trunk.address.name: name for name, line in lines.items()}
        self._health = {line: ServiceHealth() for line in lines}
        self._dialler = dialler
        self._make_leg = make_leg
        self._tasks = Tasks()

    def has(self, line: LineName) -> bool:
        """Return whether the line's WhatsApp calls go over SIP."""
        return line in self.lines

    def health(self, line: LineName) -> ServiceHealth:
        """Return how Meta's server took the line's calls last: nothing else is asked of it."""
        return self._health[line]

    def outbound_leg(self, call: CallFacts, number: str) -> DialledLeg:
        """Return a leg that has Meta ring a person, by number or by Meta's id (`legs.base.Dialer`)."""
        line = self.lines[call.line]
        called = f"+{number}" if number.isdigit() else number
        dialled = OutboundCall(number=called, caller=line.trunk.caller)
        dialog = self._dialler.dialog(line.trunk.address, dialled)
        leg = self._make_leg(new_leg_id(), line=line, dialog=dialog)
        self._observe(call.line, dialog)
        return leg

    def line_of(self, invite: IncomingInvite) -> LineName | None:
        """Return the line for which somebody has logged in; None for no line of Meta's."""
        return next((self._by_trunk[name] for name in invite.trunks & self._by_trunk.keys()), None)

    async def take(self, line: LineName, invite: IncomingInvite, receiver: CallReceiver) -> None:
        """Begin a user's call."""
        self._health[line].reported()
        own = self.lines[line]
        if number_of(invite.to_number) not in own.trunk.numbers:
            log.info("sip.unknown_number")
            invite.dialog.refuse(NOT_FOUND)
            return
        said = invite.invitation
        meta = read_invite(said.headers, said.from_user, said.from_name, said.sdp)
        self._find_alternate(own, invite.dialog)
        await begin_call(
            invite,
            line,
            details_of(meta, number_of(invite.to_number)),
            make_leg=lambda: self._make_leg(
                new_leg_id(), line=own, dialog=invite.dialog, inbound=meta
            ),
            receiver=receiver,
        )

    def restore(self, passed: PassedLeg) -> SipLeg | CloudLeg:
        """Return a leg that another process has passed to this one.

        Raises:
            HandoverRefused: it cannot be restored.
        """
        line = self.lines.get(passed.call.line)
        if line is None:
            raise HandoverRefused("the line's calls do not go over SIP here")
        webrtc = passed.read(CloudSnapshot) if line.webrtc else None
        plain = None if line.webrtc else passed.read(SipSnapshot)
        found = webrtc or plain
        if found is None or found.dialog is None:
            raise HandoverRefused("the call began over the Graph API")
        dialog = self._dialler.restore(found.dialog, line.trunk.address)
        try:
            leg = self._make_leg(passed.leg_id, line=line, dialog=dialog)
            if isinstance(leg, CloudLeg) and webrtc is not None:
                leg.restore(webrtc, passed.sockets)
            if isinstance(leg, SipLeg) and plain is not None:
                leg.restore(plain, passed.sockets)
        except BaseException:
            dialog.abandon()
            raise
        self._find_alternate(line, dialog)
        return leg

    async def aclose(self) -> None:
        """Look for no more ways to Meta's server."""
        await self._tasks.aclose()

    def _find_alternate(self, line: MetaLine, dialog: AgentDialog) -> None:
        """Have the BYE reach Meta also when the connection of its server has ended."""
        self._tasks.spawn(dialog.find_alternate(line.trunk.address), name="sip.find_alternate")

    def _observe(self, line: LineName, dialog: AgentDialog) -> None:
        """Note how Meta's server takes a call of ours."""
        told, health = dialog.on_event, self._health[line]

        def observed(event: events.DialogEvent) -> None:
            if isinstance(event, events.Refused) and event.code in UNAVAILABLE:
                health.failed(error_of(event))
            elif isinstance(event, events.Ringing | events.Answered | events.Refused):
                health.answered()
            told(event)

        dialog.on_event = observed


def details_of(meta: MetaInvite, called: str) -> CallDetails:
    """Return the parties of a user's call, and its metadata as those of calls over the Graph API have it."""
    caller = meta.caller
    known = {
        "profile_name": caller.name,
        "username": caller.username,
        "user_id": caller.user_id,
        "wacid": meta.wacid,
        **meta.others,
    }
    return CallDetails(
        parties=Parties(caller.identity, called, WHATSAPP, WHATSAPP),
        metadata=pack({name: text for name, text in known.items() if text}),
    )
