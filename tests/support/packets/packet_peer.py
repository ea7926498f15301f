"""A peer whose packets a test sends as they are and as they should not be."""

from bridge.audio.codec.codec import OPUS
from bridge.errors import RemoteProtocolError
from tests.support.packets.odd_packets import VOICES_OF
from tests.support.packets.rtp_party import OPUS_TYPE


class Peer:
    """A peer's stream: what its next packet is, and its last ones."""

    def __init__(self, number, sequence, timestamp):
        self.number = number
        self.ssrc = 0x22222222 + 0x1000 * number
        self.sequence, self.timestamp = sequence, timestamp
        self.codec, self.payload_type = OPUS, OPUS_TYPE
        self.said = 0
        self.last: list[bytes] = []

    def packet(self, payload, *, extension=b"", flags=0, kind=None, sequence=None, timestamp=None):
        flags |= 0x90 if extension else 0x80
        return (
            bytes([flags, self.payload_type if kind is None else kind])
            + ((self.sequence if sequence is None else sequence) & 0xFFFF).to_bytes(2, "big")
            + ((self.timestamp if timestamp is None else timestamp) & 0xFFFFFFFF).to_bytes(4, "big")
            + self.ssrc.to_bytes(4, "big")
            + extension
            + payload
        )

    def next_payload(self, voice):
        self.said += 1
        payloads = VOICES_OF[self.codec][voice]
        return payloads[self.said % len(payloads)]

    def advance(self, payload):
        try:
            samples = self.codec.duration(payload)
        except RemoteProtocolError:
            samples = 960
        self.timestamp += samples // self.codec.positions_per_tick
        self.sequence += 1

    def speak(self, audio):
        """Speak the codec of a description from now on."""
        self.codec, self.payload_type = audio.codec, audio.payload_type
