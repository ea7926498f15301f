"""The legs that a call has, those that may come back, and whether anybody on our side uses it; pure."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from bridge.call import events
from bridge.call.bus.last_words import MAX_SECONDS
from bridge.call.commands import CloseAfterSpeech, EndLeg, HoldLeg, RouteAudio
from bridge.call.disclosure.told import Disclosure
from bridge.call.leg_record import DepartedLegs, LegRecord
from bridge.call.model import EndReason, LegId, LegKind, Party
from bridge.call.routing import TONE, Audience, Participant, ParticipantState, routing_table
from bridge.errors import InvalidState, LegNotFound


class CallUsage:
    """Tracks the legs on our side of a call, and the requests that name it.

    A call is abandoned when its last browser has left and nothing else uses it. One that never had a
    browser is not: an API client need not open a socket.
    """

    def __init__(self) -> None:
        self.abandoned_since: float | None = None
        """Monotonic seconds; None while the call is in use, or has been used since."""
        self._had_browser = False

    def joined(self, leg: LegRecord) -> None:
        """Note a leg that joined."""
        self._had_browser = self._had_browser or leg.may_return
        if leg.uses_call:
            self.abandoned_since = None

    def left(self, leg: LegRecord, others: Iterable[LegRecord], now: float) -> None:
        """Note a leg that left, and those that remain; far parties that talk with each other use the call."""
        remain = list(others)
        far = [other for other in remain if other.role.party is Party.FAR and other.talks]
        used = any(other.uses_call for other in remain) or len(far) > 1
        person = leg.is_person or leg.role.party is Party.FAR
        if person and self._had_browser and not used:
            self.abandoned_since = now

    def used(self) -> None:
        """Note a request of the line that named the call."""
        self.abandoned_since = None


class CallLegs:
    """The records of a call's legs, which of them are muted, and whether our side uses the call."""

    def __init__(self, *, exclusive: bool, abandoned_seconds: float) -> None:
        """Begin with no leg; `abandoned_seconds` is for how long a browser that left may come back."""
        self.records: dict[LegId, LegRecord] = {}
        self.departed = DepartedLegs()
        """Near browsers that may come back after a reload of their page."""
        self.usage = CallUsage()
        self.disclosure = Disclosure()
        """Who has heard the line's disclosure."""
        self.muted = False
        """Whether all near legs are muted, later ones too."""
        self._first: LegId | None = None
        """The far party that the call began with."""
        self._signalled: frozenset[LegId] = frozenset()
        """The legs whose parties have been told in signalling that they are held."""
        self._exclusive = exclusive
        self._abandoned_seconds = abandoned_seconds

    @property
    def far(self) -> LegRecord | None:
        """The far party whose progress is the call's; when it has left, the next one that talks."""
        found = self.far_parties()
        for leg in found:
            if leg.talks or leg.leg_id == self._first:
                return leg
        return found[0] if found else None

    def far_parties(self) -> list[LegRecord]:
        """Return the far parties, also those that ring."""
        return [leg for leg in self.records.values() if leg.role.party is Party.FAR]

    def near(self) -> list[LegRecord]:
        """Return all near legs except those that are leaving."""
        legs = self.records.values()
        return [leg for leg in legs if leg.role.party is Party.NEAR and not leg.leaving]

    def check_kind(self, kind: LegKind) -> None:
        """Refuse a leg of a kind that the call cannot have beside those it has.

        Raises:
            InvalidState: the call is recorded and would be streamed, or the other way round.
        """
        clashes = kind.traits.clashes_with
        if self._exclusive and any(clashes(leg.kind.traits) for leg in self.records.values()):
            raise InvalidState("a call is recorded or streamed, not both (recording.exclusive)")

    def add(self, event: events.LegAdded, now: float, *, due: float = math.inf) -> None:
        """Add a leg that must have connected when it is `due`."""
        self.check_kind(event.kind)
        role = event.role
        returned = self.departed.take(event.leg_id, now)
        leg = LegRecord(
            event.leg_id,
            event.kind,
            role,
            muted=role.party is Party.NEAR and (self.muted or bool(returned and returned.muted)),
            due=due,
        )
        self.records[event.leg_id] = leg
        if role.party is Party.FAR:
            self._first = self._first or event.leg_id
        if role.only_to is not None:
            self.disclosure.begin(event.leg_id, role.only_to)
        self.usage.joined(leg)

    def let_return(self, leg: LegRecord, now: float) -> None:
        """Let a near browser that leaves come back for a while."""
        if leg.may_return:
            # No journal knows whether it was silent, which is nothing to come back with.
            self.departed.keep(replace(leg, silent=False), now + self._abandoned_seconds)

    def drop(self, leg: LegRecord, reason: EndReason, now: float) -> EndLeg:
        """Remove a leg; return the command that ends it."""
        del self.records[leg.leg_id]
        self.disclosure.left(leg.leg_id, returns=leg.may_return)
        self.usage.left(leg, self.records.values(), now)
        return EndLeg(leg.leg_id, reason)

    def let_finish(self, leg: LegRecord, now: float) -> CloseAfterSpeech:
        """Let a bot finish what it has queued before it leaves; return the command for that."""
        self.set(replace(leg, leaving=True, due=min(leg.due, now + MAX_SECONDS)))
        return CloseAfterSpeech(leg.leg_id)

    def set(self, leg: LegRecord) -> None:
        """Replace the record of a leg."""
        self.records[leg.leg_id] = leg

    def closable(self, request: events.CloseRequested) -> list[LegRecord]:
        """Return the legs that a request to close means."""
        return [leg for leg in self.records.values() if self._closable(leg, request)]

    def _closable(self, leg: LegRecord, request: events.CloseRequested) -> bool:
        if request.owner is not None and leg.role.owner != request.owner:
            return False
        if request.leg_id is None:
            return leg.kind.traits.browser
        if leg.leg_id != request.leg_id:
            return False
        return (
            leg.kind.traits.browser
            or leg.role.party is not Party.FAR
            or any(other.talks for other in self.far_parties() if other is not leg)
        )

    def played_to(self, audience: Audience) -> list[LegRecord]:
        """Return the legs that have this audience."""
        return [leg for leg in self.records.values() if leg.role.audience is audience]

    def parties(self) -> int:
        """Return how many could talk with each other: persons, sockets, agents, those that ring too."""
        return sum(
            (leg.role.party is not Party.SERVICE or leg.kind is LegKind.AGENT) and not leg.leaving
            for leg in self.records.values()
        )

    def mute(self, event: events.MuteRequested, now: float) -> None:
        """Mute or unmute near legs, those that may come back too, or the far party that is named.

        Raises:
            LegNotFound: the call has no such party.
        """
        returns = self.departed.mute(event.leg_id, now, muted=event.muted)
        if event.leg_id is None:
            self.muted = event.muted
            chosen = self.near()
        else:
            parties = [*self.near(), *self.far_parties()]
            chosen = [leg for leg in parties if leg.leg_id == event.leg_id]
            if not chosen and not returns:
                raise LegNotFound("the call has no such party")
        for leg in chosen:
            self.set(replace(leg, muted=event.muted))

    def takers_of_digits(self) -> list[LegRecord]:
        """Return the far parties that our side talks with and that take digits."""
        far, first = self.far_parties(), self.far
        return [
            leg
            for leg in far
            if (leg is first or leg.talks) and leg.kind.traits.takes_digits and not leg.held
        ]

    def end_without(self, gone: list[LegRecord], *, replaced: bool) -> bool:
        """Whether a call ends when these legs leave: no far party would be left that talks.

        `replaced` says whether one is on its way in the place of one of them.
        """
        if replaced or not any(leg.role.party is Party.FAR for leg in gone):
            return False
        first = self.far
        return not any(leg.talks or leg is first for leg in self.far_parties() if leg not in gone)

    def ringing(self, *, tone: frozenset[LegKind]) -> frozenset[LegId]:
        """Return what near persons hear before the answer: early media, or a tone for these kinds."""
        far = self.far
        if far is not None and far.early:
            return frozenset({far.leg_id})
        return frozenset({TONE}) if far is not None and far.kind in tone else frozenset()

    def waiting_for_caller(self) -> dict[LegId, ParticipantState]:
        """Return the far parties that have answered before the telephone that the call is made from."""
        if not any(leg.role.caller and leg.ringing for leg in self.records.values()):
            return {}
        return {leg.leg_id: ParticipantState.WAITING for leg in self.far_parties() if leg.talks}

    def hold(self, leg_id: LegId, *, held: bool) -> None:
        """Hold a party, or no longer.

        Raises:
            LegNotFound: the call has no such party that has answered.
        """
        leg = self.records.get(leg_id)
        if leg is None or not leg.talks or leg.role.party is Party.SERVICE:
            raise LegNotFound("the call has no such party")
        self.set(replace(leg, held=held))

    def unhold_all(self) -> None:
        """Hold no party any longer."""
        for leg in self.records.values():
            self.records[leg.leg_id] = replace(leg, held=False)

    def routes(
        self,
        participants: Iterable[Participant],
        *,
        waiting: frozenset[LegId] = frozenset(),
        ringing: frozenset[LegId] = frozenset(),
    ) -> RouteAudio:
        """Return who hears whom; `waiting` and `ringing` are as in `routing_table`."""
        rows = routing_table(participants, waiting=waiting, ringing=ringing)
        self.disclosure.note(rows)
        return RouteAudio(rows)

    def participants(
        self,
        *,
        answered: bool,
        held: bool,
        states: Mapping[LegId, ParticipantState] = MappingProxyType({}),
    ) -> list[Participant]:
        """Return who takes part; the first far party does once the call is answered.

        `states` has those of the parties of a transfer.
        """
        told = self.disclosure.told
        return [
            Participant(
                leg.leg_id,
                leg.heard_role,
                leg.role.party is Party.FAR,
                state,
                leg.muted,
                untold=leg.is_listener and leg.leg_id not in told,
            )
            for leg in self.records.values()
            if (state := states.get(leg.leg_id) or self._state(leg, answered=answered, held=held))
        ]

    def machines(self) -> list[LegId]:
        """Return the legs that persons hear only after a disclosure."""
        return [leg.leg_id for leg in self.records.values() if leg.role.discloses]

    @property
    def told(self) -> bool:
        """Whether anybody in the call has heard the disclosure."""
        return not self.disclosure.told.isdisjoint(self.records)

    def signal_holds(self, *, held: bool) -> list[HoldLeg]:
        """Return which far parties are to be told that they are held, or no longer.

        Where music is played to them they have to be sent to, and are not told.
        """
        silent = not self.played_to(Audience.HELD)
        far = self.far_parties()
        wanted = frozenset(leg.leg_id for leg in far if silent and (leg.held or held) and leg.talks)
        before, self._signalled = self._signalled, wanted
        return [
            HoldLeg(leg.leg_id, leg.leg_id in wanted)
            for leg in far
            if (leg.leg_id in wanted) is not (leg.leg_id in before)
        ]

    def _state(self, leg: LegRecord, *, answered: bool, held: bool) -> ParticipantState | None:
        """Return the state of a leg; None while it takes no part."""
        is_far = leg.role.party is Party.FAR
        is_up = not leg.ringing
        if is_far:
            is_up = answered if leg.leg_id == self._first else leg.talks
        if not is_up:
            return None
        return ParticipantState.HELD if leg.held or (held and is_far) else ParticipantState.TALKING
