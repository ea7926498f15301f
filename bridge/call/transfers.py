"""Transfers of a call: who is rung for it, who waits meanwhile, who leaves once the new party talks; pure.

Four ways, one at a time:

* our side has somebody rung who takes the place of all near legs; the far parties wait;
* a far party asks to be replaced by somebody (SIP's REFER); the near persons wait if it is the only one;
* our side leaves the call to its far parties, after it has talked with the new one;
* our side asks the far party to call somebody else (REFER, ours), and the call ends once it has.

A party that waits hears what is played for that, else the early media of the one that is rung, else a
ring-back tone. The new party may be played something before it talks. When it does not answer
everything is as before. A browser that is invited takes the near legs' place as soon as it has come,
and nobody waits.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from bridge.call import events
from bridge.call.call_legs import CallLegs
from bridge.call.commands import (
    CallInstead,
    Command,
    ReferLeg,
    Report,
    ReportMissed,
    ReportTransfer,
    StartPlayback,
)
from bridge.call.leg_record import LegRecord
from bridge.call.model import EndReason, LegId, LegKind
from bridge.call.routing import TONE, Heard, Standing
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


class Transfers:
    """The transfer that a call is in, if any."""

    def __init__(self, legs: CallLegs) -> None:
        self._legs = legs
        self.invited: str | None = None
        """The party in a browser that is invited to take the near legs' place."""
        self.invited_until = math.inf
        self.target: LegId | None = None
        """Who is rung, or has answered and does not talk yet."""
        self._in_place_of: LegId | None = None
        self._dialled = False
        self._referred: LegId | None = None
        """Who was asked to call somebody else."""
        self._played: frozenset[LegId] = frozenset()
        """What is played to the new party before it talks."""
        self.left = False
        """Whether our side has left the call to parties that were transferred to each other."""
        self._resumes = False

    def invite(self, identity: str, until: float) -> None:
        """Invite a party in a browser."""
        self.invited, self.invited_until = identity, until

    def miss(self, now: float) -> list[Command]:
        """Return the report of an invited party that has not come in time."""
        if self.invited is None or self.invited_until > now:
            return []
        missed, self.invited, self.invited_until = self.invited, None, math.inf
        return [ReportMissed(missed)]

    def check(self, event: events.LegAdded) -> None:
        """Refuse a leg that takes others' place and may not.

        Raises:
            InvalidState: nobody was invited, or somebody else; or a transfer is under way.
        """
        role = event.role
        if not role.replaces:
            return
        if not event.kind.traits.browser:
            self._check_idle()
            return
        if self.invited is None:
            raise InvalidState("the call is not being transferred to a browser")
        if role.owner is not None and role.owner.identity != self.invited:
            raise InvalidState("the call is being transferred to somebody else")
        self.invited, self.invited_until = None, math.inf

    def joined(self, event: events.LegAdded) -> None:
        """Begin a transfer, if the leg that has joined is to take others' place."""
        if event.role.replaces and not event.kind.traits.browser:
            self.target, self._in_place_of = event.leg_id, event.role.in_place_of
            self._dialled = False
            self._played = frozenset()

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
        self._referred = far[0].leg_id
        started = Report(EventType.TRANSFER_STARTED, {"legID": self._referred})
        return [ReferLeg(self._referred, target), started]

    def requested(self, event: events.LegTransferRequested, *, talks: bool) -> list[Command]:
        """Handle a far party's request to call somebody in its place (REFER)."""
        far = [leg.leg_id for leg in self._legs.far_parties()]
        busy = self.target is not None or self._referred is not None
        if not talks or busy or event.leg_id not in far:
            return [ReportTransfer(event.leg_id, DECLINED)]
        return [CallInstead(event)]

    def referred(self, event: events.LegTransferProgressed) -> tuple[bool, list[Command]]:
        """Note how far the party that we asked is; return whether it has left us for somebody else."""
        if event.leg_id != self._referred or not event.final:
            return False, []
        self._referred = None
        done = OK <= event.code < OK + 100
        what = EventType.TRANSFER_COMPLETED if done else EventType.TRANSFER_FAILED
        return done, [Report(what, {"legID": event.leg_id, "code": event.code})]

    def progressed(self, leg: LegRecord, event: events.LegEvent, now: float) -> list[Command]:
        """Note what has happened to a leg that takes others' place."""
        done: list[Command] = []
        if leg.leg_id == self.target:
            if isinstance(event, events.LegDialled):
                self._dialled = True
                done.append(Report(EventType.TRANSFER_STARTED, {"legID": leg.leg_id}))
            if isinstance(event, events.LegRinging):
                done += self._to_asker(RINGING)
        if not leg.talks:
            return done
        waits = self._legs.heard(Heard.ARRIVING)
        if not waits or leg.leg_id != self.target:
            return [*done, *self._take_over(leg, now)]
        playing = frozenset(each.leg_id for each in waits)
        starts = sorted(playing - self._played)
        self._played = playing
        return [*done, *map(StartPlayback, starts)]

    def removed(self, gone: list[LegRecord], reason: EndReason, now: float) -> list[Command]:
        """Note that legs have left the call; a transfer may fail by that, or go on."""
        if self.target is None:
            return []
        if any(leg.leg_id == self.target for leg in gone):
            return self._fail(reason, now)
        target = self._legs.records[self.target]
        if target.talks and self._played and not self._legs.heard(Heard.ARRIVING):
            return self._take_over(target, now)
        return []

    def leave(self, leg_id: LegId, now: float) -> list[Command]:
        """Have our side leave the call to its far parties.

        Raises:
            InvalidState: a transfer is under way, or that far party does not talk with another one.
        """
        self._check_idle()
        talking = [leg.leg_id for leg in self._legs.far_parties() if leg.talks]
        if leg_id not in talking or len(talking) < 2:
            raise InvalidState("a call is left to two far parties or more that have answered")
        self.left = self._resumes = True
        done = Report(EventType.TRANSFER_COMPLETED, {"legID": leg_id})
        return [*self._drop_near(None, now), done]

    def take_resumption(self) -> bool:
        """Return whether our side has left since this was last asked, so that nobody is held any longer."""
        resumes, self._resumes = self._resumes, False
        return resumes

    def standings(self) -> dict[LegId, Standing]:
        """Return how those stand to the conversation that a transfer concerns."""
        if self.target is None:
            return {}
        far = [leg for leg in self._legs.far_parties() if leg.leg_id != self.target]
        if self._in_place_of is None:
            waiting = far
        else:
            waiting = [leg for leg in self._legs.near() if leg.is_person and len(far) < 2]
        return {
            **{leg.leg_id: Standing.WAITS for leg in waiting},
            self.target: Standing.ARRIVES,
        }

    def heard_waiting(self) -> frozenset[LegId]:
        """Return what those hear that wait."""
        if self.target is None:
            return frozenset()
        if music := self._legs.heard(Heard.WAITING):
            return frozenset(leg.leg_id for leg in music)
        return frozenset({self.target if self._legs.records[self.target].early else TONE})

    def replaces(self, gone: list[LegRecord]) -> bool:
        """Whether somebody else is being rung in the place of one of these."""
        names = {leg.leg_id for leg in gone}
        return self._in_place_of in names and self.target is not None and self.target not in names

    def _check_idle(self) -> None:
        if self.target is not None or self._referred is not None:
            raise InvalidState("the call is being transferred already")

    def _take_over(self, leg: LegRecord, now: float) -> list[Command]:
        role = replace(leg.role, replaces=False, in_place_of=None)
        self._legs.set(replace(leg, role=role))
        if leg.leg_id != self.target:  # a browser
            return self._drop_near(leg.leg_id, now)
        asked, told = self._in_place_of, self._to_asker(OK)
        self.target = self._in_place_of = None
        done = [*told, *self._end_sounds(now)]
        if asked is None:
            self.left = self._resumes = True
            done += self._drop_near(leg.leg_id, now)
        elif (old := self._legs.records.get(asked)) is not None:
            done.append(self._legs.drop(old, EndReason.HANGUP, now))
        return [*done, Report(EventType.TRANSFER_COMPLETED, {"legID": leg.leg_id})]

    def _fail(self, reason: EndReason, now: float) -> list[Command]:
        # Whoever asked for a dial that is refused is told by whom it was asked to.
        done = self._to_asker(SIP_CODES.get(reason, 480)) if self._dialled else []
        failed, self.target, self._in_place_of = self.target, None, None
        done += self._end_sounds(now)
        if self._dialled:
            data = {"legID": failed, "reason": reason}
            done.append(Report(EventType.TRANSFER_FAILED, data))
        return done

    def _to_asker(self, code: int) -> list[Command]:
        asked = self._in_place_of
        return [] if asked is None else [ReportTransfer(asked, code)]

    def _end_sounds(self, now: float) -> list[Command]:
        sounds = [*self._legs.heard(Heard.WAITING), *self._legs.heard(Heard.ARRIVING)]
        return [self._legs.drop(leg, EndReason.HANGUP, now) for leg in sounds]

    def _drop_near(self, but: LegId | None, now: float) -> list[Command]:
        """Have our side leave: its near legs, and agents once nobody of ours is left to be helped."""
        ours = [leg for leg in self._legs.near() if leg.leg_id != but]
        if self.left:
            ours += [leg for leg in self._legs.records.values() if leg.kind is LegKind.AGENT]
        return [self._legs.drop(leg, EndReason.HANGUP, now) for leg in ours]
