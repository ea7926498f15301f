"""The state machine of one call: events in, commands out; pure.

Theory of operation. A call has *far* parties (the WhatsApp or phone side), nearly always one, and any
number of near legs. Only the far party that the call began with and our own requests move the state:

    event of the far party / request     initiated   ringing      connecting   active
    LegRinging                           ringing     -            -            -
    LegAnswered, AnswerRequested         connecting  connecting   -            -
    LegConnected                         -           -            active       -
    HoldRequested                        -           -            -            held
    LegEnded, HangupRequested            ended       ended        ended        ended

A held call differs from an active one only in what its parties hear. A far party whose media is
already up when it answers goes from `connecting` to `active` in the same step, so a call is `ringing`
until it is answered, whatever its media does; a far party in a browser answers by connecting. Far
parties that join an answered call leave it without ending it, as long as one is left that talks.
Deadlines run beside the table: ringing, the call's length, the time since its answer, and the time a
call may be abandoned (`call.call_legs.CallUsage`). `ended` is final: later events are ignored, so that both sides may
hang up at once, twice and in any order; a leg that is added too late is refused, so that its owner
frees it. Transfers have a module of their own (`call.transfers`).
"""

import math
from dataclasses import dataclass

from bridge.call import events
from bridge.call.bus.last_words import MAX_SECONDS
from bridge.call.call_legs import CallLegs
from bridge.call.commands import (
    AnswerLeg,
    CloseAfterSpeech,
    Command,
    EndCall,
    ReportState,
    RouteAudio,
    SendDigits,
)
from bridge.call.leg_record import LegRecord, progressed
from bridge.call.limits import CallLimits
from bridge.call.model import Direction, EndReason, LegId, LegKind, Party, State
from bridge.call.routing import Participant, untold_listeners
from bridge.call.transfers import Invitation, Step, Transfers
from bridge.call.transitions import AUDIBLE, UNANSWERED, far_reason, hangup_reason, next_state
from bridge.errors import CallEnded, InvalidState, Unsupported


