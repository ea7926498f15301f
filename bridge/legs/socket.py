"""A party at a WebSocket: raw audio both ways, paced towards the call, never late towards the party.

Nobody is asked to send more slowly: what comes faster than it is played is buffered (`audio.buffer.paced`).
What a slow reader does not take is dropped, oldest first (`legs.send_queue`). Audio of a muted party
passes in real time: nothing of it is left when the party is unmuted. No audio is sent before the
call is answered, not even silence: clients take the first frame for the answer.
"""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from bridge.audio.buffer.paced import LIMIT_SECONDS
from bridge.audio.detect.level import level
from bridge.audio.frame import SILENCE, Frame
from bridge.call.events import LegConnected, LegEnded
from bridge.call.model import EndReason, LegId, LegKind, LegStatistics, SentAudio
from bridge.errors import HandoverRefused
from bridge.legs.base import Emit
from bridge.legs.receive_buffer import InboundAudio
from bridge.legs.send_queue import STUCK_SECONDS, OutboundQueue
from bridge.media.stream_snapshot import InboundSnapshot, SocketSnapshot
from bridge.metrics.network import SocketMetrics
from bridge.tasks import wait_set
from bridge.wire.snapshot_fields import copied, restored
from bridge.wire.stream.media_format import IN_PYTHON, Conversion, MediaEncoder, MediaFormat

KERNEL_SECONDS: Final = 0.5
"""Audio in our kernel's send buffer, which takes up to twice what it is set to."""
CLOSE_SECONDS: Final = 0.8


class SocketTransport(Protocol):
    """One WebSocket, as far as a leg needs it."""

    @property
    def has_room(self) -> bool:
        """Whether the process buffers nothing that was sent."""

    def send(self, message: bytes | str) -> None:
        """Send a message.

        Raises:
            OSError: the connection is gone.
        """

    def ping(self, payload: bytes) -> None:
        """Send a ping, as `send`; the pong comes back through `SocketLeg.receive_pong`."""

    async def drained(self) -> None:
        """Wait until the process buffers nothing that was sent; raises as `send`."""

    async def close(self, *, moved: bool = False) -> None:
        """Close with 1000, or as one that has `moved` with 1012; returns when the party has closed too, or soon."""

    def abort(self) -> None:
        """Drop the connection at once."""


class TextMessages(Protocol):
    """The text messages that a route sends beside the audio."""

    def opening(self) -> list[str]:
        """Return the first messages."""

    def poll(self, buffered_seconds: float, now: float) -> list[str]:
        """Return the messages due now; called every 20 ms."""

    def note_loss(self, direction: str) -> None:
        """Note that audio was dropped, as `SocketMetrics.dropped` counts it."""

    def is_clear(self, text: str) -> bool:
        """Whether this text asks to drop the audio that is still to be played."""

    def refusal(self, problem: str) -> list[str]:
        """Return the report of audio that cannot be played."""

    def last_messages(self) -> list[str]:
        """Return the last messages."""


@dataclass(frozen=True, slots=True)
class SocketAudio:
    """The audio of one socket."""

    media: MediaFormat
    """Format in both directions."""
    limit_seconds: float = LIMIT_SECONDS
    """How much of what the party says may wait to be played."""
    conversion: Conversion = IN_PYTHON


