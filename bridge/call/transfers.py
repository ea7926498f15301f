"""Transfers of a call: who is called for it, who waits meanwhile, who leaves once the new party talks; pure.

Theory of operation. There is one transfer at a time:

    event                          idle         referring   ringing                   announcing
    LegAdded (`replaces`)          ringing      refused     refused                   refused
    ReferRequested                 referring    refused     refused                   refused
    LegTransferRequested           CallInstead  declined    declined                  declined
    LeaveRequested                 completed    refused     refused                   refused
    LegTransferProgressed, final   -            idle        -                         -
    the new party talks            -            -           announcing or completed   -
    its announcement has ended     -            -           -                         completed
    the new party has left         -            -           failed                    failed

*Referring*: our side has asked the far party to call somebody else (SIP's REFER); the call ends once it
has. *Ringing*: somebody is called who takes the place of our side, or, after `CallInstead`, of the far
party that has asked for it by a REFER. *Announcing*: it has answered, and hears what is to be played to it
before it talks.

    who asks       who waits                               who leaves at the end
    our side       the far parties                         the near legs, and agents
    a far party    near persons, if it is the only one     that far party

A party that waits hears what is played for that, else the early media of the one that is called, else a
ring-back tone. When the new party does not answer everything is as before. `LeaveRequested` ends an attended
transfer: our side leaves the call to its far parties. A browser that is invited takes the near legs'
place as soon as it has come, and nobody waits.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from bridge.call import events
from bridge.call.call_legs import CallLegs
from bridge.call.commands import (
    CallInstead,
    Command,
    ReferLeg,
    Report,
    ReportTransfer,
    StartPlayback,
)
from bridge.call.leg_record import LegRecord
from bridge.call.model import EndReason, LegId, LegKind, Party
from bridge.call.routing import TONE, Audience, ParticipantState
from bridge.errors import InvalidState
from bridge.wire.call_event import EventType

OK: Final = 200
RINGING: Final = 180
DECLINED: Final = 603
SIP_CODES: Final[Mapping[EndReason, int]] = {
    EndReason.BUSY: 486,
    EndReason.NO_ANSWER: 408,
    EndReason.UNREACHABLE: 404,
    EndReason.REJECTED: DECLINED,
}
"""What a party that asked for a transfer is told; 480 for every other end."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """A party in a browser is invited to take the near legs' place."""

    identity: str
    until: float
    """In monotonic seconds."""


@dataclass(frozen=True, slots=True)
class Referring:
    """A far party was asked to call somebody else."""

    leg_id: LegId


@dataclass(frozen=True, slots=True)
class Ringing:
    """A new party is called, or has answered and hears its announcement."""

    target: LegId
    asker: LegId | None
    """The far party that asked to be replaced; None if our side did."""
    dialled: bool = False
    """Whether its provider has accepted the dial, which is reported."""
    announcements: frozenset[LegId] = frozenset()
    """What is played to it before it talks; empty until it has answered."""


class Arrival(NamedTuple):
    """Who has taken the place of one side of a call."""

    leg_id: LegId
    times: int
    """How often the side has been taken over by now."""


class Step(NamedTuple):
    """What follows from an event."""

    commands: list[Command]
    our_side_left: bool = False
    """Whether our side has left the call by it, and holds nobody any longer."""