@dataclass(frozen=True, slots=True)
class Origin:
    """How a call began (`CallMachine.__init__`)."""

    direction: Direction
    now: float
    """Monotonic seconds."""
    waits_for_far: bool
    dialling: bool


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
        self.origin = Origin(direction, now, waits_for_far, dialling)
        rings = direction is Direction.INBOUND or waits_for_far
        self.direction = direction
        self.state = State.RINGING if rings else State.INITIATED
        self.reason: EndReason | None = None
        self.legs = CallLegs(exclusive=limits.exclusive, abandoned_seconds=limits.abandoned_seconds)
        self.answered_at: float | None = None
        self.answered_by = ""
        """Who answered, where that is detected: `person`, `machine` or `unknown`."""
        self.ended_at: float | None = None
        self.hangs_up_by: float | None = None
        """When the call ends at the latest that is to end once its last words have been heard."""
        self.started_at = now
        self._rings_since = math.inf if dialling else now
        self.transfers = Transfers(self.legs)
        self.limits = limits

    def deadline(self) -> float | None:
        """When to call `handle` with `TimePassed`, in monotonic seconds; None once ended."""
        if self.state is State.ENDED:
            return None
        deadlines = [self.started_at + self.limits.call_seconds]
        if self.hangs_up_by is not None:
            deadlines.append(self.hangs_up_by)
        if self.state in UNANSWERED:
            deadlines.append(self._rings_since + self.limits.ring_seconds)
        if self.legs.usage.abandoned_since is not None:
            deadlines.append(self.legs.usage.abandoned_since + self.limits.abandoned_seconds)
        if self.answered_at is not None:
            deadlines.append(self.answered_at + self.limits.talk_seconds)
        if self.transfers.invitation is not None:
            deadlines.append(self.transfers.invitation.until)
        return min(deadlines + [leg.due for leg in self.legs.records.values()])

    def announced_until(self, seconds: float) -> float:
        """Return until when Meta may announce, for so long, that it records the call; 0 for calls of others.

        Nothing tells when its voice begins or ends: it is heard as the far party's, from the answer on.
        """
        far = self.legs.far
        if self.answered_at is None or far is None or far.kind is not LegKind.WHATSAPP:
            return 0.0
        return self.answered_at + seconds

    def handle(self, event: events.Event, now: float) -> list[Command]:
        """Take an event; return the commands to perform, in order.

        Raises:
            InvalidState, Unsupported: a request, or a new leg, that the call does not allow.
            LegNotFound: a request that names a leg the call does not have.
        """
        if self.state is State.ENDED:
            return self._refuse(event)
        done = self._handle(event, now)
        if self.ended_at is None:
            done += self.legs.signal_holds(held=self.state is State.HELD)
        return done

    def _handle(self, event: events.Event, now: float) -> list[Command]:
        if isinstance(event, events.Request):
            return self._perform(event, now)
        match event:
            case events.LegAdded():
                return self._add(event, now)
            case events.LegEnded():
                return self._lose(event, now)
            case events.DigitReceived():
                return self._digit(event)
            case events.LegTransferRequested():
                talks = self.state in (State.ACTIVE, State.HELD)
                return self.transfers.requested(event, talks=talks)
            case events.LegTransferProgressed():
                return self._referred(event, now)
            case events.AnswererDetected():
                self.answered_by = event.detection.answerer.value
                return []
            case events.CallUsed():
                self.legs.usage.used()
                return []
            case events.TimePassed():
                return self._time_passed(now)
            case _:
                return self._progress(event, now)

    def _perform(self, request: events.Request, now: float) -> list[Command]:
        match request:
            case events.HangupRequested():
                return self._hang_up(request, now)
            case events.CloseRequested():
                return self._close(request, now)
            case events.MuteRequested():
                self.legs.mute(request, now)
                return [self.routes()]
            case events.HoldRequested():
                return self._hold(request)
            case events.LeaveRequested():
                return self._follow(self.transfers.leave(request.leg_id, now))
            case events.ReferRequested():
                self.check_answered("a transfer needs")
                return self.transfers.refer(request.target)
            case events.DigitsRequested():
                return self._send_digits(request.digits)
            case events.AnswerRequested():
                return self._answer(request, now)
            case events.InviteRequested():
                until = now + self.limits.ring_seconds
                self.transfers.invitation = Invitation(request.identity, until)
                return []

    @property
    def dialling(self) -> bool:
        """Whether the far party's provider has yet to accept the dial; the call only ends meanwhile."""
        return self._rings_since == math.inf

    def _refuse(self, event: events.Event) -> list[Command]:
        wanted = isinstance(event, events.LegAdded | events.Request)
        if wanted and not isinstance(event, events.CloseRequested):
            raise CallEnded("the call has ended")
        return []

    def check_answered(self, who: str) -> None:
        """Refuse something that only an answered call can have; `who` begins the error's text.

        Raises:
            InvalidState: the call rings, or has ended.
        """
        if self.state is State.ENDED:
            raise CallEnded("the call has ended")
        if self.state in UNANSWERED:
            raise InvalidState(f"{who} an answered call; this one still rings")

    def _add(self, event: events.LegAdded, now: float) -> list[Command]:
        joins = event.role.party is Party.FAR and self.legs.far is not None
        if joins and (event.kind.traits.browser or self.answered_at is None):
            raise InvalidState("the call already has its far party")
        self.legs.check_kind(event.kind)
        self.transfers.join(event)
        called = joins or event.role.replaces or event.role.caller
        self.legs.add(event, now, due=now + self.limits.ring_seconds if called else math.inf)
        return [self.routes()]

    def _progress(self, event: events.LegEvent, now: float) -> list[Command]:
        before, first = self.legs.records.get(event.leg_id), self.legs.far
        if before is None:
            return []
        leg = progressed(before, event, now, ring_seconds=self.limits.ring_seconds)
        self.legs.set(leg)
        if isinstance(event, events.DisclosureSpoken):
            self.legs.disclosure.spoken(event.leg_id, event.wording, now)
            return [self.routes()]
        if leg.role.replaces:
            return self._follow(self.transfers.progressed(leg, event, now))
        if first is None or leg.leg_id != first.leg_id:
            dialled = leg.role.party is Party.FAR or leg.ringing is not before.ringing
            return [self.routes()] if dialled and leg != before else []
        if isinstance(event, events.LegDialled):
            self._rings_since = min(self._rings_since, now)
        answers_by_connecting = leg.kind.traits.browser and self.state in UNANSWERED
        if isinstance(event, events.LegConnected) and answers_by_connecting:
            return self._move(State.CONNECTING, now)
        if isinstance(event, events.LegEarlyMedia):
            return [self.routes()]
        return self._follow_table(event, now)

    def _follow_table(self, event: events.Event, now: float) -> list[Command]:
        state = next_state(self.state, event)
        return [] if state is None else self._move(state, now)

    def _move(self, state: State, now: float) -> list[Command]:
        far = self.legs.far
        if state is State.CONNECTING:
            self.answered_at = now
            if far is not None and far.connected:
                state = State.ACTIVE
        self.state = state
        return [ReportState(state), self.routes()]

    def _answer(self, event: events.AnswerRequested, now: float) -> list[Command]:
        far = self.legs.far
        if self.direction is not Direction.INBOUND or self.state is not State.RINGING or not far:
            raise InvalidState(f"nothing to answer: the {self.direction} call is {self.state}")
        return [AnswerLeg(far.leg_id), *self._follow_table(event, now)]

    def _lose(self, event: events.LegEnded, now: float) -> list[Command]:
        leg = self.legs.records.get(event.leg_id)
        if leg is None:
            return []
        if not event.waited:
            self.legs.let_return(leg, now)
        done = self._remove([leg], event.reason, now)
        if event.waited and self.ended_at is None and self.legs.usage.abandoned_since == now:
            done += self._end(event.reason, now)
        return done

    def _hang_up(self, request: events.HangupRequested, now: float) -> list[Command]:
        if request.after_speech and self.answered_at is not None:
            if self.hangs_up_by is not None:
                return []
            self.hangs_up_by = now + MAX_SECONDS
            return [CloseAfterSpeech()]
        return self._end(hangup_reason(request.reason, self.direction, self.state), now)

    def _close(self, request: events.CloseRequested, now: float) -> list[Command]:
        chosen = self.legs.closable(request)
        if not chosen:
            return []
        if request.after_speech and all(leg.speaks_from_queue for leg in chosen):
            staying = [leg for leg in chosen if not leg.leaving]
            return [*(self.legs.let_finish(leg, now) for leg in staying), self.routes()]
        for leg in chosen:
            if request.may_return and leg.role.owner == request.owner:
                self.legs.let_return(leg, now)
        if self.legs.end_without(chosen, replaced=self.transfers.replaces(chosen)):
            return self._end(far_reason(EndReason.REMOTE_HANGUP, self.direction, self.state), now)
        return self._remove(chosen, EndReason.HANGUP, now)

    def _remove(self, legs: list[LegRecord], reason: EndReason, now: float) -> list[Command]:
        """Remove legs, and with the last far party, or the last but one of a call we left, the call."""
        if self.legs.end_without(legs, replaced=self.transfers.replaces(legs)):
            return self._end(far_reason(reason, self.direction, self.state), now)
        if caller := next((leg for leg in legs if leg.role.caller), None):
            left = hangup_reason(EndReason.HANGUP, self.direction, self.state)
            return self._end(left if caller.talks else reason, now)
        had_far = self.legs.far is not None
        done: list[Command] = [self.legs.drop(leg, reason, now) for leg in legs]
        step = self.transfers.removed(legs, reason, now)
        deserted = self.transfers.left and self.legs.parties() < 2
        if deserted or (had_far and self.legs.far is None):
            return [*done, *step.commands, *self._end(reason, now)]
        return [*done, *self._follow(step)]

    def _follow(self, step: Step) -> list[Command]:
        """Go on with a transfer; when our side has left the call by it, nobody is held any longer."""
        done = step.commands
        if step.our_side_left:
            self.legs.unhold_all()
            if self.state is State.HELD:
                self.state = State.ACTIVE
                done.append(ReportState(self.state))
        return [*done, self.routes()]

    def _referred(self, event: events.LegTransferProgressed, now: float) -> list[Command]:
        gone, done = self.transfers.referred(event)
        return [*done, *self._end(EndReason.HANGUP, now)] if gone else done

    def _hold(self, request: events.HoldRequested) -> list[Command]:
        state = State.HELD if request.held else State.ACTIVE
        if self.state not in (State.ACTIVE, State.HELD):
            raise InvalidState(f"only an active call can be held; this one is {self.state}")
        if request.leg_id is not None:
            self.legs.hold(request.leg_id, held=request.held)
            return [self.routes()]
        if not request.held:
            self.legs.unhold_all()
        if self.state is state:
            return [] if request.held else [self.routes()]
        self.state = state
        return [ReportState(state), self.routes()]

    def _digit(self, event: events.DigitReceived) -> list[Command]:
        leg = self.legs.records.get(event.leg_id)
        if leg is None or leg.role.party is Party.FAR or self.answered_at is None:
            return []
        return [SendDigits(far.leg_id, event.digit) for far in self.legs.takers_of_digits()]

    def _send_digits(self, digits: str) -> list[Command]:
        if self.legs.far is None or self.answered_at is None:
            raise InvalidState(f"digits need an answered call; this one is {self.state}")
        takers = self.legs.takers_of_digits()
        if not takers:
            raise Unsupported("digits cannot be sent on this line: gateways take none")
        return [SendDigits(far.leg_id, digits) for far in takers]

    def _time_passed(self, now: float) -> list[Command]:
        deadline = self.deadline()
        if deadline is None or now < deadline:
            return []
        rang_out = now >= self._rings_since + self.limits.ring_seconds
        if self.state in UNANSWERED and rang_out:
            return self._end(EndReason.NO_ANSWER, now)
        if missed := self.transfers.miss(now):
            return missed
        if late := [leg for leg in self.legs.records.values() if leg.due <= now]:
            talked = all(leg.talks for leg in late)
            return self._remove(late, EndReason.HANGUP if talked else EndReason.NO_ANSWER, now)
        return self._end(hangup_reason(EndReason.HANGUP, self.direction, self.state), now)

    def _end(self, reason: EndReason, now: float) -> list[Command]:
        self.state = State.ENDED
        self.reason = reason
        self.ended_at = now
        self.legs.usage.used()
        return [ReportState(State.ENDED), EndCall(reason)]

    def routes(self) -> RouteAudio:
        """Return who hears whom now."""
        rings = self.direction is Direction.OUTBOUND and self.state in UNANSWERED
        tone = self.limits.rings_back if self.state is State.RINGING else frozenset[LegKind]()
        return self.legs.routes(
            self._participants(),
            waiting=self.transfers.heard_waiting(),
            ringing=self.legs.ringing(tone=tone) if rings else frozenset(),
        )

    def untold(self) -> frozenset[LegId]:
        """Return the connected persons who would hear a machine and have not heard the disclosure (`call.disclosure.told`)."""
        if self.state not in AUDIBLE or not self.legs.machines():
            return frozenset()
        return untold_listeners(self._participants())

    def _participants(self) -> list[Participant]:
        return self.legs.participants(
            answered=self.answered_at is not None,
            held=self.state is State.HELD,
            states=self.transfers.states() or self.legs.waiting_for_caller(),
        )
