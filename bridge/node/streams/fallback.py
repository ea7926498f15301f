"""What becomes of a call that has lost the stream it was answered into: its line's fallback.

A call that has another participant by then goes on as it is: a near party, an agent, a second far party.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from bridge.agent.script import AgentMode
from bridge.call import events
from bridge.call.model import LegKind, LineName
from bridge.errors import BridgeError
from bridge.legs.base import Leg
from bridge.legs.stream import StreamLeg
from bridge.media.sounds import Sound
from bridge.node.calls.agent import Agents
from bridge.node.calls.playback import Playbacks
from bridge.node.runner import CallRunner
from bridge.tasks import Tasks
from bridge.wire.call_event import EventType
from bridge.wire.stream.media_stream import StreamEndReason, StreamType

log = logging.getLogger(__name__)

NOT_STARTED: Final = "not_started"
"""The reason where a call could have no stream at all, besides those of `StreamEndReason`."""


class FallbackAction(StrEnum):
    """What is done with a call; the values are public names."""

    HANGUP = "hangup"
    AGENT = "agent"
    """The line's agent is added, in the mode `ai`."""
    ANNOUNCEMENT = "announcement"
    """A sound is played to the far party; then the call ends."""


@dataclass(frozen=True, slots=True)
class StreamFallback:
    """What a line does without its stream."""

    action: FallbackAction = FallbackAction.HANGUP
    announcement: Path | None = None
    """The sound of `ANNOUNCEMENT`."""


@dataclass(frozen=True, slots=True)
class LostStream:
    """A stream that is over, or that could not begin."""

    stream_id: str
    """Empty for one that could not begin."""
    reason: str
    """A `StreamEndReason`, or `NOT_STARTED`."""
    error: str
    """A sentence for the customer; may be empty."""


class StreamFallbacks:
    """Performs the fallbacks of all lines."""

    def __init__(
        self,
        agents: Agents,
        playbacks: Playbacks,
        *,
        fallback_of: Callable[[LineName], StreamFallback],
        count: Callable[[str], None],
    ) -> None:
        """`count` takes each action that is performed."""
        self._agents = agents
        self._playbacks = playbacks
        self._fallback_of = fallback_of
        self._count = count
        self._tasks = Tasks()

    def take_over(self, runner: CallRunner, lost: LostStream) -> None:
        """Perform the fallback of a call's line, unless somebody else is in the call, or it has ended.

        A server that closed with code 1000 has finished the conversation: the call ends then.
        """
        if not runner.live or _is_shared(runner):
            return
        fallback = self._fallback_of(runner.facts.line)
        finished = lost.reason == StreamEndReason.CLOSED
        action = FallbackAction.HANGUP if finished else fallback.action
        self._count(action.value)
        extra = {"call": runner.facts.call_id, "action": action.value, "reason": lost.reason}
        log.info("stream.fallback", extra=extra)
        runner.publish(
            EventType.STREAM_FALLBACK,
            {
                "streamId": lost.stream_id,
                "action": action.value,
                "reason": lost.reason,
                "error": lost.error,
            },
        )
        if action is FallbackAction.AGENT:
            self._start_agent(runner)
        elif action is FallbackAction.ANNOUNCEMENT and fallback.announcement is not None:
            name = f"announce in call {runner.facts.call_id}"
            self._tasks.spawn(self._announce(runner, fallback.announcement), name=name)
        else:
            _hang_up(runner)

    async def aclose(self) -> None:
        """Cancel the announcements."""
        await self._tasks.aclose()

    def _start_agent(self, runner: CallRunner) -> None:
        try:
            self._agents.start(runner, AgentMode.AI)
        except BridgeError as error:
            extra = {"call": runner.facts.call_id, "code": error.code}
            log.warning("agent.not_started", extra=extra)
            _hang_up(runner)

    async def _announce(self, runner: CallRunner, path: Path) -> None:
        with runner.suspension.kept_here():
            try:
                await self._playbacks.play_out(runner, Sound(path))
            except (BridgeError, OSError) as error:
                extra = {"call": runner.facts.call_id, "error": type(error).__name__}
                log.warning("stream.announcement_failed", extra=extra)
            _hang_up(runner)


def _is_shared(runner: CallRunner) -> bool:
    """Return whether the far party has someone else to talk to, or is about to."""
    machine = runner.machine
    if machine.legs.near() or machine.transfers.invitation or len(machine.legs.far_parties()) > 1:
        return True
    return any(_talks(leg) for leg in runner.legs())


def _talks(leg: Leg) -> bool:
    if isinstance(leg, StreamLeg):
        return leg.facts.type is StreamType.TWOWAY
    return leg.kind in (LegKind.AGENT, LegKind.VOICEMAIL)


def _hang_up(runner: CallRunner) -> None:
    """End a call after its last words, unless it has ended or another near party has joined meanwhile."""
    if runner.live and not _is_shared(runner):
        with suppress(BridgeError):
            runner.dispatch(events.HangupRequested(after_speech=True))
