"""Sends callers to voicemail: answers, plays the greeting and a tone, and keeps what they say.

What a caller heard and said is decided by `call.voicemail`. The message is a recording like any other, of
what the caller says; it becomes a voicemail when that recording is ready, however the call ended.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import msgspec

from bridge.audio.tone import tone
from bridge.call import events
from bridge.call.model import CallId, Direction, EndReason, LegId, LineName, Party, State
from bridge.call.recording import RecordingRequest
from bridge.call.routing import Audience, LegRole, Subscription
from bridge.call.voicemail import (
    Finish,
    MessageTaker,
    Phase,
    Step,
    TakerSnapshot,
    VoicemailRules,
)
from bridge.errors import BridgeError, DatabaseLost, HandoverRefused, InvalidState, NotFound
from bridge.legs.base import Leg, PassedLeg, new_leg_id
from bridge.legs.voicemail import VoicemailLeg, VoicemailSnapshot
from bridge.media.sounds import Sound
from bridge.node.calls.playback import Playbacks
from bridge.node.deadline import Deadline
from bridge.node.recording.recordings import Recordings
from bridge.node.runner import CallRunner
from bridge.node.voicemail.greetings import Greetings
from bridge.node.voicemail.voicemails import Voicemails
from bridge.tasks import Tasks
from bridge.wire.call_event import CallEvent, EventType

log = logging.getLogger(__name__)

TONES: Final = bytes(6400) + tone(523.25, 0.25) + bytes(1600) + tone(659.25, 0.25) + bytes(16000)
"""In place of a greeting: C5 and E5 after 0.2 s, then half a second of silence."""
BEEP: Final = tone(1000.0, 0.4)
RETRY_SECONDS: Final = 1.0
"""After an outage of the database."""
RECORDED: Final = (EventType.RECORDING_READY, EventType.RECORDING_FAILED)


class SessionSnapshot(msgspec.Struct, frozen=True):
    """A caller at voicemail whose call passes."""

    taker: TakerSnapshot
    leg: LegId
    playback: LegId | None
    at: float
    """Since when nobody listens."""


@dataclass(slots=True, eq=False)
class _Session:
    """One caller at voicemail."""

    runner: CallRunner
    taker: MessageTaker
    leg: VoicemailLeg
    deadline: Deadline
    greeting: Sound | None = None
    playback: LegId | None = None
    answered: bool = False
    """Whether voicemail has answered the call, not somebody else."""
    stored: asyncio.Event = field(default_factory=asyncio.Event)
    """Whether the message's row is written."""

    @property
    def call_id(self) -> CallId:
        return self.runner.facts.call_id


