"""Messages of streams as the bridge sends them."""

from datetime import datetime

from bridge.wire.iso8601 import unix_milliseconds
from bridge.wire.stream.media_stream import Channel, StreamMessages


def audio_message(
    messages: StreamMessages, audio: bytes, at: datetime, *, track: Channel, timestamp: int
) -> bytes:
    """Write the next message of audio of a stream."""
    numbers = messages.count_media(track)
    return messages.media(track).fill(audio, unix_milliseconds(at), *numbers, timestamp)
