"""A media stream to a customer's WebSocket, which we connect to; the customer may play audio back.

A stream of both tracks has a leg for each (`legs.stream_track`): what a leg hears is one row of the routing
table.
"""

import asyncio
import math
import socket
from functools import partial
from typing import Final, TypeAlias

from bridge.audio.frame import Frame
from bridge.call.events import LegConnected, LegEnded, LegReported
from bridge.call.model import EndReason, LegId, LegKind, LegStatistics, SentAudio
from bridge.errors import HandoverRefused
from bridge.legs.base import Emit, drop
from bridge.legs.receive_buffer import InboundAudio
from bridge.legs.send_queue import OutboundQueue
from bridge.legs.stream_functions import CallFunction, StreamFunctions, no_functions
from bridge.media.stream_link import (
    CHECK_SECONDS,
    CLOSE_SECONDS,
    GONE,
    StreamEnded,
    StreamLink,
    StreamTarget,
    connect,
    stream_end,
)
from bridge.media.stream_snapshot import InboundSnapshot, StreamSnapshot, StreamState
from bridge.media.stream_tracks import StreamFigures, StreamTimeline, TrackMessage, TrackSink
from bridge.metrics.network import SocketMetrics
from bridge.wire.call_event import EventType
from bridge.wire.stream.media_format import IN_PYTHON, Conversion, MediaEncoder
from bridge.wire.stream.media_stream import (
    Channel,
    Clear,
    Digit,
    Failed,
    FunctionCall,
    Ignored,
    Mark,
    Media,
    Reply,
    ServerMessage,
    StreamEndReason,
    StreamFacts,
    StreamMessages,
)
from bridge.wire.stream.protocols import PROTOCOLS

MAX_TEXTS: Final = 1000
"""Marks, keys and replies queued for a slow reader; beyond that the oldest is dropped, and counted."""
MAX_ERRORS: Final = 10
"""Errors of a server that are published; of more there is only the number."""
TOO_SLOW: Final = "the server read too slowly for 10 s"
LOST: Final = "the process that had the connection has died"
Outgoing: TypeAlias = Mark | Digit | Reply


