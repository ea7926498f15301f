"""The machine's record of each leg, and of legs that may come back."""

import math
from dataclasses import dataclass, replace
from typing import Final

from bridge.call import events
from bridge.call.model import LegId, LegKind, Party
from bridge.call.routing import LegRole, Subscription

MAX_DEPARTED: Final = 16
"""Legs of a call that may come back; beyond that the first to leave is dropped."""


@dataclass(frozen=True, slots=True)
class LegRecord:
    """The machine's record of a leg."""

    leg_id: LegId
    kind: LegKind
    role: LegRole
    connected: bool = False
    muted: bool = False
    silent: bool = False
    ringing: bool = False
    """Whether its party is being called and has not answered."""
    early: bool = False
    """Whether its network sends audio before its party answers."""
    held: bool = False
    """Whether our side holds this party."""
    leaving: bool = False
    """Whether it is a bot that finishes what it has queued before it leaves: it hears nobody, and keeps no call alive."""
    due: float = math.inf
    """When a party that is called must have connected, then when it leaves; in monotonic seconds."""

    @property
    def talks(self) -> bool:
        """Whether its party can be talked with."""
        return self.connected and not self.ringing

    @property
    def speaks_from_queue(self) -> bool:
        """Whether it is a bot whose speech waits in a queue of ours until it is played."""
        bots = (LegKind.AGENT, LegKind.SOCKET, LegKind.STREAM)
        return self.kind in bots and self.role.party is not Party.FAR

    @property
    def heard_role(self) -> LegRole:
        """Its role for the routing table: a leg that is leaving hears nobody."""
        return replace(self.role, subscription=Subscription.NOBODY) if self.leaving else self.role

    @property
    def uses_call(self) -> bool:
        """Whether a call with this leg is in use."""
        return self.role.party is not Party.FAR and self.role.asked_for and not self.leaving

    @property
    def is_person(self) -> bool:
        """Whether it is a person on our side, in a browser or at a telephone."""
        return self.role.party is Party.NEAR and self.kind.traits.person

    @property
    def is_listener(self) -> bool:
        """Whether it is a person, who must hear the disclosure."""
        return (self.role.party is Party.FAR or self.is_person) and not self.role.machine

    @property
    def may_return(self) -> bool:
        """Whether its party can reconnect in its place: a near browser."""
        return self.role.party is Party.NEAR and self.kind.traits.browser


def progressed(
    leg: LegRecord, event: events.LegEvent, now: float, *, ring_seconds: float
) -> LegRecord:
    """Return the record of a leg to which something has happened."""
    talked = leg.talks
    match event:
        case events.LegDialled():
            rings_until = leg.due if leg.due == math.inf else now + ring_seconds
            leg = replace(leg, ringing=True, due=rings_until)
        case events.LegRinging():
            leg = replace(leg, ringing=True)
        case events.LegEarlyMedia():
            leg = replace(leg, early=True)
        case events.LegAnswered():
            leg = replace(leg, ringing=False)
        case events.LegConnected():
            leg = replace(leg, connected=True)
        case events.LegSilent() | events.LegResumed():
            leg = replace(leg, silent=isinstance(event, events.LegSilent))
        case _:
            pass
    begins = leg.talks and not talked
    return replace(leg, due=now + leg.role.talk_seconds) if begins else leg


class DepartedLegs:
    """Legs that have left and may reconnect for a while, after a reload of their page."""

    def __init__(self) -> None:
        self._legs: dict[LegId, tuple[LegRecord, float]] = {}

    def keep(self, leg: LegRecord, until: float) -> None:
        """Keep a leg until a time, in monotonic seconds."""
        self._legs.pop(leg.leg_id, None)
        self._legs[leg.leg_id] = (leg, until)
        if len(self._legs) > MAX_DEPARTED:
            del self._legs[next(iter(self._legs))]

    def all(self) -> list[tuple[LegRecord, float]]:
        """Return the legs that may come back, and until when."""
        return list(self._legs.values())

    def find(self, leg_id: LegId, now: float) -> LegRecord | None:
        """Return a leg that may come back; None when unknown or expired."""
        leg, until = self._legs.get(leg_id, (None, 0.0))
        return leg if until > now else None

    def mute(self, leg_id: LegId | None, now: float, *, muted: bool) -> bool:
        """Mute or unmute a leg, or all, for when they come back; return whether any is known."""
        chosen = list(self._legs)
        if leg_id is not None:
            chosen = [leg_id] if self.find(leg_id, now) else []
        for one in chosen:
            leg, until = self._legs[one]
            self._legs[one] = replace(leg, muted=muted), until
        return bool(chosen)

    def take(self, leg_id: LegId, now: float) -> LegRecord | None:
        """Return what `find` does and remove it: the leg is back."""
        leg = self.find(leg_id, now)
        self._legs.pop(leg_id, None)
        return leg
