"""A media stream to a customer's WebSocket, which we connect to; the customer may play audio back.

A stream of both tracks has a leg for each (`TrackLeg`): what a leg hears is one row of the routing
table.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from bridge.audio.frame import FRAME_SECONDS, SILENCE, Frame
from bridge.audio.level import level
from bridge.audio.paced import PacedQueue
from bridge.call.ends import Sink
from bridge.call.events import LegConnected, LegEnded, LegReported
from bridge.call.model import EndReason, LegId, LegKind, LegStatistics, ReceivedAudio, SentAudio
from bridge.legs.base import Emit
from bridge.media.outbound_queue import OutboundQueue, QueuedFrame
from bridge.media.stream_link import GONE, StreamEnded, StreamLink, connect, stream_end
from bridge.net.http import LineHttp
from bridge.wire.call_event import EventType
from bridge.wire.media_format import PIECE_SECONDS, MediaDecoder, MediaEncoder
from bridge.wire.media_stream import (
    IGNORED_REASONS,
    Channel,
    Clear,
    Ignored,
    Mark,
    Media,
    StreamFacts,
    read_message,
)


class Losses(Protocol):
    """Counts what is lost (`metrics.Metrics.sockets`)."""

    def dropped(self, direction: str, seconds: float) -> None:
        """Count dropped audio: `in` from the customer, `out` to him."""
        ...

    def cut_off(self) -> None:
        """Count a connection that was dropped because nothing was read."""
        ...


class TrackSink:
    """The sink of one track."""

    steady = True

    def __init__(self, push: Callable[[Channel, Frame, float], None], track: Channel) -> None:
        self._push = push
        self._track = track
        self.last = SILENCE

    def push(self, frame: Frame, now: float) -> None:
        """Take a frame (`call.ends.Sink`)."""
        self.last = frame.pcm
        self._push(self._track, frame, now)


class StreamLeg:
    """One stream: its connection, its first track, and what the customer plays into the call."""

    kind = LegKind.STREAM

    def __init__(
        self, leg_id: LegId, facts: StreamFacts, url: str, *, http: LineHttp, losses: Losses
    ) -> None:
        """Make a stream that is not connected yet.

        Args:
            leg_id: the leg's.
            facts: what the stream is.
            url: of the customer's WebSocket.
            http: connects, within what the line may reach.
            losses: counts the audio that is lost.
        """
        self.leg_id = leg_id
        self.source = self
        self.facts = facts
        self.over = asyncio.Event()
        """Set when the stream has ended."""
        self._url = url
        self._http = http
        self._losses = losses
        self._outbound = OutboundQueue(facts.tracks)
        self._outgoing = {track: MediaEncoder(facts.media) for track in facts.tracks}
        self._incoming = MediaDecoder(facts.media)
        self._long = round(facts.media.second_bytes * PIECE_SECONDS)
        self._queue = PacedQueue()
        self._wake = asyncio.Event()
        self._live = False
        self._loop = asyncio.get_running_loop()
        self._sent = dict.fromkeys(facts.tracks, 0)
        self._ignored = dict.fromkeys(IGNORED_REASONS, 0)
        self._received_messages = 0
        self._received_bytes = 0
        self._played = 0
        self._last_played = SILENCE
        self._sinks = {track: TrackSink(self._push_track, track) for track in facts.tracks}

    @property
    def sink(self) -> Sink:
        """The sink of the first track."""
        return self.track_sink(self.facts.tracks[0])

    def track_sink(self, track: Channel) -> TrackSink:
        """Return the sink of a track."""
        return self._sinks[track]

    def pull(self) -> bytes | None:
        """Return the next frame of what the customer plays; None when there is nothing."""
        if not self._live:
            return None
        frame = self._queue.pull()
        self._send_marks(self._queue.reached())
        if frame is not None:
            self._played += 1
            self._last_played = frame
        return frame

    async def run(self, emit: Emit) -> None:
        """Connect, stream, and say goodbye (`legs.base.Leg.run`).

        `stream.ended` is reported even when cancelled: only the leg has its counts.
        """
        over = StreamEnded("failed", EndReason.FAILED)
        try:
            over = await self._stream(emit)
        except asyncio.CancelledError:
            over = StreamEnded("stopped", EndReason.HANGUP)
            raise
        finally:
            self._live = False
            self.over.set()
            emit(LegReported(self.leg_id, EventType.STREAM_ENDED, self._summary(over)))
        emit(LegEnded(self.leg_id, over.reason))

    def statistics(self) -> LegStatistics:
        """Return the figures: `received` is what the customer plays, `sent` the first track."""
        return LegStatistics(
            received=ReceivedAudio(
                packets=self._received_messages,
                bytes=self._received_bytes,
                frames=self._played,
                level_dbov=level(self._last_played),
            ),
            sent=self.sent(self.facts.tracks[0]),
            discarded={
                "bad_message": sum(self._ignored.values()),
                "too_many_marks": self._outbound.dropped_marks,
            },
        )

    def sent(self, track: Channel) -> SentAudio:
        """Return the figures of a track."""
        return SentAudio(
            packets=self._sent[track],
            bytes=self._sent[track] * self.facts.media.frame_bytes,
            dropped_frames=self._outbound.dropped[track],
            level_dbov=level(self._sinks[track].last),
        )

    async def _stream(self, emit: Emit) -> StreamEnded:
        """Stream until either side ends it; return why."""
        try:
            link = await connect(self._http, self._url, self.facts)
        except StreamEnded as over:
            return over
        try:
            await link.greet()
            self._live = True
            emit(LegConnected(self.leg_id))
            emit(LegReported(self.leg_id, EventType.STREAM_STARTED, _describe(self.facts)))
            async with asyncio.TaskGroup() as both:
                both.create_task(link.listen(self._take), name=f"listen {self.leg_id}")
                both.create_task(self._send(link), name=f"send {self.leg_id}")
        except ExceptionGroup as group:
            return stream_end(group.exceptions[0])
        except GONE as error:
            return stream_end(error)
        finally:
            self._live = False
            await link.close()
        raise AssertionError("both halves run until they raise")

    async def _take(self, message: str | bytes) -> None:
        binary = isinstance(message, bytes)
        match Ignored("malformed") if binary else read_message(message, self.facts):
            case Media(data):
                await self._play(data)
            case Mark(name):
                self._queue.mark(name)
                self._send_marks(self._queue.reached())
            case Clear():
                self._send_marks(self._queue.clear())
            case Ignored(reason):
                self._ignored[reason] += 1

    async def _play(self, data: bytes) -> None:
        self._received_messages += 1
        self._received_bytes += len(data)
        for pcm in self._incoming.decode_in_pieces(data):
            before = self._queue.dropped_seconds
            self._queue.add(pcm)
            if (dropped := self._queue.dropped_seconds - before) > 0:
                self._losses.dropped("in", dropped)
            if len(data) > self._long:
                await asyncio.sleep(0)

    async def _send(self, link: StreamLink) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while link.has_room and (waiting := self._outbound.pop()) is not None:
                if isinstance(waiting, str):
                    await link.mark(waiting)
                    continue
                await self._send_sound(link, waiting)
            if self._outbound.reader_stalled(self._loop.time()):
                self._losses.cut_off()
                raise StreamEnded("slow", EndReason.FAILED)

    async def _send_sound(self, link: StreamLink, waiting: QueuedFrame) -> None:
        """Send the messages that this frame completes, each with the time of its first sample."""
        outgoing, length = self._outgoing[waiting.track], self.facts.media.frame_milliseconds
        messages = outgoing.encode(waiting.pcm)
        end = waiting.timestamp + FRAME_SECONDS * 1000 - outgoing.buffered_milliseconds
        for left, message in zip(range(len(messages), 0, -1), messages, strict=True):
            at = max(0, round(end - left * length))
            await link.media(message, track=waiting.track, timestamp=at)
            self._sent[waiting.track] += 1

    def _push_track(self, track: Channel, frame: Frame, now: float) -> None:
        if self._live:
            if not self._outbound.push(track, frame, now):
                self._losses.dropped("out", FRAME_SECONDS)
            self._wake.set()

    def _send_marks(self, names: list[str]) -> None:
        for name in names:
            self._outbound.mark(name)
        if names:
            self._wake.set()

    def _summary(self, over: StreamEnded) -> dict[str, object]:
        return {
            **_describe(self.facts),
            "reason": over.word,
            "sentFrames": sum(self._sent.values()),
            "droppedFrames": sum(self._outbound.dropped.values()),
            "playedSeconds": round(self._played / 50, 2),
            "droppedSeconds": round(self._queue.dropped_seconds, 2),
            "ignoredMessages": sum(self._ignored.values()),
        }


class TrackLeg:
    """The second track of a stream; lives as long as the stream."""

    kind = LegKind.STREAM
    source = None

    def __init__(self, leg_id: LegId, stream: StreamLeg, track: Channel) -> None:
        self.leg_id = leg_id
        self._stream = stream
        self._track = track

    @property
    def sink(self) -> Sink:
        """The stream's sink for the track."""
        return self._stream.track_sink(self._track)

    async def run(self, emit: Emit) -> None:
        """Wait for the stream's end; see `legs.base.Leg`."""
        await self._stream.over.wait()
        emit(LegEnded(self.leg_id, EndReason.HANGUP))

    def statistics(self) -> LegStatistics:
        """Return the track's figures."""
        return LegStatistics(sent=self._stream.sent(self._track))


def _describe(facts: StreamFacts) -> dict[str, object]:
    return {
        "streamId": facts.stream_id,
        "streamType": facts.type.value,
        "tracks": [track.value for track in facts.tracks],
    }
