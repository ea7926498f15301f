"""A party at a WebSocket: raw sound both ways, paced towards the call, never late towards the party.

Nobody is told to stop talking: what comes faster than it is played waits (`audio.paced`). What a
slow reader does not take is dropped, the oldest first, so that it never hears what is older than
`outbound.QUEUE_SECONDS` and what is under way to it. Sound that nobody hears, of a muted party, passes as
time does: nothing of it is left when the party is heard again. Before the call is answered no sound is
sent, not even silence: clients take the first frame for the answer.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from bridge.audio.frame import SILENCE, Frame
from bridge.audio.level import level
from bridge.audio.paced import LIMIT_SECONDS, PacedQueue
from bridge.call.ends import Sink, Source
from bridge.call.events import LegConnected, LegEnded, LegEvent
from bridge.call.model import (
    EndReason,
    LegId,
    LegKind,
    LegStatistics,
    ReceivedAudio,
    SentAudio,
)
from bridge.errors import RemoteProtocolError
from bridge.legs.outbound import Outbound
from bridge.wire.media_format import PIECE_SECONDS, MediaDecoder, MediaEncoder, MediaFormat

KERNEL_SECONDS: Final = 0.5
"""How much sound our kernel may hold; it takes up to twice what it is told."""
STUCK_SECONDS: Final = 10.0
"""How long a reader may take nothing at all before it is cut off."""
GOODBYE_SECONDS: Final = 0.8


class Wire(Protocol):
    """One WebSocket, as far as a leg needs it."""

    async def send(self, message: bytes | str) -> None:
        """Send a message; returns when the process holds no part of it any more.

        Raises:
            OSError: the connection is gone.
        """
        ...

    async def ping(self, payload: bytes) -> None:
        """Send a ping, as `send`; the pong is told to `SocketLeg.confirm`."""
        ...

    async def close(self) -> None:
        """Close with 1000; returns when the party has closed too, or soon."""
        ...

    def abort(self) -> None:
        """Drop the connection at once."""
        ...


class Texts(Protocol):
    """What a route says in text beside the sound."""

    def opening(self) -> list[str]:
        """What is said first."""
        ...

    def tick(self, buffered_seconds: float, now: float) -> list[str]:
        """What there is to say now; asked every 20 ms."""
        ...

    def lost(self, direction: str) -> None:
        """Note that sound was dropped, as `SocketCounters.dropped` counts it."""
        ...

    def clears(self, text: str) -> bool:
        """Whether this text of the party's means to drop what it has sent."""
        ...

    def refusal(self, error: RemoteProtocolError) -> list[str]:
        """What is said to a message that was not understood."""
        ...

    def farewell(self) -> list[str]:
        """What is said last."""
        ...


class NoTexts:
    """Says nothing."""

    def opening(self) -> list[str]:
        """Say nothing."""
        return []

    def tick(self, buffered_seconds: float, now: float) -> list[str]:
        """Say nothing."""
        return []

    def lost(self, direction: str) -> None:
        """Do nothing."""

    def clears(self, text: str) -> bool:
        """Ignore every text."""
        return False

    def refusal(self, error: RemoteProtocolError) -> list[str]:
        """Say nothing."""
        return []

    def farewell(self) -> list[str]:
        """Say nothing."""
        return []


class SocketCounters(Protocol):
    """Counts what sockets lose; `metrics.sockets.SocketMetrics` is one."""

    def dropped(self, direction: str, seconds: float) -> None:
        """Sound was dropped: `in` = of the party's, above the limit; `out` = for a slow reader."""
        ...

    def cut_off(self) -> None:
        """A stuck reader was cut off."""
        ...


@dataclass(frozen=True, slots=True)
class Intake:
    """What is done with what a party sends."""

    pads: bool = False
    """Whether each message is filled up to a whole frame (`wire.media_format.MediaDecoder`)."""
    limit_seconds: float = LIMIT_SECONDS
    """How much sound waits to be played at most."""


AS_IT_COMES: Final = Intake()