class VoicemailCalls:
    """The callers of this node who are at voicemail."""

    def __init__(
        self,
        voicemails: Voicemails,
        recordings: Recordings,
        playbacks: Playbacks,
        *,
        greetings: Greetings,
        rules_of: Callable[[LineName], VoicemailRules],
    ) -> None:
        """`rules_of` returns how a line takes messages."""
        self._voicemails = voicemails
        self._recordings = recordings
        self._playbacks = playbacks
        self._greetings = greetings
        self._rules_of = rules_of
        self._sessions: dict[CallId, _Session] = {}
        self._greeting = Tasks()
        """Work for a caller, of no use once the call is over."""
        self._keeping = Tasks()
        self._waiting = Tasks()
        """Messages that are kept once the database is back; at an end before, by the next process."""
        self._loop = asyncio.get_running_loop()

    def send(self, runner: CallRunner) -> None:
        """Send the caller of a ringing inbound call to voicemail, which answers once the greeting is ready.

        Whoever of our side is in the call already leaves it.

        Raises:
            InvalidState: the call is not inbound and ringing, or is at voicemail.
            LimitExceeded: it has all its legs.
        """
        machine, call_id = runner.machine, runner.facts.call_id
        if machine.direction is not Direction.INBOUND or machine.state is not State.RINGING:
            raise InvalidState(
                f"the {machine.direction} call is {machine.state}: only an inbound call that rings "
                "can be sent to voicemail"
            )
        if call_id in self._sessions:
            raise InvalidState("the call is at voicemail already")
        taker = MessageTaker(self._rules_of(runner.facts.line))
        leg = VoicemailLeg(new_leg_id(), on_speech=taker.spoke)
        runner.add_leg(leg, LegRole(Party.SERVICE, Subscription.INBOUND, Audience.FAR))
        deadline = Deadline(lambda: self._time_passed(session))
        session = _Session(runner, taker, leg, deadline)
        self._sessions[call_id] = session
        for near in machine.legs.near():
            runner.dispatch(events.CloseRequested(near.leg_id))
        self._greeting.spawn(self._answer(session), name=f"voicemail {call_id}")

    def check_movable(self, call_id: CallId, *, copy: bool = False) -> None:
        """Raise `HandoverRefused` if a caller cannot move or be copied now (`node.handover.CallService`)."""
        if (session := self._sessions.get(call_id)) is None:
            return
        match session.taker.phase:
            case Phase.GREETING | Phase.TONE:
                settled = session.leg.playing or session.playback is not None
            case Phase.MESSAGE:
                settled = session.stored.is_set()
            case _:
                settled = False
        if not settled:
            raise HandoverRefused("a caller is between two steps of voicemail")

    def suspend(self, call_id: CallId) -> SessionSnapshot | None:
        """Stop with a caller and return where that is (`node.handover.CallService`)."""
        if (session := self._sessions.get(call_id)) is None:
            return None
        session.deadline.set(None)
        taker, now = session.taker.snapshot(), self._loop.time()
        return SessionSnapshot(taker, session.leg.leg_id, session.playback, now)

    def resume(self, call_id: CallId) -> None:
        """Go on with the caller (`node.handover.CallService`)."""
        if (session := self._sessions.get(call_id)) is not None:
            session.deadline.set(session.taker.deadline)

    def abandon(self, call_id: CallId) -> None:
        """Leave the caller to another process (`node.handover.CallService`)."""
        if (session := self._sessions.pop(call_id, None)) is not None:
            session.deadline.set(None)

    def restore_leg(self, passed: PassedLeg) -> VoicemailLeg:
        """Return the leg of another process's caller (`node.handover.RestoreLeg`)."""
        leg = VoicemailLeg(passed.leg_id, on_speech=lambda _: None)
        leg.restore(passed.read(VoicemailSnapshot))
        return leg

    def restore(self, runner: CallRunner, state: msgspec.Raw, legs: Mapping[LegId, Leg]) -> None:
        """Go on with another process's caller (`node.handover.CallService`)."""
        before = msgspec.msgpack.decode(state, type=SessionSnapshot)
        taker = MessageTaker.restore(before.taker, self._loop.time() - before.at)
        leg = legs.get(before.leg)
        if not isinstance(leg, VoicemailLeg):
            raise HandoverRefused("the leg of voicemail is not one of the call")
        leg.on_speech = taker.spoke
        deadline = Deadline(lambda: self._time_passed(session))
        session = _Session(runner, taker, leg, deadline, playback=before.playback, answered=True)
        self._sessions[session.call_id] = session
        if taker.phase is Phase.MESSAGE:
            session.stored.set()
        elif before.playback is None:
            ended = taker.tone_ended if taker.phase is Phase.TONE else taker.greeting_ended
            leg.play(leg.left, lambda: self._played(session, ended))
        deadline.set(taker.deadline)

    def reject(self, runner: CallRunner) -> None:
        """Reject an inbound call that rings, or send it to voicemail where the line wants that.

        Raises:
            InvalidState, LimitExceeded: as `send`.
        """
        if self._rules_of(runner.facts.line).takes_rejected:
            self.send(runner)
        else:
            runner.dispatch(events.HangupRequested(EndReason.REJECTED))

    def on_event(self, event: CallEvent) -> None:
        """Observe the calls at voicemail, and recordings that are ready."""
        if event.type in RECORDED and event.data.get("kind") == "inbound":
            recording_id = str(event.data.get("recordingId"))
            self._keeping.spawn(self._keep(recording_id), name=f"message {recording_id}")
        session = self._sessions.get(CallId(event.call.id)) if event.call else None
        if session is None:
            return
        now, data, taker = self._loop.time(), event.data, session.taker
        match event.type:
            case EventType.CALL_ANSWERED if not session.answered:
                self._abandon(session)
            case EventType.LEG_JOINED if data.get("party") == Party.NEAR:
                self._abandon(session)
            case EventType.CALL_ACTIVE if taker.phase is Phase.WAITING:
                taker.begin(now)
                session.deadline.set(session.taker.deadline)
                self._greeting.spawn(self._greet(session), name=f"greet {session.call_id}")
            case EventType.PLAYBACK_COMPLETED | EventType.LEG_LEFT:
                if session.playback is not None and data.get("legID") == session.playback:
                    session.playback = None
                    self._take(session, taker.greeting_ended(now))
            case EventType.DIGIT_RECEIVED if data.get("party") == Party.FAR:
                self._take(session, taker.pressed(str(data.get("digit")), now))
            case EventType.CALL_ENDED:
                self._call_ended(session)

    async def aclose(self) -> None:
        """Wait until all messages are kept; to be called when the recordings have been closed."""
        await self._greeting.aclose()
        await self._keeping.wait()
        await self._waiting.aclose()

    async def _answer(self, session: _Session) -> None:
        greeting = await self._greetings.prepare(session.runner.facts.line)
        if self._sessions.get(session.call_id) is not session:
            if greeting is not None:
                greeting.release()
            return
        session.greeting = greeting
        session.answered = True
        try:
            session.runner.dispatch(events.AnswerRequested())
        except BridgeError:
            self._abandon(session)

    async def _greet(self, session: _Session) -> None:
        greeting, session.greeting = session.greeting, None
        if greeting is not None:
            try:
                session.playback = await self._playbacks.play(session.runner, greeting)
            except (BridgeError, OSError):
                log.warning("voicemail.greeting_failed", extra={"call": session.call_id})
            else:
                if session.taker.phase is not Phase.GREETING:
                    self._stop_greeting(session)
                return
        if session.taker.phase is Phase.GREETING:
            session.leg.play(TONES, lambda: self._played(session, session.taker.greeting_ended))

    def _played(self, session: _Session, ended: Callable[[float], Step]) -> None:
        # In the next iteration: the clock is serving the call.
        self._loop.call_soon(lambda: self._take(session, ended(self._loop.time())))

    def _take(self, session: _Session, step: Step) -> None:
        if self._sessions.get(session.call_id) is not session:
            return
        match step:
            case Step.TONE:
                self._stop_greeting(session)
                session.leg.play(BEEP, lambda: self._played(session, session.taker.tone_ended))
            case Step.RECORD:
                self._keeping.spawn(self._record(session), name=f"message {session.call_id}")
            case Step.HANG_UP:
                self._hang_up(session.runner)
        session.deadline.set(session.taker.deadline)

    async def _record(self, session: _Session) -> None:
        runner = session.runner
        try:
            await self._voicemails.begin(runner.record())
            kinds = ("inbound",)
            tracks = await self._recordings.start(runner, RecordingRequest(kinds, asked_for=False))
            if kinds[0] not in {track.kind for track in tracks}:
                raise InvalidState(
                    "the call is being recorded already, and not what its caller says"
                )
        except (BridgeError, OSError):
            log.warning("voicemail.failed", extra={"call": session.call_id})
            self._forget(session, "failed" if runner.live else "empty")
            self._hang_up(runner)
            await self._voicemails.store.delete(runner.facts.line, session.call_id)
        finally:
            session.stored.set()

    def _hang_up(self, runner: CallRunner) -> None:
        if runner.live:
            runner.dispatch(events.HangupRequested())

    def _call_ended(self, session: _Session) -> None:
        session.deadline.set(None)
        recorded = session.taker.phase in (Phase.MESSAGE, Phase.OVER)
        session.taker.call_ended()
        if recorded:
            self._keeping.spawn(self._stop(session), name=f"message {session.call_id}")
        else:
            self._forget(session, "abandoned")

    def _abandon(self, session: _Session) -> None:
        """Leave the call to whoever has answered it, or joined; what was said until then is kept."""
        if session.taker.phase is Phase.MESSAGE:
            self._call_ended(session)
        else:
            self._forget(session, "abandoned")
        session.runner.dispatch(events.CloseRequested(session.leg.leg_id))

    async def _stop(self, session: _Session) -> None:
        """Stop recording the message; its event makes it a voicemail."""
        await session.stored.wait()
        try:
            await self._recordings.stop(session.runner.facts.line, session.call_id)
        except BridgeError:
            self._forget(session, "failed")

    def _forget(self, session: _Session, outcome: str) -> None:
        session.deadline.set(None)
        self._stop_greeting(session)
        session.leg.stop()
        if self._sessions.pop(session.call_id, None) is session:
            self._voicemails.count(outcome)

    def _stop_greeting(self, session: _Session) -> None:
        greeting, session.greeting = session.greeting, None
        if greeting is not None:
            greeting.release()
        playback, session.playback = session.playback, None
        if playback is not None:
            with suppress(BridgeError):
                self._playbacks.stop(session.runner, playback)

    async def _keep(self, recording_id: str) -> None:
        try:
            await self._recorded(recording_id)
        except DatabaseLost:
            self._waiting.spawn(self._keep_later(recording_id), name=f"message {recording_id}")

    async def _keep_later(self, recording_id: str) -> None:
        await self._recordings.archive.available(RETRY_SECONDS)
        await self._keep(recording_id)

    async def _recorded(self, recording_id: str) -> None:
        try:
            recording = await self._recordings.archive.find(recording_id)
        except NotFound:
            return  # deleted already
        session = self._sessions.pop(recording.call_id, None)
        if session is not None:
            await session.stored.wait()
            kept, finish = session.taker.is_kept, session.taker.finish
            if session.taker.phase is Phase.MESSAGE:
                session.deadline.set(None)
                self._hang_up(session.runner)  # the disk takes no more
        else:
            # Cut off with the process that recorded it: nobody knows how much of it is silence.
            kept, finish = recording.seconds > 0, Finish.HANGUP
        try:
            await self._voicemails.complete(recording, finish, kept=kept)
        except DatabaseLost:
            if session is not None:
                self._sessions[recording.call_id] = session  # it knows how much is silence
            raise

    def _time_passed(self, session: _Session) -> None:
        self._take(session, session.taker.time_passed(self._loop.time()))
