"""What an SDK is told of its call: the other participant, and when it has to leave.

Nothing here outlives its WebSocket: a client that resumes is told everything anew.
"""

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Final, TypeAlias

from bridge.api.faces.livekit import room
from bridge.api.faces.livekit.room import Client
from bridge.api.server.operation import Context
from bridge.api.server.services import CONTROL, EVENTS
from bridge.call.model import EndReason
from bridge.node.runner import CallRunner
from bridge.wire.call_event import CallEvent, EventType
from bridge.wire.livekit.models import DisconnectReason, Leave, LeaveAction, ParticipantInfo
from bridge.wire.livekit.response import ParticipantUpdate, SignalResponse

MOVED_SECONDS: Final = 1.0
"""How often a client without news is checked for whether its call is still here."""
GONE: Final = Leave(
    can_reconnect=True, reason=DisconnectReason.STATE_MISMATCH, action=LeaveAction.RECONNECT
)
"""The client shall join anew."""
MOVED: Final = Leave(
    can_reconnect=True, reason=DisconnectReason.SERVER_SHUTDOWN, action=LeaveAction.RESUME
)
REMOVED: Final = Leave(reason=DisconnectReason.PARTICIPANT_REMOVED)

Send: TypeAlias = Callable[[SignalResponse], Awaitable[None]]


class Updates:
    """What one client was told last, and what has changed since."""

    def __init__(self, context: Context, runner: CallRunner, client: Client, send: Send) -> None:
        self._context = context
        self._runner = runner
        self._client = client
        self._send = send
        self._told: ParticipantInfo | None = None
        """The other participant, without its version."""

    def other(self) -> ParticipantInfo:
        """Return the other participant as it is now, which the client is about to be told."""
        other = room.other_info(self._runner.record(), self._runner.machine, self._client)
        self._told = room.without_version(other)
        return other

    async def follow(self, after: int, tell_mute: Callable[[], Awaitable[None]]) -> Leave:
        """Tell the client what changes; return with what words it has to leave, once it has to.

        `tell_mute` is awaited after each event: the client's own microphone may be another's to mute.
        """
        found = self._context[EVENTS].log.listen(
            self._context.line, call_id=self._client.call_id, after=after, idle=MOVED_SECONDS
        )
        async with aclosing(found):
            async for item in found:
                if item is None:
                    if self._moved():
                        break
                    continue
                await self._tell_other()
                if (leave := self._leave(item[1])) is not None:
                    return leave
                await tell_mute()
        return MOVED

    async def _tell_other(self) -> None:
        before, other = self._told, self.other()
        if self._told != before:
            await self._send(SignalResponse(update=ParticipantUpdate(participants=(other,))))

    def _leave(self, event: CallEvent) -> Leave | None:
        if event.type == EventType.CALL_ENDED:
            return Leave(reason=room.disconnect_reason(self._runner.record()))
        own = event.data.get("legID") == self._client.leg_id
        if event.type == EventType.LEG_LEFT and own and self._runner.live:
            return REMOVED if event.data["reason"] == EndReason.HANGUP else GONE
        return None

    def _moved(self) -> bool:
        """Whether another process goes on with the call."""
        manager = self._context[CONTROL].manager
        return self._runner.live and manager.running(self._runner.facts.call_id) is None
