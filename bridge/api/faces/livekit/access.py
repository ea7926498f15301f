"""Who an SDK is to its call, by a ticket of ours or a JWT of the line's own server; each way to connect asks here."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from bridge.api.faces.livekit.room import PERMISSION, Client, leg_of
from bridge.api.media.webrtc import NEAR, PARTIES, party_of
from bridge.api.server.operation import Context
from bridge.api.server.services import CONTROL, LINES, NODE
from bridge.call.model import LegId, LegOwner, Party
from bridge.call.routing import Audience, LegRole, Subscription
from bridge.errors import BridgeError, CallEnded, CallNotFound, Forbidden, Unauthorized
from bridge.legs.base import new_leg_id
from bridge.node.runner import CallRunner
from bridge.wire.livekit.models import ParticipantPermission
from bridge.wire.ticket import Ticket


@dataclass(frozen=True, slots=True)
class Guest:
    """An SDK that may join a call."""

    context: Context
    """Its request, with the ticket that its token stands for."""
    runner: CallRunner
    client: Client
    role: LegRole


def check(context: Context) -> None:
    """Refuse a token with which nobody can join now.

    Raises:
        Unauthorized: the token has expired, or its room is no live call of the line.
        Forbidden: the request has a key, no token; or the token's grants do not suffice.
        LineDisabled, StillDialling.
    """
    _, ticket = _authorize(context)
    _check_time(ticket)


def admit(
    context: Context, resumes: str | None = None, *, two_connections: bool = False
) -> Guest | None:
    """Return who connects, with the leg that it has in the call already, or a new one.

    `resumes` is the sid of the session that it resumes, for which a token that has expired will do: None is returned if it is
    not here, and the client has to join anew.

    Raises:
        Unauthorized, Forbidden, LineDisabled, StillDialling: as `check`.
    """
    runner, ticket = _authorize(context)
    role = _role(ticket)
    wanted = None if resumes is None else leg_of(resumes)
    leg = context[CONTROL].browsers.leg_of_sdk(runner, role.owner, wanted)
    same = leg is not None and leg.two_connections is two_connections
    leg_id = None if leg is None or (wanted is not None and not same) else leg.leg_id
    if leg_id is None or resumes is None:
        _check_time(ticket)
    if leg_id is None and resumes is not None:
        return None
    if leg_id is not None and resumes is None:
        leg_id = _keep_leg(context, runner, leg_id, role, same=same)
    client = Client(
        runner.facts.call_id,
        leg_id or new_leg_id(),
        role.party,
        ticket.identity or ticket.party,
        ticket.name,
        _permission(ticket),
    )
    known = replace(context, access=replace(context.access, ticket=ticket))
    return Guest(known, runner, client, role)


@contextmanager
def counting(context: Context, reason: str) -> Iterator[None]:
    """Count a refusal in `bridge_livekit_refused_total`."""
    try:
        yield
    except BridgeError:
        context[NODE].metrics.livekit.refused(reason)
        raise


def _authorize(context: Context) -> tuple[CallRunner, Ticket]:
    """Return the live call of a token that may have expired, and the ticket that it stands for."""
    ticket = context.access.ticket
    if ticket is None:
        raise Forbidden("send a token of POST /call/{callId}/livekit, not the line's key")
    context[LINES].lines.check_on(context.line)
    try:
        runner = context[CONTROL].manager.live(context.line, ticket.call_id)
    except CallEnded as error:
        raise Unauthorized("the call of this token has ended") from error
    except CallNotFound as error:
        raise Unauthorized(
            "there is no such call: the room of a token is a call's id or livekitRoomName"
        ) from error
    if not ticket.party:  # a JWT
        ticket = replace(ticket, party=_party(runner, ticket.identity))
    if PARTIES[ticket.party][0] is Party.FAR and not (ticket.publishes and ticket.subscribes):
        raise Forbidden("the far party hears and is heard: grant canPublish and canSubscribe")
    return runner, ticket


def _party(runner: CallRunner, identity: str) -> str:
    """Return the party of an identity, which may also be the name of one."""
    party = party_of(runner, identity)
    return identity if party == NEAR and identity in PARTIES else party


def _check_time(ticket: Ticket) -> None:
    if ticket.expires <= datetime.now(UTC).timestamp():
        raise Unauthorized("this token has expired; ask for another one")


def _role(ticket: Ticket) -> LegRole:
    side, replaces = PARTIES[ticket.party]
    return LegRole(
        side,
        Subscription.OTHERS if ticket.subscribes else Subscription.NOBODY,
        Audience.ALL if ticket.publishes else Audience.NOBODY,
        replaces=replaces,
        owner=LegOwner(ticket.party, ticket.identity),
        machine=ticket.machine,
    )


def _permission(ticket: Ticket) -> ParticipantPermission:
    return ParticipantPermission(
        can_subscribe=ticket.subscribes,
        can_publish=ticket.publishes,
        can_publish_sources=PERMISSION.can_publish_sources if ticket.publishes else (),
    )


def _keep_leg(
    context: Context, runner: CallRunner, leg_id: LegId, role: LegRole, *, same: bool
) -> LegId | None:
    """Return the leg of a client that joins again.

    None if it needs another: it has not the `same` number of connections, or its token grants something else now.
    """
    had = runner.machine.legs.records[leg_id].role
    if same and (had.subscription, had.audience) == (role.subscription, role.audience):
        return leg_id
    context[CONTROL].browsers.close(context.line, runner.facts.call_id, leg_id, owner=role.owner)
    return None
