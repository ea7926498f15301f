"""A peer whose packets a test sends as they are and as they should not be."""

from bridge.audio.codec import opus_packet
from bridge.errors import RemoteProtocolError
from tests.support.packets.odd_packets import VOICES
from tests.support.packets.rtp_party import OPUS_TYPE


class Peer:
    """A peer's stream: what its next packet is, and its last ones."""

    def __init__(self, number, sequence, timestamp):
        self.number = number
        self.ssrc = 0x22222222 + 0x1000 * number
        self.sequence, self.timestamp = sequence, timestamp
        self.payload_type = OPUS_TYPE
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
        return VOICES[voice][self.said % len(VOICES[voice])]

    def advance(self, payload):
        try:
            self.timestamp += opus_packet.duration(payload)
        except RemoteProtocolError:
            self.timestamp += 960
        self.sequence += 1
