"""WebRTC set-up: the configuration, the offer and its answer, the close. Bare bodies on success."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal, TypeAlias

from msgspec import Struct

from bridge.api.server.fields import CallId, LegId, field
from bridge.api.server.middleware import CLOSE, OFFER
from bridge.api.server.operation import BARE, CALL, TICKET, Context, Group
from bridge.api.server.services import CONTROL, MEDIA
from bridge.api.server.turn import IceConfiguration, TurnState
from bridge.call.model import Party
from bridge.call.parties import WEBRTC
from bridge.call.routing import LegRole
from bridge.errors import BridgeError
from bridge.node.runner import CallRunner

NEAR: Final = "near"
TRANSFER: Final = "transfer"
"""The party that a call is being transferred to: once connected it is the only near one."""
PARTIES: Final[Mapping[str, tuple[Party, bool]]] = {
    NEAR: (Party.NEAR, False),
    "far": (Party.FAR, False),
    TRANSFER: (Party.NEAR, True),
}
"""Each name's party, and whether it replaces the other near parties."""


def party_of(runner: CallRunner, identity: str) -> Literal["near", "far", "transfer"]:
    """Return the party as which somebody joins a call who names an identity only."""
    invitation = runner.machine.transfers.invitation
    if invitation is not None and invitation.identity == identity:
        return "transfer"
    parties = runner.facts.details.parties
    called = parties.to_channel == WEBRTC and parties.to == identity
    return "far" if called else "near"


GROUP: Final = Group(name="WebRTC", envelope=BARE, auth=TICKET)


PartyName: TypeAlias = Annotated[
    Literal["near", "far", "transfer"],
    field(
        "whose side; `near` by default; `transfer` is whom the call is transferred to",
        read=lambda sent, _: NEAR if sent == "" else sent,
    ),
]


Machine: TypeAlias = Annotated[
    bool, field("whether a bot speaks there; what its caller waits is then measured")
]


class Offer(Struct, rename={"call_id": "callID", "leg_id": "legID"}):
    """A browser's SDP offer."""

    call_id: CallId
    sdp: Annotated[str, field("the offer; candidates need not be in it", spellings=("SDP",))]
    type: Literal["offer"] = "offer"
    leg_id: Annotated[LegId, field("of the last answer, to change that leg")] | None = None
    party: PartyName | None = None
    machine: Machine = False


class Answer(Struct, rename={"call_id": "callID", "leg_id": "legID"}):
    """The SDP answer."""

    call_id: str
    leg_id: str
    sdp: str
    turn: TurnState
    type: Literal["answer"] = "answer"


class Close(Struct, rename={"call_id": "callID", "leg_id": "legID"}):
    """What to close."""

    call_id: CallId
    leg_id: LegId | None = None


class Closed(Struct, rename={"call_id": "callID"}):
    """What was closed."""

    call_id: str
    closed: Literal[True] = True


@GROUP.get("/call/webrtc/config")
async def config(context: Context) -> IceConfiguration:
    """Return the STUN and TURN servers that a browser should use."""
    access, holder = context.access, ""
    if (ticket := access.ticket) is not None:
        holder = f"{ticket.call_id} {ticket.party} {ticket.identity}"
        try:
            context[CONTROL].manager.live(access.line, ticket.call_id)
        except BridgeError:
            access.check_call_lives(ended=True)
    return context[MEDIA].ice_configuration(access.line, holder)


@GROUP.post(OFFER, errors=(*CALL, 503))
async def offer(context: Context, body: Offer) -> Answer:
    """Answer a browser's offer: a new leg, or with `legID` a change to the one it has.

    The answer is complete: no candidates follow. A new ICE user fragment under a known `legID` is
    an ICE restart, the same one a renegotiation, a new fingerprint a reload; a near leg that has
    gone comes back so for `limits.abandoned_seconds`. With a ticket, `party` is its own by default,
    and `legID` one that it made.
    """
    access = context.access
    line = access.line_for(body.call_id)
    party = access.party(body.party)
    runner = context[CONTROL].manager.live(line, body.call_id)
    leg_id = body.leg_id
    if not leg_id:
        side, replaces = PARTIES[party or NEAR]
        ticket = access.ticket
        machine = body.machine or (ticket is not None and ticket.machine)
        role = LegRole(side, replaces=replaces, owner=access.owner, machine=machine)
        leg_id, answer = await context[CONTROL].browsers.offer(runner, body.sdp, role)
    else:
        answer = await context[CONTROL].browsers.reoffer(
            runner, body.sdp, leg_id, owner=access.owner
        )
    return Answer(body.call_id, leg_id, answer, context[MEDIA].ice_configuration(line, "")["turn"])


@GROUP.post(CLOSE, errors=(404, 502))
async def close(context: Context, body: Close) -> Closed:
    """End the call's WebRTC legs, or one, never the call; can be repeated.

    With a ticket, only legs that its party and identity made.
    """
    access = context.access
    line = access.line_for(body.call_id)
    context[CONTROL].browsers.close(line, body.call_id, body.leg_id or None, owner=access.owner)
    return Closed(body.call_id)
