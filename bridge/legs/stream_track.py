"""The second track of a media stream: a leg of its own, since what a leg hears is one row of the routing table."""

import socket

from bridge.call.events import LegEnded
from bridge.call.model import EndReason, LegId, LegKind, LegStatistics
from bridge.legs.base import Emit
from bridge.legs.stream import StreamLeg
from bridge.media.stream_snapshot import StreamState, TrackSnapshot
from bridge.wire.stream.media_stream import Channel


class TrackLeg:
    """The second track of a stream; lives as long as the stream."""

    kind = LegKind.STREAM
    source = None

    def __init__(self, leg_id: LegId, stream: StreamLeg, track: Channel) -> None:
        self.leg_id = leg_id
        self.sink = stream.sinks[track]
        self._stream = stream
        self._track = track

    @property
    def lost(self) -> bool:
        """Whether its stream is (`legs.base.Losable`)."""
        return self._stream.lost

    async def run(self, emit: Emit) -> None:
        """Wait for the stream's end; see `legs.base.Leg`."""
        await self._stream.over.wait()
        emit(LegEnded(self.leg_id, EndReason.HANGUP))

    def check_movable(self) -> None:
        """Let the stream decide (`legs.base.Movable`)."""

    def suspend(self) -> tuple[StreamState, list[socket.socket]]:
        """Return which track it is (`legs.base.Movable`)."""
        return StreamState(track=TrackSnapshot(self._stream.leg_id, self._track)), []

    def resume(self) -> None:
        """Go on after `suspend`."""

    async def abandon(self) -> None:
        """Leave it to the stream (`legs.base.Movable`)."""

    def statistics(self) -> LegStatistics:
        """Return the track's figures."""
        return LegStatistics(sent=self._stream.sent(self._track))
