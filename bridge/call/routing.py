"""Who hears whom: the default rows of the routing table.

Among those who talk, the role of a sink says which sources it hears:

    sink                      hears
    far party                 the other far parties, and every leg whose audience is `FAR` or `ALL`
    subscription `OTHERS`     the far parties, and every leg whose audience is `ALL`
    subscription `INBOUND`    the far parties
    subscription `OUTBOUND`   what any far party hears, but no far party
    subscription `BOTH`       the far parties, and as `OUTBOUND`

A muted far party is in no row, a muted leg of ours in that of no far party. Who is held, waits for a
transfer or arrives by one hears only what is played for that, and is heard by nobody, except that what
only listens (audience `NOBODY`: a recorder, a stream) hears far parties that are held or wait, too.
No person hears a machine that discloses before the disclosure (`call.disclosure.told`).
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from bridge.call.model import LegId, LegOwner, Party

TONE: Final = LegId("tone")
"""The ring-back tone, a source that belongs to no leg."""


class Subscription(StrEnum):
    """What a leg hears; a far party's row follows from the audiences of the others."""

    NOBODY = "nobody"
    OTHERS = "others"
    INBOUND = "inbound"
    OUTBOUND = "outbound"
    BOTH = "both"


class Audience(StrEnum):
    """Who hears a leg."""

    NOBODY = "nobody"
    FAR = "far"
    ALL = "all"
    HELD = "held"
    """Parties that are held."""
    WAITING = "waiting"
    """Parties that wait for the one they are transferred to."""
    ARRIVING = "arriving"
    """The party that a call is transferred to, once it has answered and before it talks."""


@dataclass(frozen=True, slots=True)
class LegRole:
    """What a leg is to its call; fixed when it is added."""

    party: Party
    subscription: Subscription = Subscription.OTHERS
    """Ignored for the far party."""
    audience: Audience = Audience.ALL
    replaces: bool = False
    """Whether the other near legs, or the leg `in_place_of`, leave once this one is connected."""
    in_place_of: LegId | None = None
    """The far party that asked to be replaced by this one."""
    talk_seconds: float = math.inf
    """Longest talk of a party that joins a call, from its answer on; then it leaves."""
    ducking_gain: float = 1.0
    """0 to 1, applied to the voices heard beside it while it speaks."""
    owner: LegOwner | None = None
    """Whose ticket made it; None when the line's key did."""
    caller: bool = False
    """Whether it is the telephone that the call is made from: the far party waits for its answer, and the call
    ends when it leaves."""
    asked_for: bool = True
    """Whether somebody asked for it; not for a recorder that the line starts by itself."""
    machine: bool = False
    """Whether it speaks as a machine: an agent or model always, others where the line or the request says so."""
    discloses: bool = False
    """Whether a person hears it only once the line's disclosure has been spoken to them (`call.disclosure.told`)."""
    only_to: frozenset[LegId] | None = None
    """Who hears it, of those whom its audience names; None means all. Set for a disclosure."""


class ParticipantState(StrEnum):
    """Whether a party takes part in the conversation, or hears only what is played for its state."""

    TALKING = "talking"
    HELD = "held"
    WAITING = "waiting"
    """For the party that it is transferred to."""
    ARRIVING = "arriving"
    """Has been called for a transfer, and does not talk yet."""


TALKING, HELD, WAITING, ARRIVING = ParticipantState
OTHERS, BOTH, FAR, ALL = Subscription.OTHERS, Subscription.BOTH, Audience.FAR, Audience.ALL
_PLAYED_FOR: Final = {HELD: Audience.HELD, ARRIVING: Audience.ARRIVING}
_HEAR_INBOUND: Final = (Subscription.INBOUND, BOTH)


class Participant(NamedTuple):
    """A leg that takes part in a call."""

    leg_id: LegId
    role: LegRole
    is_far: bool
    state: ParticipantState = TALKING
    muted: bool = False
    untold: bool = False
    """Whether it is a person who has not heard the disclosure."""


def routing_table(
    participants: Iterable[Participant],
    *,
    waiting: frozenset[LegId] = frozenset(),
    ringing: frozenset[LegId] = frozenset(),
) -> dict[LegId, frozenset[LegId]]:
    """Return the sources that each sink hears.

    Args:
        participants: those that take part.
        waiting: what those hear that wait for a transfer.
        ringing: what near persons hear beside each other, before the far party answers.
    """
    # The far parties first: others hear what they are sent.
    legs = sorted(participants, key=lambda leg: not leg.is_far)
    far = {leg.leg_id for leg in legs if leg.is_far}
    sent = set[LegId]()
    rows: dict[LegId, frozenset[LegId]] = {}
    for sink in legs:
        row = {source.leg_id for source in legs if _may_hear(sink, source)}
        if sink.state is WAITING:
            row |= waiting
        if sink.is_far:
            sent |= row - far
        elif sink.state is TALKING:
            if sink.role.subscription in (Subscription.OUTBOUND, BOTH):
                row |= sent
            elif sink.role.subscription is OTHERS:
                row |= ringing
        rows[sink.leg_id] = frozenset(row - {sink.leg_id})
    return rows


def untold_listeners(participants: Iterable[Participant]) -> frozenset[LegId]:
    """Return the persons who would hear a machine now if they had heard the disclosure."""
    legs = list(participants)
    machines = [leg for leg in legs if leg.role.discloses]
    return frozenset(
        sink.leg_id
        for sink in legs
        if sink.untold and any(_hears(sink, source) for source in machines)
    )


def _may_hear(sink: Participant, source: Participant) -> bool:
    """Whether a sink hears a source, by the roles of both and by whether it has heard the disclosure."""
    if source.role.only_to is not None and sink.leg_id not in source.role.only_to:
        return False
    return not (sink.untold and source.role.discloses) and _hears(sink, source)


def _hears(sink: Participant, source: Participant) -> bool:
    """Whether a sink hears a source by the roles of both."""
    subscription, audience = sink.role.subscription, source.role.audience
    if sink.state is not TALKING:
        return audience is _PLAYED_FOR.get(sink.state)
    if source.is_far and source.muted:
        return False
    if source.state is not TALKING:
        only_listens = not sink.is_far and sink.role.audience is Audience.NOBODY
        recorded = only_listens and subscription in _HEAR_INBOUND
        return source.is_far and source.state is not ARRIVING and recorded
    if source.is_far:
        return sink.is_far or subscription is OTHERS or subscription in _HEAR_INBOUND
    if sink.is_far:
        return not source.muted and (audience is ALL or audience is FAR)
    return audience is ALL and subscription is OTHERS