class Transfers:
    """The transfer that a call is in, if any."""

    def __init__(self, legs: CallLegs) -> None:
        self._legs = legs
        self._stage: Referring | Ringing | None = None
        self.invitation: Invitation | None = None
        self.left = False
        """Whether our side has left the call to parties that were transferred to each other."""
        self.arrivals: dict[Party, Arrival] = {}
        """The last of each side; none while it is the one that the call began with."""

    def miss(self, now: float) -> list[Command]:
        """Return the report of an invited party that has not come in time."""
        missed = self.invitation
        if missed is None or missed.until > now:
            return []
        self.invitation = None
        return [Report(EventType.PARTY_MISSED, {"identity": missed.identity})]

    def join(self, event: events.LegAdded) -> None:
        """Begin a transfer, or accept an invitation, if the leg that joins is to take others' place.

        Raises:
            InvalidState: nobody was invited, or somebody else; or a transfer is under way.
        """
        role = event.role
        if not role.replaces:
            return
        if not event.kind.traits.browser:
            self._check_idle()
            self._stage = Ringing(event.leg_id, role.in_place_of)
            return
        if self.invitation is None:
            raise InvalidState("the call is not being transferred to a browser")
        if role.owner is not None and role.owner.identity != self.invitation.identity:
            raise InvalidState("the call is being transferred to somebody else")
        self.invitation = None

    def refer(self, target: str) -> list[Command]:
        """Ask the far party to call somebody else.

        Raises:
            InvalidState: a transfer is under way, or there are several far parties.
        """
        self._check_idle()
        far = self._legs.far_parties()
        if len(far) != 1:
            raise InvalidState(
                "only the one far party of a call can be asked to call somebody else"
            )
        leg_id = far[0].leg_id
        self._stage = Referring(leg_id)
        return [ReferLeg(leg_id, target), Report(EventType.TRANSFER_STARTED, {"legID": leg_id})]

    def requested(self, event: events.LegTransferRequested, *, talks: bool) -> list[Command]:
        """Handle a far party's request to call somebody in its place (REFER)."""
        far = [leg.leg_id for leg in self._legs.far_parties()]
        if not talks or self._stage is not None or event.leg_id not in far:
            return [ReportTransfer(event.leg_id, DECLINED)]
        return [CallInstead(event)]

    def referred(self, event: events.LegTransferProgressed) -> tuple[bool, list[Command]]:
        """Note how far the party that we asked is; return whether it has left us for somebody else."""
        if self._stage != Referring(event.leg_id) or not event.final:
            return False, []
        self._stage = None
        done = OK <= event.code < OK + 100
        what = EventType.TRANSFER_COMPLETED if done else EventType.TRANSFER_FAILED
        return done, [Report(what, {"legID": event.leg_id, "code": event.code})]

    def progressed(self, leg: LegRecord, event: events.LegEvent, now: float) -> Step:
        """Note what has happened to a leg that takes others' place."""
        stage = self._stage
        if not isinstance(stage, Ringing) or leg.leg_id != stage.target:  # a browser
            done = self._take_place(leg, now) if leg.talks else []
            if isinstance(stage, Ringing) and stage.target not in self._legs.records:
                done += self._fail(stage, EndReason.HANGUP, now)
            return Step(done)
        match event:
            case events.LegDialled():
                self._stage = replace(stage, dialled=True)
                return Step([Report(EventType.TRANSFER_STARTED, {"legID": leg.leg_id})])
            case events.LegRinging():
                return Step(_to_asker(stage, RINGING))
        if not leg.talks:
            return Step([])
        playing = frozenset(each.leg_id for each in self._legs.played_to(Audience.ARRIVING))
        if not playing:
            return self._complete(stage, leg, now)
        self._stage = replace(stage, announcements=playing)
        return Step([StartPlayback(each) for each in sorted(playing - stage.announcements)])

    def removed(self, gone: list[LegRecord], reason: EndReason, now: float) -> Step:
        """Note that legs have left the call; a transfer may fail by that, or go on."""
        stage = self._stage
        if not isinstance(stage, Ringing):
            return Step([])
        if any(leg.leg_id == stage.target for leg in gone):
            return Step(self._fail(stage, reason, now))
        new, announced = self._legs.records[stage.target], bool(stage.announcements)
        if new.talks and announced and not self._legs.played_to(Audience.ARRIVING):
            return self._complete(stage, new, now)
        return Step([])

    def leave(self, leg_id: LegId, now: float) -> Step:
        """Have our side leave the call to its far parties.

        Raises:
            InvalidState: a transfer is under way, or that far party does not talk with another one.
        """
        self._check_idle()
        talking = [leg.leg_id for leg in self._legs.far_parties() if leg.talks]
        if leg_id not in talking or len(talking) < 2:
            raise InvalidState("cannot leave the call: at least two far parties must have answered")
        self.left = True
        done = Report(EventType.TRANSFER_COMPLETED, {"legID": leg_id})
        return Step([*self._drop_near(None, now), done], our_side_left=True)

    def states(self) -> dict[LegId, ParticipantState]:
        """Return the states of those whom a transfer concerns."""
        stage = self._stage
        if not isinstance(stage, Ringing):
            return {}
        waiting = far = [leg for leg in self._legs.far_parties() if leg.leg_id != stage.target]
        if stage.asker is not None:
            waiting = [leg for leg in self._legs.near() if leg.is_person and len(far) < 2]
        states = {leg.leg_id: ParticipantState.WAITING for leg in waiting}
        return states | {stage.target: ParticipantState.ARRIVING}

    def heard_waiting(self) -> frozenset[LegId]:
        """Return what those hear that wait."""
        if not isinstance(self._stage, Ringing):
            return frozenset({TONE})
        if music := self._legs.played_to(Audience.WAITING):
            return frozenset(leg.leg_id for leg in music)
        target = self._stage.target
        return frozenset({target if self._legs.records[target].early else TONE})

    def replaces(self, gone: list[LegRecord]) -> bool:
        """Whether somebody else is being called in the place of one of these."""
        names, stage = {leg.leg_id for leg in gone}, self._stage
        return isinstance(stage, Ringing) and stage.asker in names and stage.target not in names

    def _check_idle(self) -> None:
        if self._stage is not None:
            raise InvalidState("the call is being transferred already")

    def _complete(self, stage: Ringing, new: LegRecord, now: float) -> Step:
        self._stage = None
        done = [*_to_asker(stage, OK), *self._end_sounds(now)]
        self.left = self.left or stage.asker is None
        done += self._take_place(new, now)
        done.append(Report(EventType.TRANSFER_COMPLETED, {"legID": new.leg_id}))
        return Step(done, our_side_left=stage.asker is None)

    def _fail(self, stage: Ringing, reason: EndReason, now: float) -> list[Command]:
        self._stage = None
        if not stage.dialled:  # whoever has asked for the dial reports that it was refused
            return self._end_sounds(now)
        return [
            *_to_asker(stage, SIP_CODES.get(reason, 480)),
            *self._end_sounds(now),
            Report(EventType.TRANSFER_FAILED, {"legID": stage.target, "reason": reason}),
        ]

    def _end_sounds(self, now: float) -> list[Command]:
        played_to = self._legs.played_to
        return self._drop([*played_to(Audience.WAITING), *played_to(Audience.ARRIVING)], now)

    def _take_place(self, new: LegRecord, now: float) -> list[Command]:
        """Have a new party take the place of the leg that it is meant to replace, or of our side."""
        role = replace(new.role, replaces=False, in_place_of=None)
        self._legs.set(replace(new, role=role))
        before = self.arrivals.get(role.party)
        self.arrivals[role.party] = Arrival(new.leg_id, before.times + 1 if before else 1)
        asker = new.role.in_place_of
        if asker is None:
            return self._drop_near(new.leg_id, now)
        return self._drop([leg for leg in self._legs.records.values() if leg.leg_id == asker], now)

    def _drop_near(self, but: LegId | None, now: float) -> list[Command]:
        """Have our side leave: its near legs, and agents once nobody of ours is left to be helped."""
        ours = [leg for leg in self._legs.near() if leg.leg_id != but]
        if self.left:
            ours += [leg for leg in self._legs.records.values() if leg.kind is LegKind.AGENT]
        return self._drop_ours(ours, now)

    def _drop_ours(self, legs: list[LegRecord], now: float) -> list[Command]:
        """Remove legs of ours; bots first finish what they have queued."""
        bots = [leg for leg in legs if leg.speaks_from_queue and leg.connected]
        done = self._drop([leg for leg in legs if leg not in bots], now)
        return [*done, *(self._legs.let_finish(leg, now) for leg in bots if not leg.leaving)]

    def _drop(self, legs: list[LegRecord], now: float) -> list[Command]:
        return [self._legs.drop(leg, EndReason.HANGUP, now) for leg in legs]


def _to_asker(stage: Ringing, code: int) -> list[Command]:
    return [] if stage.asker is None else [ReportTransfer(stage.asker, code)]
