"""A media stream to a customer's WebSocket, which we connect to; the customer may play audio back.

A stream of both tracks has a leg for each (`TrackLeg`): what a leg hears is one row of the routing
table.
"""

import asyncio
import math
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple, TypeAlias

from bridge.audio.detect.level import level
from bridge.audio.frame import FRAME_SECONDS, SAMPLE_RATE, SILENCE, Frame
from bridge.call.events import LegConnected, LegEnded, LegReported
from bridge.call.model import EndReason, LegId, LegKind, LegStatistics, SentAudio
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
from bridge.metrics.network import SocketMetrics
from bridge.wire.call_event import EventType
from bridge.wire.stream.media_format import IN_PYTHON, Conversion, MediaEncoder
from bridge.wire.stream.media_stream import (
    IGNORED_REASONS,
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
Outgoing: TypeAlias = Mark | Digit | Reply


class TrackMessage(NamedTuple):
    """A message of audio to the customer."""

    track: Channel
    data: bytes
    timestamp: int
    """Of its first sample, in milliseconds since the stream's start."""


class TrackSink:
    """The sink of one track."""

    always_clocked = True

    def __init__(self, push: Callable[[Channel, Frame, float], None], track: Channel) -> None:
        self._push = push
        self._track = track
        self.last = SILENCE

    def push(self, frame: Frame, now: float) -> None:
        """Take a frame (`call.bus.ends.Sink`)."""
        self.last = frame.pcm
        self._push(self._track, frame, now)


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
        self._first_pts: int | None = None
        """Of the first frame of any track: the stream's start."""
        self._inbound = InboundAudio(
            facts.media,
            partial(counters.dropped, "in"),
            self._count_incomplete,
            limit_seconds=PROTOCOLS[facts.protocol].buffer_seconds,
            conversion=conversion,
        )
        self._link: StreamLink | None = None
        """While connected."""
        self._broken: Exception | None = None
        """What sending has failed with."""
        self._loop = asyncio.get_running_loop()
        self._sent = dict.fromkeys(facts.tracks, 0)
        self._dropped = dict.fromkeys(facts.tracks, 0)
        """Messages."""
        self._ignored = dict.fromkeys(IGNORED_REASONS, 0)
        self._errors = 0
        self._check_at = 0.0
        """When to look at the encoding of what is played."""
        self._played: asyncio.Future[bool] | None = None
        """What `played` waits for."""
        self._functions = StreamFunctions(call_function, say=self._say, report=self._report_error)
        self._emit: Emit = drop
        self.sinks = {track: TrackSink(self._push_track, track) for track in facts.tracks}
        self.sink = self.sinks[facts.tracks[0]]

    def pull(self) -> bytes | None:
        """Return the next frame of what the customer plays; None when there is nothing."""
        if self._link is None:
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
        self._emit = emit
        over = StreamEnded(StreamEndReason.FAILED, EndReason.FAILED)
        try:
            over = await self._stream(emit)
        except asyncio.CancelledError:
            over = StreamEnded(StreamEndReason.STOPPED, EndReason.HANGUP)
            raise
        finally:
            self._link = None
            self.over.set()
            emit(LegReported(self.leg_id, EventType.STREAM_ENDED, self._summary(over)))
        emit(LegEnded(self.leg_id, over.reason))

    def statistics(self) -> LegStatistics:
        """Return the figures: `received` is what the customer plays, `sent` the first track."""
        return LegStatistics(
            received=self._inbound.statistics(),
            sent=self.sent(self.facts.tracks[0]),
            discarded={
                "bad_message": sum(self._ignored.values()),
                "too_many_marks": self._outbound.dropped_texts,
            },
        )

    def sent(self, track: Channel) -> SentAudio:
        """Return the figures of a track."""
        return SentAudio(
            packets=self._sent[track],
            bytes=self._sent[track] * self.facts.media.frame_bytes,
            dropped_frames=self._dropped[track] * self._milliseconds // 20,
            level_dbov=level(self.sinks[track].last),
        )

    async def _stream(self, emit: Emit) -> StreamEnded:
        """Stream until either side ends it; return why."""
        try:
            link = await connect(self._target, self.facts, self._messages, self._conversion)
        except StreamEnded as over:
            return over
        try:
            link.greet()
            self._link = link
            emit(LegConnected(self.leg_id))
            emit(LegReported(self.leg_id, EventType.STREAM_STARTED, _describe(self.facts)))
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
            await link.close()
        raise AssertionError("both halves run until they raise")

    async def _take(self, group: asyncio.TaskGroup, message: str | bytes) -> None:
        if isinstance(message, bytes):
            self._ignored["malformed"] += 1
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
                self._ignored[reason] += 1

    def _count_incomplete(self) -> None:
        self._ignored["malformed"] += 1

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
        self._errors += 1
        if self._errors <= MAX_ERRORS:
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
        if self._first_pts is None:
            self._first_pts = frame.pts
        encoder = self._encoders[track]
        messages = encoder.encode(frame.pcm)
        frame_end = (frame.pts - self._first_pts) * 1000 / SAMPLE_RATE + FRAME_SECONDS * 1000
        at = frame_end - encoder.buffered_milliseconds - len(messages) * self._milliseconds
        try:
            if not messages and self._outbound.waiting:
                self._send_queued(link)
            for data in messages:
                timestamp = max(0, round(at))
                if link.has_room and self._outbound.try_send():
                    self._send_media(link, track, data, timestamp)
                else:
                    self._queue(TrackMessage(track, data, timestamp), now)
                    self._send_queued(link)
                at += self._milliseconds
        except GONE as error:
            self._broken = error

    def _send_media(self, link: StreamLink, track: Channel, data: bytes, timestamp: int) -> None:
        link.media(data, track=track, timestamp=timestamp)
        self._sent[track] += 1
        if (payload := self._outbound.ping()) is not None:
            link.ping(payload)

    def _queue(self, message: TrackMessage, now: float) -> None:
        if (dropped := self._outbound.add(message, now)) is not None:
            self._dropped[dropped.track] += 1
            self._counters.dropped("out", self._milliseconds / 1000)

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

    def _summary(self, over: StreamEnded) -> dict[str, object]:
        return {
            **_describe(self.facts),
            "reason": over.word.value,
            "error": over.text,
            "sentFrames": sum(self._sent.values()),
            "droppedFrames": sum(self._dropped.values()) * self._milliseconds // 20,
            "playedSeconds": round(self._inbound.frames / 50, 2),
            "droppedSeconds": round(self._inbound.queue.dropped_seconds, 2),
            "ignoredMessages": sum(self._ignored.values()),
            "errors": self._errors,
        }


class TrackLeg:
    """The second track of a stream; lives as long as the stream."""

    kind = LegKind.STREAM
    source = None

    def __init__(self, leg_id: LegId, stream: StreamLeg, track: Channel) -> None:
        self.leg_id = leg_id
        self.sink = stream.sinks[track]
        self._stream = stream
        self._track = track

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
        "protocol": facts.protocol.value,
        "tracks": [track.value for track in facts.tracks],
    }
