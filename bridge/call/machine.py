"""The state machine of one call: events in, commands out; pure.

Theory of operation. A call has one *far* party (the WhatsApp or phone side) and any number of near
legs. Only the far party and our own requests move the state:

    event of the far party / request     initiated   ringing      connecting   active
    LegRinging                           ringing     -            -            -
    LegAnswered, AnswerRequested         connecting  connecting   -            -
    LegConnected                         -           -            active       -
    HoldRequested                        -           -            -            held
    LegEnded, HangupRequested            ended       ended        ended        ended

A held call differs from an active one only in what the far party hears. A far party whose media is
already up when it answers goes from `connecting` to `active` in the same step, so a call is `ringing`
until it is answered, whatever its media does; a far party in a browser answers by connecting.
Deadlines run beside the table: ringing, the call's length, the time since its answer, and the time a
call may be abandoned (`call.usage`). `ended` is final: later events are ignored, so that both sides may
hang up at once, twice and in any order; a leg that is added too late is refused, so that its owner
frees it.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

from bridge.call import events
from bridge.call.commands import (
    AnswerLeg,
    Command,
    EndCall,
    EndLeg,
    ReportMissed,
    ReportState,
    RouteAudio,
    SendDigits,
)
from bridge.call.leg_record import DepartedLegs, LegRecord
from bridge.call.limits import CallLimits
from bridge.call.model import Direction, EndReason, LegId, LegKind, LegOwner, Party, State
from bridge.call.routing import RoutedLeg, routing_table
from bridge.call.usage import CallUsage
from bridge.errors import CallEnded, InvalidState, LegNotFound, Unsupported

TRANSITIONS: Mapping[State, Mapping[type[events.Event], State]] = {
    State.INITIATED: {
        events.LegRinging: State.RINGING,
        events.LegAnswered: State.CONNECTING,
    },
    State.RINGING: {
        events.LegAnswered: State.CONNECTING,
        events.AnswerRequested: State.CONNECTING,
    },
    State.CONNECTING: {events.LegConnected: State.ACTIVE},
}

UNANSWERED = frozenset({State.INITIATED, State.RINGING})


class CallMachine:
    """One call's state; every change goes through `handle`."""

    def __init__(
        self,
        *,
        direction: Direction,
        limits: CallLimits,
        now: float,
        waits_for_far: bool = False,
        dialling: bool = False,
    ) -> None:
        """Begin a call.

        Args:
            direction: an inbound call begins `ringing`.
            limits: the time limits.
            now: monotonic seconds.
            waits_for_far: the far party is a browser that has yet to connect; the call rings for it.
            dialling: the far party's provider has yet to accept the dial.
        """
        rings = direction is Direction.INBOUND or waits_for_far
        self.direction = direction
        self.state = State.RINGING if rings else State.INITIATED
        self.reason: EndReason | None = None
        self.legs: dict[LegId, LegRecord] = {}
        self.departed = DepartedLegs()
        """Near browsers that may come back after a reload of their page."""
        self.answered_at: float | None = None
        self.ended_at: float | None = None
        self.started_at = now
        self._rings_since = math.inf if dialling else now
        self.invited: str | None = None
        """The party that is invited to take the near legs' place."""
        self._invited_until = math.inf
        self._limits = limits
        self._muted = False
        self.usage = CallUsage()

    def deadline(self) -> float | None:
        """When to call `handle` with `TimePassed`, in monotonic seconds; None once ended."""
        if self.state is State.ENDED:
            return None
        deadlines = [self.started_at + self._limits.call_seconds]
        if self.state in UNANSWERED:
            deadlines.append(self._rings_since + self._limits.ring_seconds)
        if self.usage.abandoned_since is not None:
            deadlines.append(self.usage.abandoned_since + self._limits.alone_seconds)
        if self.answered_at is not None:
            deadlines.append(self.answered_at + self._limits.talk_seconds)
        if self.invited is not None:
            deadlines.append(self._invited_until)
        return min(deadlines + [leg.due for leg in self.legs.values()])

    def handle(self, event: events.Event, now: float) -> list[Command]:
        """Take an event; return the commands to perform, in order.

        Raises:
            InvalidState, Unsupported: a request, or a new leg, that the call does not allow.
            LegNotFound: a request that names a leg the call does not have.
        """
        if self.state is State.ENDED:
            return self._refuse(event)
        if isinstance(event, events.Request):
            return self._perform(event, now)
        match event:
            case events.LegAdded():
                return self._add(event, now)
            case events.LegEnded():
                return self._lose(event, now)
            case events.DigitReceived():
                return self._digit(event)
            case events.LegReported():
                return []
            case events.CallUsed():
                self.usage.used()
                return []
            case events.TimePassed():
                return self._time_passed(now)
            case _:
                return self._progress(event, now)

    def _perform(self, request: events.Request, now: float) -> list[Command]:
        match request:
            case events.HangupRequested():
                return self._end(self._hangup_reason(request.reason), now)
            case events.CloseRequested():
                return self._close(request, now)
            case events.MuteRequested():
                return self._mute(request, now)
            case events.HoldRequested():
                return self._hold(request)
            case events.DigitsRequested():
                return self._send_digits(request.digits)
            case events.AnswerRequested():
                return self._answer(request, now)
            case events.InviteRequested():
                self.invited = request.identity
                self._invited_until = now + self._limits.ring_seconds
                return []

    @property
    def dialling(self) -> bool:
        """Whether the far party's provider has yet to accept the dial; the call only ends meanwhile."""
        return self._rings_since == math.inf

    @property
    def muted(self) -> bool:
        """Whether all near legs are muted, later ones too."""
        return self._muted

    @property
    def far(self) -> LegRecord | None:
        """The far party's leg, while there is one."""
        return next((leg for leg in self.legs.values() if leg.party is Party.FAR), None)

    def near(self) -> list[LegRecord]:
        """Return all near legs."""
        return [leg for leg in self.legs.values() if leg.party is Party.NEAR]

    def _refuse(self, event: events.Event) -> list[Command]:
        wanted = isinstance(event, events.LegAdded | events.Request)
        if wanted and not isinstance(event, events.CloseRequested):
            raise CallEnded("the call has ended")
        return []

    def check_kind(self, kind: LegKind) -> None:
        """Refuse a leg of a kind that the call cannot have beside those it has.

        Raises:
            InvalidState: the call is recorded and would be streamed, or the other way round.
        """
        clashes = kind.traits.clashes_with
        if self._limits.exclusive and any(clashes(leg.kind.traits) for leg in self.legs.values()):
            raise InvalidState("a call is recorded or streamed, not both (recording.exclusive)")

    def _add(self, event: events.LegAdded, now: float) -> list[Command]:
        if event.party is Party.FAR and self.far is not None:
            raise InvalidState("the call already has its far party")
        if event.replaces and event.kind.traits.browser:
            self._check_invited(event.owner)
            self.invited = None
        self.check_kind(event.kind)
        returned = self.departed.take(event.leg_id, now)
        leg = LegRecord(
            event.leg_id,
            event.kind,
            event.party,
            event.hears,
            event.heard,
            replaces=event.replaces,
            muted=event.party is Party.NEAR and (self._muted or bool(returned and returned.muted)),
            owner=event.owner,
            asked_for=event.asked_for,
            due=now + self._limits.ring_seconds if event.replaces else math.inf,
        )
        self.legs[event.leg_id] = leg
        self.usage.joined(leg)
        return [self._routes()]

    def _check_invited(self, owner: LegOwner | None) -> None:
        if self.invited is None:
            raise InvalidState("the call is not being transferred to a browser")
        if owner is not None and owner.identity != self.invited:
            raise InvalidState("the call is being transferred to somebody else")

    def _progress(self, event: events.LegEvent, now: float) -> list[Command]:
        leg = self.legs.get(event.leg_id)
        if leg is None:
            return []
        match event:
            case events.LegDialled():
                leg = replace(leg, due=now + self._limits.ring_seconds if leg.replaces else leg.due)
                self._rings_since = min(self._rings_since, now)
            case events.LegConnected():
                leg = replace(leg, connected=True, due=math.inf)
            case events.LegSilent() | events.LegResumed():
                leg = replace(leg, silent=isinstance(event, events.LegSilent))
            case _:
                pass
        self.legs[event.leg_id] = leg
        if leg.party is not Party.FAR:
            return self._replace(leg, now) if leg.replaces and leg.connected else []
        answers_by_connecting = leg.kind.traits.browser and self.state in UNANSWERED
        if isinstance(event, events.LegConnected) and answers_by_connecting:
            return self._move(State.CONNECTING, now)
        return self._follow_table(event, now)

    def _replace(self, leg: LegRecord, now: float) -> list[Command]:
        self.legs[leg.leg_id] = replace(leg, replaces=False)
        others = [other for other in self.near() if other.leg_id != leg.leg_id]
        dropped = [self._drop(other, EndReason.HANGUP, now)[0] for other in others]
        return [*dropped, self._routes()]

    def _follow_table(self, event: events.Event, now: float) -> list[Command]:
        state = TRANSITIONS.get(self.state, {}).get(type(event))
        return [] if state is None else self._move(state, now)

    def _move(self, state: State, now: float) -> list[Command]:
        far = self.far
        if state is State.CONNECTING:
            self.answered_at = now
            if far is not None and far.connected:
                state = State.ACTIVE
        self.state = state
        return [ReportState(state), self._routes()]

    def _answer(self, event: events.AnswerRequested, now: float) -> list[Command]:
        far = self.far
        if self.direction is not Direction.INBOUND or self.state is not State.RINGING or not far:
            raise InvalidState(f"nothing to answer: the {self.direction} call is {self.state}")
        return [AnswerLeg(far.leg_id), *self._follow_table(event, now)]

    def _lose(self, event: events.LegEnded, now: float) -> list[Command]:
        leg = self.legs.get(event.leg_id)
        if leg is None:
            return []
        if leg.party is Party.FAR:
            return self._end(self._far_reason(event.reason), now)
        self._let_return(leg, now)
        return [*self._drop(leg, event.reason, now), self._routes()]

    def _let_return(self, leg: LegRecord, now: float) -> None:
        if leg.may_return:
            self.departed.keep(leg, now + self._limits.alone_seconds)

    def _drop(self, leg: LegRecord, reason: EndReason, now: float) -> list[Command]:
        del self.legs[leg.leg_id]
        self.usage.left(leg, self.legs.values(), now)
        return [EndLeg(leg.leg_id, reason)]

    def _close(self, request: events.CloseRequested, now: float) -> list[Command]:
        chosen = [leg for leg in self.legs.values() if _closable(leg, request)]
        if any(leg.party is Party.FAR for leg in chosen):
            return self._end(self._far_reason(EndReason.REMOTE_HANGUP), now)
        if not chosen:
            return []
        for leg in chosen:
            if request.may_return and leg.owner == request.owner:
                self._let_return(leg, now)
        dropped = [self._drop(leg, EndReason.HANGUP, now)[0] for leg in chosen]
        return [*dropped, self._routes()]

    def _mute(self, event: events.MuteRequested, now: float) -> list[Command]:
        returns = self.departed.mute(event.leg_id, now, muted=event.muted)
        if event.leg_id is None:
            self._muted = event.muted
            chosen = self.near()
        else:
            chosen = [leg for leg in self.near() if leg.leg_id == event.leg_id]
            if not chosen and not returns:
                raise LegNotFound("the call has no such near leg")
        for leg in chosen:
            self.legs[leg.leg_id] = replace(leg, muted=event.muted)
        return [self._routes()]

    def _hold(self, request: events.HoldRequested) -> list[Command]:
        state = State.HELD if request.held else State.ACTIVE
        if self.state not in (State.ACTIVE, State.HELD):
            raise InvalidState(f"only an active call can be held; this one is {self.state}")
        if self.state is state:
            return []
        self.state = state
        return [ReportState(state), self._routes()]

    def _digit(self, event: events.DigitReceived) -> list[Command]:
        leg, far = self.legs.get(event.leg_id), self.far
        if leg is None or far is None or leg is far or self.answered_at is None:
            return []
        if not far.kind.traits.takes_digits:
            return []
        return [SendDigits(far.leg_id, event.digit)]

    def _send_digits(self, digits: str) -> list[Command]:
        far = self.far
        if far is None or self.answered_at is None:
            raise InvalidState(f"digits need an answered call; this one is {self.state}")
        if not far.kind.traits.takes_digits:
            raise Unsupported("digits cannot be sent on this line: gateway engines take none")
        return [SendDigits(far.leg_id, digits)]

    def _time_passed(self, now: float) -> list[Command]:
        deadline = self.deadline()
        if deadline is None or now < deadline:
            return []
        rang_out = now >= self._rings_since + self._limits.ring_seconds
        if self.state in UNANSWERED and rang_out:
            return self._end(EndReason.NO_ANSWER, now)
        if self.invited is not None and self._invited_until <= now:
            missed, self.invited = self.invited, None
            return [ReportMissed(missed)]
        if late := [leg for leg in self.legs.values() if leg.due <= now]:
            dropped = [self._drop(leg, EndReason.NO_ANSWER, now)[0] for leg in late]
            return [*dropped, self._routes()]
        return self._end(self._hangup_reason(EndReason.HANGUP), now)

    def _hangup_reason(self, wanted: EndReason) -> EndReason:
        if wanted is not EndReason.HANGUP or self.state not in UNANSWERED:
            return wanted
        return EndReason.REJECTED if self.direction is Direction.INBOUND else EndReason.CANCELED

    def _far_reason(self, reason: EndReason) -> EndReason:
        gave_up = self.direction is Direction.INBOUND and self.state in UNANSWERED
        return EndReason.CANCELED if gave_up and reason is EndReason.REMOTE_HANGUP else reason

    def _end(self, reason: EndReason, now: float) -> list[Command]:
        self.state = State.ENDED
        self.reason = reason
        self.ended_at = now
        self.usage.used()
        return [ReportState(State.ENDED), EndCall(reason)]

    def _routes(self) -> RouteAudio:
        return RouteAudio(
            routing_table(
                [
                    RoutedLeg(leg.leg_id, leg.party, leg.muted, leg.hears, leg.heard)
                    for leg in self.legs.values()
                    if self.answered_at is not None or leg.party is Party.NEAR
                ],
                held=self.state is State.HELD,
            )
        )


def _closable(leg: LegRecord, request: events.CloseRequested) -> bool:
    if request.owner is not None and leg.owner != request.owner:
        return False
    if request.leg_id is None:
        return leg.kind.traits.browser
    return leg.leg_id == request.leg_id and (leg.kind.traits.browser or leg.party is not Party.FAR)
