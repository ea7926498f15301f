"""What an SDK is told of its call: participants, room, who speaks, how good the connections are, and when it has to leave.

Nothing here outlives its WebSocket: a client that resumes is told everything anew.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import Final, TypeAlias

from bridge.api.faces.livekit import room
from bridge.api.faces.livekit.meters import Meter, loudest, mean_score
from bridge.api.faces.livekit.room import Client
from bridge.api.server.operation import Context
from bridge.api.server.services import CONTROL, EVENTS, LINES
from bridge.call.leg_record import LegRecord
from bridge.call.model import EndReason
from bridge.legs.recording import RecorderLeg
from bridge.node.runner import CallRunner
from bridge.wire.call_event import CallEvent, EventType
from bridge.wire.livekit.models import DisconnectReason, Leave, LeaveAction, ParticipantInfo, Room
from bridge.wire.livekit.response import (
    ConnectionQualityUpdate,
    MediaSectionsRequirement,
    ParticipantUpdate,
    RoomUpdate,
    SignalResponse,
    SpeakersChanged,
)

MEASURED_SECONDS: Final = 0.5
"""How often levels and qualities are looked at, which the call measures in any case."""
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

    def __init__(
        self,
        context: Context,
        runner: CallRunner,
        client: Client,
        send: Send,
        *,
        may_add_lines: bool = True,
    ) -> None:
        """`may_add_lines` is whether the client can be asked to offer more lines to receive on."""
        self._may_add_lines = may_add_lines
        self._context = context
        self._runner = runner
        self._client = client
        self._send = send
        self._told: ParticipantInfo | None = None
        """The other participant, without its version."""
        self._room: Room | None = None
        self._own = Meter(client.sid, may_be_lost=False)
        other = room.other_ids(runner.machine, client)
        self._other = Meter(other.sid, may_be_lost=True)

    def current_other(self) -> ParticipantInfo:
        """Return the other participant as it is now, which the client is about to be told."""
        other = room.other_info(
            self._runner.record(),
            self._runner.machine,
            self._client,
            trunk_host=self._trunk_host,
        )
        self._told = room.without_version(other)
        return other

    def current_room(self) -> Room:
        """Return the room as it is now, which the client is about to be told."""
        legs = self._runner.legs()
        recorded = any(isinstance(leg, RecorderLeg) and not leg.silent for leg in legs)
        self._room = room.room_of(self._runner.facts, self._client, recorded=recorded)
        return self._room

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
                if not await self._tell_other():
                    return GONE
                if (leave := self._leave(item[1])) is not None:
                    return leave
                await tell_mute()
        return MOVED

    async def measure(self) -> None:
        """Tell the client who speaks, how good both connections are, and what has changed of the room, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(MEASURED_SECONDS)
            if self._runner.suspension.active or not self._runner.live:
                continue
            before, now = self._room, loop.time()
            if self.current_room() != before:
                await self._send(SignalResponse(room_update=RoomUpdate(room=self._room)))
            await self._tell_levels(now)
            await self._tell_quality(now)

    async def _tell_other(self) -> bool:
        """Tell the client of the other participant; return whether it can hear that one without joining anew."""
        before, other = self._told, self.current_other()
        if before is None or before.sid == other.sid:
            if self._told != before:
                await self._send(SignalResponse(update=ParticipantUpdate(participants=(other,))))
            return True
        self._other = Meter(other.sid, may_be_lost=True)
        both = (room.departed(before, self._runner.record()), other)
        await self._send(SignalResponse(update=ParticipantUpdate(participants=both)))
        if not self._may_add_lines:
            return False
        # SDKs know by the line whom they hear: they have to offer another one for the new party.
        more = MediaSectionsRequirement(num_audios=1)
        await self._send(SignalResponse(media_sections_requirement=more))
        return True

    async def _tell_levels(self, now: float) -> None:
        machine = self._runner.machine
        own = machine.legs.records.get(self._client.leg_id)
        heard = [
            leg for leg in room.other_legs(machine, self._client) if room.is_audible(machine, leg)
        ]
        found = (
            self._own.listen(self._level([own] if own is not None and not own.muted else []), now),
            self._other.listen(self._level(heard), now),
        )
        if changed := tuple(one for one in found if one is not None):
            await self._send(SignalResponse(speakers_changed=SpeakersChanged(speakers=changed)))

    async def _tell_quality(self, now: float) -> None:
        others = {leg.leg_id for leg in room.other_legs(self._runner.machine, self._client)}
        known = self._context[CONTROL].manager.quality.legs(self._runner.facts.call_id)
        own = mean_score(leg for leg in known if leg.last.leg_id == self._client.leg_id)
        other = mean_score(leg for leg in known if leg.last.leg_id in others)
        found = self._own.rate(own, now), self._other.rate(other, now)
        if changed := tuple(one for one in found if one is not None):
            update = ConnectionQualityUpdate(updates=changed)
            await self._send(SignalResponse(connection_quality=update))

    def _level(self, legs: Iterable[LegRecord]) -> float:
        found = (self._runner.leg(leg.leg_id) for leg in legs)
        return loudest(leg.statistics().received.level_dbov for leg in found if leg is not None)

    @property
    def _trunk_host(self) -> str:
        trunk = self._context[LINES].sip.trunks.get(self._runner.facts.line)
        return trunk.address.host if trunk is not None else ""

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