class StreamLeg:
    """One stream: its connection, its first track, and what the customer plays into the call."""

    kind = LegKind.STREAM

    def __init__(  # noqa: PLR0913  (all but three by keyword)
        self,
        leg_id: LegId,
        facts: StreamFacts,
        target: StreamTarget,
        *,
        messages: StreamMessages,
        counters: SocketMetrics,
        call_function: CallFunction = no_functions,
        conversion: Conversion = IN_PYTHON,
    ) -> None:
        """Make a stream that `run` connects to its target.

        `call_function` runs what a model calls; it is cancelled with the stream.
        """
        self.leg_id = leg_id
        self.source = self
        self.facts = facts
        self.over = asyncio.Event()
        """Set when the stream has ended."""
        self._target = target
        self._messages = messages
        self._conversion = conversion
        self._counters = counters
        self._milliseconds = facts.media.frame_milliseconds
        self._outbound: OutboundQueue[TrackMessage, Outgoing] = OutboundQueue(
            self._milliseconds, tracks=len(facts.tracks), max_texts=MAX_TEXTS
        )
        self._encoders = {track: MediaEncoder(facts.media, conversion) for track in facts.tracks}
        self._timeline = StreamTimeline()
        self.reconnecting = self.lost = False
        """Whether another process had the stream, and its server is not connected yet, or is not to be."""
        self._moved = False
        """Whether another process goes on with the stream."""
        self.finishing = False
        """Whether its server has closed it while its audio is still being played."""
        self._inbound = InboundAudio(
            facts.media,
            partial(counters.dropped, "in"),
            self._count_incomplete,
            limit_seconds=PROTOCOLS[facts.protocol].buffer_seconds,
            conversion=conversion,
            now=asyncio.get_running_loop().time,
        )
        self._link: StreamLink | None = None
        """While connected."""
        self._broken: Exception | None = None
        """What sending has failed with."""
        self._loop = asyncio.get_running_loop()
        self.queue = self._inbound.queue
        self._figures = StreamFigures.of(facts.tracks)
        self._asked_at: float | None = None
        """When it began to connect."""
        self._check_at = 0.0
        """When to look at the encoding of what is played."""
        self._played: asyncio.Future[bool] | None = None
        """What `played` waits for."""
        self._functions = StreamFunctions(call_function, say=self._say, report=self._report_error)
        self._emit: Emit = drop
        self.sinks = {track: TrackSink(self._push_track, track) for track in facts.tracks}
        self.sink = self.sinks[facts.tracks[0]]

    @property
    def buffered_seconds(self) -> float:
        """The customer's audio that is still to be played."""
        return self._inbound.queue.buffered_seconds

    @property
    def unsent_seconds(self) -> float:
        """What the customer is still to be sent."""
        return self._outbound.queued_seconds

    def function_seconds(self, begin: float, end: float) -> float | None:
        """Return for how long functions of its model ran between two times of the loop; None if none did."""
        return self._functions.seconds_between(begin, end)

    def pull(self) -> bytes | None:
        """Return the next frame of what the customer plays; None when there is nothing."""
        if self._link is None and not self.reconnecting and not self.finishing:
            return None
        frame = self._inbound.pull()
        if names := self._inbound.queue.reached():
            self._send_marks(names)
        if self._played is not None and not self._inbound.queue.buffered_seconds:
            self._finish_playing(heard=True)
        return frame

    async def played(self) -> bool:
        """Wait until no audio of the customer waits to be played; False if it was cleared meanwhile."""
        if not self._inbound.queue.buffered_seconds:
            return True
        if self._played is None or self._played.done():
            self._played = self._loop.create_future()
        return await asyncio.shield(self._played)

    def press(self, key: str) -> None:
        """Report a key that the far party has pressed to the server; nothing before it is connected."""
        if self._link is not None:
            self._say(Digit(key))

    async def run(self, emit: Emit) -> None:
        """Connect, stream, and close (`legs.base.Leg.run`).

        `stream.ended` is reported even when cancelled: only the leg has its counts.
        """
        self._emit, self._asked_at = emit, self._loop.time()
        over = StreamEnded(StreamEndReason.FAILED, EndReason.FAILED)
        try:
            over = await self._stream()
            if over.word is StreamEndReason.CLOSED:
                self.finishing = True
                await self._inbound.play_out()
        except asyncio.CancelledError:
            over = StreamEnded(StreamEndReason.STOPPED, EndReason.HANGUP)
            raise
        finally:
            self._link, self.reconnecting = None, False
            self.over.set()
            ended = self.facts.describe() | over.describe() | self._inbound.describe()
            ended |= self._figures.describe(self.facts)
            self._emit(LegReported(self.leg_id, EventType.STREAM_ENDED, ended))
        self._emit(LegEnded(self.leg_id, over.reason))

    def check_movable(self) -> None:
        """Raise `HandoverRefused` if the stream cannot move now (`legs.base.Movable`)."""
        if not self.facts.resumes:
            raise HandoverRefused("a stream that its server does not resume")
        if self._link is None or self._broken is not None:
            raise HandoverRefused("the stream is not connected")
        self._inbound.check_movable()

    def suspend(self) -> tuple[StreamState, list[socket.socket]]:
        """Return the stream's state (`legs.base.Movable`); its server is connected anew."""
        return self._state(self._inbound.snapshot()), []

    def copy(self) -> StreamState:
        """Return the stream's state without what waits to be played (`legs.base.Copyable`), of any protocol."""
        if self.finishing:
            raise HandoverRefused("the stream's server has ended it")
        return self._state(self._inbound.copy())

    def _state(self, inbound: InboundSnapshot) -> StreamState:
        url, began, started = self._target.url, self._timeline.began_at, self._link is not None
        return StreamState(
            StreamSnapshot(
                self.facts, url, began, self._figures, inbound, started or self.reconnecting
            )
        )

    def resume(self) -> None:
        """Go on after `suspend`: what has come meanwhile is in the queue."""

    async def abandon(self) -> None:
        """Let the connection be closed as one that has moved when the task ends (`legs.base.Movable`)."""
        self._emit, self._moved = drop, True

    def restore(self, snapshot: StreamSnapshot) -> None:
        """Go on with another process's stream when it is run."""
        self.lost = snapshot.started and not self.facts.resumes
        self.reconnecting = snapshot.started and not self.lost
        self._timeline, self._figures = StreamTimeline(snapshot.began_at), snapshot.figures
        self._inbound.restore(snapshot.inbound)

    def statistics(self) -> LegStatistics:
        """Return the figures: `received` is what the customer plays, `sent` the first track."""
        return LegStatistics(
            received=self._inbound.statistics(),
            sent=self.sent(self.facts.tracks[0]),
            discarded={
                "bad_message": sum(self._figures.ignored.values()),
                "too_many_marks": self._outbound.dropped_texts,
            },
            socket=self._inbound.state(self._figures.dropped_seconds(self.facts)),
            stream=self._figures.condition(
                self.facts, self._asked_at if self._link is None else None, self._functions.longest
            ),
        )

    def sent(self, track: Channel) -> SentAudio:
        """Return the figures of a track."""
        return self._figures.of_track(track, self.facts, self.sinks[track].last)

    async def _stream(self) -> StreamEnded:
        """Stream until either side ends it; return why."""
        try:
            if self.lost:
                raise StreamEnded(StreamEndReason.FAILED, EndReason.NODE_LOST, LOST)
            link = await connect(self._target, self.facts, self._messages, self._conversion)
        except StreamEnded as over:
            return over
        try:
            link.greet()
            self._link = link
            if not self.reconnecting:
                self._emit(LegConnected(self.leg_id))
                started = self.facts.describe()
                self._emit(LegReported(self.leg_id, EventType.STREAM_STARTED, started))
            self.reconnecting = False
            async with asyncio.TaskGroup() as group:
                take = partial(self._take, group)
                group.create_task(
                    link.listen(take, self._outbound.confirm), name=f"listen {self.leg_id}"
                )
                group.create_task(self._watch(link), name=f"watch {self.leg_id}")
        except ExceptionGroup as group:
            return stream_end(group.exceptions[0])
        except GONE as error:
            return stream_end(error)
        finally:
            self._link = None
            await link.close(moved=self._moved)
        raise AssertionError("both halves run until they raise")

    async def _take(self, group: asyncio.TaskGroup, message: str | bytes) -> None:
        if isinstance(message, bytes):
            self._count_incomplete()
            return
        played = self._inbound.queue.left_seconds
        for found in self._messages.read(message, played_seconds=played):
            if isinstance(found, Media):
                await self._inbound.receive(found.data)
            else:
                self._handle(found, group)

    def _handle(self, message: ServerMessage, group: asyncio.TaskGroup) -> None:
        match message:
            case Mark(name):
                self._inbound.queue.mark(name)
                self._send_marks(self._inbound.queue.reached())
            case Clear():
                self._send_marks(self._inbound.clear())
                self._finish_playing(heard=False)
            case Reply():
                self._say(message)
            case FunctionCall():
                self._functions.begin(message, group)
            case Failed(code, text):
                self._report_error(code, text)
            case Ignored(reason):
                self._figures.ignored[reason] += 1

    def _count_incomplete(self) -> None:
        self._figures.ignored["malformed"] += 1

    def _finish_playing(self, *, heard: bool) -> None:
        if self._played is not None and not self._played.done():
            self._played.set_result(heard)

    def _check_encoding(self) -> None:
        """Report audio in another encoding, once; looked for once a second."""
        if self._loop.time() < self._check_at:
            return
        self._check_at = self._loop.time() + 1.0
        if found := self._inbound.check_encoding():
            self._check_at = math.inf
            media = self.facts.media
            text = f"the audio looks like {found}; this stream is {media.encoding} at {media.sample_rate} Hz"
            self._report_error("wrong_encoding", text)

    def _report_error(self, code: str, text: str) -> None:
        self._figures.errors += 1
        if self._figures.errors <= MAX_ERRORS:
            data = {"streamId": self.facts.stream_id, "code": code, "message": text}
            self._emit(LegReported(self.leg_id, EventType.STREAM_ERROR, data))

    async def _watch(self, link: StreamLink) -> None:
        """Look at the connection every `CHECK_SECONDS`; raise what ends it from this side."""
        while self._broken is None:
            await asyncio.sleep(CHECK_SECONDS)
            link.check_partial()
            self._check_encoding()
            if self._outbound.is_behind(self._loop.time()):
                self._counters.cut_off()
                raise StreamEnded(StreamEndReason.SLOW, EndReason.FAILED, TOO_SLOW)
        # Why the connection is closing, `listen` knows in a moment.
        await asyncio.sleep(CLOSE_SECONDS)
        raise self._broken

    def _push_track(self, track: Channel, frame: Frame, now: float) -> None:
        """Send the messages that this frame completes; queue those that the connection does not take at once."""
        link = self._link
        if link is None or self._broken is not None:
            return
        frame_end = self._timeline.end_of(frame, now)
        encoder = self._encoders[track]
        messages = encoder.encode(frame.pcm)
        at = frame_end - encoder.buffered_milliseconds - len(messages) * self._milliseconds
        try:
            if not messages and self._outbound.waiting:
                self._send_queued(link)
            for data in messages:
                timestamp = max(0, round(at))
                if link.has_room and self._outbound.try_send():
                    self._send_media(link, track, data, timestamp)
                else:
                    message = TrackMessage(track, data, timestamp)
                    if (dropped := self._outbound.add(message, now)) is not None:
                        self._figures.dropped[dropped.track] += 1
                        self._counters.dropped("out", self._milliseconds / 1000)
                    self._send_queued(link)
                at += self._milliseconds
        except GONE as error:
            self._broken = error

    def _send_media(self, link: StreamLink, track: Channel, data: bytes, timestamp: int) -> None:
        link.media(data, track=track, timestamp=timestamp)
        self._figures.sent[track] += 1
        if (payload := self._outbound.ping()) is not None:
            link.ping(payload)

    def _send_queued(self, link: StreamLink) -> None:
        """Send what is queued, as far as the connection takes it at once."""
        while link.has_room and (waiting := self._outbound.next()) is not None:
            if isinstance(waiting, TrackMessage):
                self._send_media(link, *waiting)
            else:
                link.say(waiting)

    def _send_marks(self, names: list[str]) -> None:
        for name in names:
            self._say(Mark(name))

    def _say(self, what: Outgoing) -> None:
        self._outbound.add_text(what)
        if self._link is not None and self._broken is None:
            try:
                self._send_queued(self._link)
            except GONE as error:
                self._broken = error