class SocketLeg:
    """A WebSocket as a leg; it is its own source and sink.

    Whoever reads the socket calls `receive_audio`, `receive_text` and `receive_pong`, and
    `disconnected` when the party is gone. One message counts as one packet in the figures.
    """

    kind = LegKind.SOCKET
    always_clocked = True

    def __init__(  # noqa: PLR0913  (all but two by keyword)
        self,
        leg_id: LegId,
        wire: SocketTransport | None,
        *,
        audio: SocketAudio,
        counters: SocketMetrics,
        answered: Callable[[], bool],
        texts: TextMessages | None = None,
        name: str = "",
    ) -> None:
        """Make a leg of an open WebSocket; without one, `restore` and `reconnect` follow.

        No audio is sent before `answered`: the call has been answered and its media is up. Without
        `texts` there are no text messages. With a `name` its party connects again when it is closed as moved.
        """
        self.leg_id = leg_id
        self.source = self.sink = self
        self.name = name
        self.audio = audio
        self._wire = wire
        self._open: SocketTransport | None = None
        """Where messages may be sent: `run` has begun, and the party is not gone."""
        self._connected = asyncio.Event()
        if wire is not None:
            self._connected.set()
        self._waits_seconds = 0.0
        """How long a party that has yet to reconnect is waited for."""
        self._counters = counters
        self._answered = answered
        self._texts = texts
        self._media = media = audio.media
        self._inbound = InboundAudio(
            media,
            partial(self._count_dropped, "in"),
            self._refuse_incomplete,
            limit_seconds=audio.limit_seconds,
            conversion=audio.conversion,
            now=asyncio.get_running_loop().time,
        )
        self.queue = self._inbound.queue
        self.receive_audio = self._inbound.receive
        """Takes a binary message; yields to other tasks between the pieces of a long one."""
        self._encoder = MediaEncoder(media, audio.conversion)
        self._message_seconds = media.frame_milliseconds / 1000
        self._outbound: OutboundQueue[bytes, str] = OutboundQueue(media.frame_milliseconds)
        self._pulled = False
        self._gone = False
        self._wake = asyncio.Event()
        self._sent_messages = self._sent_bytes = 0
        self._unread_seconds = 0.0
        """Of audio that was dropped because the party reads too slowly."""
        self._last_sent = SILENCE
        # Now, because the clock may tick before `run` begins.
        self._send_texts(texts.opening() if texts is not None else [])

    @property
    def buffered_seconds(self) -> float:
        """The party's audio that is still to be played."""
        return self._inbound.queue.buffered_seconds

    @property
    def unsent_seconds(self) -> float:
        """What the party is still to be sent."""
        return self._outbound.queued_seconds

    def pull(self) -> bytes | None:
        """Return the party's next 20 ms; None while there is nothing."""
        self._pulled = True
        return self._inbound.pull()

    def push(self, frame: Frame, now: float) -> None:
        """Send the next 20 ms to the party."""
        if not self._pulled:
            self._inbound.pull()
        self._pulled = False
        if self._gone:
            return
        if self._answered() and not self.reconnecting:
            self._send_audio(frame.pcm, now)
        if self._texts is not None:
            self._send_texts(self._texts.poll(self.buffered_seconds, now))
        if self._outbound.waiting and self._open is not None and not self._send_queued():
            self._wake.set()

    def receive_text(self, text: str) -> None:
        """Take a text message."""
        if self._texts is not None and self._texts.is_clear(text):
            self._inbound.clear()

    def receive_pong(self, payload: bytes) -> None:
        """Take a pong."""
        self._outbound.confirm(payload)
        self._wake.set()

    def disconnected(self) -> None:
        """Note that the party is gone."""
        self._gone, self._open = True, None
        self._wake.set()

    async def run(self, emit: Emit) -> None:
        """Send what is queued until the party is gone (`legs.base.Leg.run`)."""
        reason = EndReason.REMOTE_HANGUP
        if not self.reconnecting:
            emit(LegConnected(self.leg_id))
        try:
            if self.reconnecting:
                await wait_set(self._connected, self._waits_seconds)
            if (wire := self._wire) is not None:
                reason = await self._send_until_gone(wire)
        finally:
            await self._close()
        if reason is EndReason.REMOTE_HANGUP:
            await self._inbound.play_out()
        emit(LegEnded(self.leg_id, reason))

    @property
    def reconnecting(self) -> bool:
        """Whether another process had the socket, and its party has not connected again."""
        return not self._connected.is_set()

    def check_movable(self) -> None:
        """Raise `HandoverRefused` if the party cannot reconnect (`legs.base.Movable`)."""
        self._check_resumes()
        self._inbound.check_movable()

    def suspend(self) -> tuple[SocketSnapshot, list[socket.socket]]:
        """Return the socket's state (`legs.base.Movable`)."""
        return self._snapshot(self._inbound.snapshot()), []

    def copy(self) -> SocketSnapshot:
        """Return the socket's state without the audio that waits to be played (`legs.base.Copyable`)."""
        self._check_resumes()
        return self._snapshot(self._inbound.copy())

    def _check_resumes(self) -> None:
        if not self.name or self._gone:
            raise HandoverRefused("a media socket whose client does not connect again")

    def _snapshot(self, inbound: InboundSnapshot) -> SocketSnapshot:
        limit = self.audio.limit_seconds
        return copied(SocketSnapshot, self, inbound=inbound, limit_seconds=limit)

    def resume(self) -> None:
        """Go on after `suspend`: what has come meanwhile is in the queue."""

    async def abandon(self) -> None:
        """Ask the party to connect to the process that goes on (`legs.base.Movable`)."""
        await self._close(moved=True)

    def restore(self, snapshot: SocketSnapshot, waits_seconds: float) -> None:
        """Go on with another process's socket when it is run, and wait so long for its party."""
        self._waits_seconds = waits_seconds
        restored(self, snapshot, without=("media", "limit_seconds", "inbound"))
        self._inbound.restore(snapshot.inbound)

    def reconnect(self, wire: SocketTransport) -> None:
        """Go on with the party, which has connected again."""
        self._wire = wire
        self._connected.set()

    def statistics(self) -> LegStatistics:
        """Return the figures: `received` is what the party says, `sent` what it hears."""
        return LegStatistics(
            received=self._inbound.statistics(),
            sent=SentAudio(
                packets=self._sent_messages,
                bytes=self._sent_bytes,
                level_dbov=level(self._last_sent),
            ),
            socket=self._inbound.state(self._unread_seconds),
        )

    async def _close(self, *, moved: bool = False) -> None:
        """Send the last messages and close, within `CLOSE_SECONDS`."""
        self._open = None
        if self._gone or (wire := self._wire) is None:
            return
        self._gone = True
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                for text in self._texts.last_messages() if self._texts is not None else ():
                    wire.send(text)
                await wire.drained()
                await wire.close(moved=moved)
        except (TimeoutError, OSError):
            wire.abort()
        except asyncio.CancelledError:
            wire.abort()
            raise

    def _send_audio(self, pcm: bytes, now: float) -> None:
        self._last_sent = pcm
        for message in self._encoder.encode(pcm):
            wire = self._open
            if wire is not None and wire.has_room and self._outbound.try_send():
                self._send(wire, message)
            elif self._outbound.add(message, now) is not None:
                self._unread_seconds += self._message_seconds
                self._count_dropped("out", self._message_seconds)

    def _send_texts(self, texts: list[str]) -> None:
        for text in texts:
            self._outbound.add_text(text)

    def _refuse_incomplete(self) -> None:
        if self._texts is not None:
            size = self._media.encoding.sample_bytes
            self._send_texts(
                self._texts.refusal(f"the audio ended within a sample of {size} bytes")
            )

    def _count_dropped(self, direction: str, seconds: float) -> None:
        self._counters.dropped(direction, seconds)
        if self._texts is not None:
            self._texts.note_loss(direction)

    async def _send_until_gone(self, wire: SocketTransport) -> EndReason:
        loop = asyncio.get_running_loop()
        try:
            if (payload := self._outbound.ping()) is not None:
                wire.ping(payload)
            self._open = None if self._gone else wire
            while not self._gone:
                self._wake.clear()
                if not wire.has_room:
                    async with asyncio.timeout(STUCK_SECONDS):
                        await wire.drained()
                self._send_queued()
                if self._outbound.is_stuck(loop.time()):
                    raise TimeoutError
                await self._wake.wait()
        except TimeoutError:
            self._counters.cut_off()
            self._gone = True
            wire.abort()
            return EndReason.MEDIA_TIMEOUT
        except OSError:
            self._gone = True
        return EndReason.REMOTE_HANGUP

    def _send_queued(self) -> bool:
        """Send what is queued, as far as the connection takes it at once; return whether that is all."""
        while (wire := self._open) is not None and wire.has_room:
            if (message := self._outbound.next()) is None:
                return not self._outbound.waiting
            self._send(wire, message)
        return False

    def _send(self, wire: SocketTransport, message: bytes | str) -> None:
        """Send a message, if the connection is not gone."""
        try:
            wire.send(message)
            if isinstance(message, bytes):
                self._sent_messages += 1
                self._sent_bytes += len(message)
                if (payload := self._outbound.ping()) is not None:
                    wire.ping(payload)
        except OSError:
            self.disconnected()