class SocketLeg:
    """A WebSocket as a leg; it is its own source and sink.

    Whoever reads the socket gives `hear` every binary message, `confirm` every pong, and says
    `leave` when the party is gone. One message counts as one packet in the figures.
    """

    kind = LegKind.SOCKET
    steady = True

    def __init__(  # noqa: PLR0913 - what a socket is made of
        self,
        leg_id: LegId,
        wire: Wire,
        *,
        media: MediaFormat,
        counters: SocketCounters,
        answered: Callable[[], bool],
        intake: Intake = AS_IT_COMES,
        texts: Texts | None = None,
    ) -> None:
        """Make a leg.

        Args:
            leg_id: unique within the call.
            wire: the WebSocket, opened.
            media: how its sound is written, both ways.
            counters: count what is lost.
            answered: whether the call has been answered and its media is up; no sound is sent before.
            intake: what is done with what it sends.
            texts: what is said beside the sound.
        """
        self.leg_id = leg_id
        self._wire = wire
        self._counters = counters
        self._answered = answered
        self._texts = texts or NoTexts()
        self._incoming = MediaDecoder(media, pads=intake.pads)
        self._long = round(media.second_bytes * PIECE_SECONDS)
        self._outgoing = MediaEncoder(media)
        self._outbound = Outbound(media.second_bytes, media.frame_bytes)
        self._queue = PacedQueue(limit_seconds=intake.limit_seconds)
        self._pulled = False
        self._gone = False
        self._wake = asyncio.Event()
        self._messages = self._bytes = self._frames = 0
        self._sent_messages = self._sent_bytes = 0
        self._said = self._heard = SILENCE

    @property
    def source(self) -> Source:
        """The leg itself."""
        return self

    @property
    def sink(self) -> Sink:
        """The leg itself."""
        return self

    @property
    def buffered_seconds(self) -> float:
        """How much of the party's sound waits to be played."""
        return self._queue.buffered_seconds

    def pull(self) -> bytes | None:
        """Give the party's next 20 ms; None while there is nothing."""
        self._pulled = True
        return self._play()

    def push(self, frame: Frame, now: float) -> None:
        """Take the next 20 ms for the party."""
        if not self._pulled:
            self._play()
        self._pulled = False
        if self._answered():
            self._send_sound(frame.pcm)
        for text in self._texts.tick(self._queue.buffered_seconds, now):
            self._say(text)

    async def hear(self, message: bytes) -> None:
        """Take a message of the party's; a long one in pieces, with others' work in between."""
        self._messages += 1
        self._bytes += len(message)
        try:
            pieces = self._incoming.decode_in_pieces(message)
        except RemoteProtocolError as error:
            for text in self._texts.refusal(error):
                self._say(text)
            return
        for pcm in pieces:
            before = self._queue.dropped_seconds
            self._queue.add(pcm)
            if (dropped := self._queue.dropped_seconds - before) > 0:
                self._lose("in", dropped)
            if len(message) > self._long:
                await asyncio.sleep(0)

    def read(self, text: str) -> None:
        """Take a text of the party's."""
        if self._texts.clears(text):
            self.clear()

    def clear(self) -> None:
        """Drop what the party has sent and what was not played."""
        self._queue.clear()

    def confirm(self, payload: bytes) -> None:
        """Take a pong."""
        self._outbound.confirm(payload)
        self._wake.set()

    def leave(self) -> None:
        """Note that the party is gone."""
        self._gone = True
        self._wake.set()

    async def run(self, emit: Callable[[LegEvent], None]) -> None:
        """Send what there is to be sent until the party is gone (`legs.base.Leg.run`)."""
        emit(LegConnected(self.leg_id))
        for text in self._texts.opening():
            self._say(text)
        try:
            reason = await self._live()
        finally:
            await self.aclose()
        emit(LegEnded(self.leg_id, reason))

    async def aclose(self) -> None:
        """Say goodbye, which takes at most a second, and let go of the connection."""
        if self._gone:
            return
        self._gone = True
        closed = False
        try:
            async with asyncio.timeout(GOODBYE_SECONDS):
                for text in self._texts.farewell():
                    await self._wire.send(text)
                await self._wire.close()
            closed = True
        except (TimeoutError, OSError):
            pass
        finally:
            if not closed:
                self._wire.abort()

    def statistics(self) -> LegStatistics:
        """Give the figures: `received` is what the party says, `sent` what it hears."""
        return LegStatistics(
            received=ReceivedAudio(
                packets=self._messages,
                bytes=self._bytes,
                frames=self._frames,
                level_dbov=level(self._said),
            ),
            sent=SentAudio(
                packets=self._sent_messages,
                bytes=self._sent_bytes,
                level_dbov=level(self._heard),
            ),
        )

    def _play(self) -> bytes | None:
        frame = self._queue.pull()
        self._frames += frame is not None
        self._said = frame or SILENCE
        return frame

    def _send_sound(self, pcm: bytes) -> None:
        self._heard = pcm
        for message in self._outgoing.encode(pcm):
            if (seconds := self._outbound.add(message)) > 0:
                self._lose("out", seconds)
            self._wake.set()

    def _lose(self, direction: str, seconds: float) -> None:
        self._counters.dropped(direction, seconds)
        self._texts.lost(direction)

    def _say(self, text: str) -> None:
        self._outbound.say(text)
        self._wake.set()

    async def _live(self) -> EndReason:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(STUCK_SECONDS):
                await self._ping()
            while not self._gone:
                message = self._outbound.next()
                if message is not None:
                    async with asyncio.timeout(STUCK_SECONDS):
                        await self._send(message)
                elif self._outbound.stuck_seconds(loop.time()) >= STUCK_SECONDS:
                    raise TimeoutError
                else:
                    self._wake.clear()
                    await self._wake.wait()
        except TimeoutError:
            self._counters.cut_off()
            self._gone = True
            self._wire.abort()
            return EndReason.MEDIA_TIMEOUT
        except OSError:
            self._gone = True
        return EndReason.REMOTE_HANGUP

    async def _send(self, message: bytes | str) -> None:
        await self._wire.send(message)
        if isinstance(message, bytes):
            self._sent_messages += 1
            self._sent_bytes += len(message)
            await self._ping()

    async def _ping(self) -> None:
        if (payload := self._outbound.ping()) is not None:
            await self._wire.ping(payload)
