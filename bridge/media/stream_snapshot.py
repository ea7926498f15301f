"""Media sockets and streams as data, for another process of this machine that goes on with them.

Their connections do not pass: clients of sockets connect again, and the servers of streams are connected anew.
"""

import msgspec

from bridge.audio.buffer.paced import QueuedAudio
from bridge.media.stream_tracks import StreamFigures
from bridge.wire.stream.media_format import MediaFormat
from bridge.wire.stream.media_stream import Channel, StreamFacts


class InboundSnapshot(msgspec.Struct, frozen=True):
    """What a party has said (`legs.receive_buffer.InboundAudio`)."""

    queue: QueuedAudio
    frames: int
    messages: int
    bytes: int


class SocketSnapshot(msgspec.Struct, frozen=True):
    """A media socket (`legs.socket.SocketLeg`)."""

    name: str
    media: MediaFormat
    limit_seconds: float
    inbound: InboundSnapshot
    sent_messages: int
    sent_bytes: int
    unread_seconds: float


class StreamSnapshot(msgspec.Struct, frozen=True):
    """A stream (`legs.stream.StreamLeg`)."""

    facts: StreamFacts
    url: str
    began_at: float | None
    figures: StreamFigures
    inbound: InboundSnapshot
    started: bool = True
    """Whether it was connected at all."""


class TrackSnapshot(msgspec.Struct, frozen=True):
    """A stream's second track (`legs.stream_track.TrackLeg`)."""

    stream_id: str
    track: Channel


class StreamState(msgspec.Struct, frozen=True):
    """A leg of a stream: one of the two."""

    stream: StreamSnapshot | None = None
    track: TrackSnapshot | None = None
