"""What two descriptions of a session have agreed on for its audio, however they were exchanged."""

from dataclasses import dataclass, field

from bridge.audio.codec.codec import Codec


@dataclass(frozen=True, slots=True, kw_only=True)
class NegotiatedAudio:
    """All that an RTP session needs to know of its peer."""

    codec: Codec
    payload_type: int
    direction: str
    """sendrecv, sendonly, recvonly or inactive, from the peer's point of view."""
    parameters: dict[str, str] = field(default_factory=dict)
    """The codec's `a=fmtp`: names in lower case; "" is the value of a parameter without one."""
    telephone_events: dict[int, int] = field(default_factory=dict)
    """Payload type to clock rate, in the peer's order."""
    ptime: int | None = None
    """Milliseconds that the peer prefers in a packet."""
    maxptime: int | None = None
    """Milliseconds that it accepts in a packet at most."""
    red_payload_type: int | None = None
    """Of redundant audio (RFC 2198), if it may be received."""
    audio_level_id: int | None = None
    """Identifier of the audio-level header extension (RFC 6464), 1 to 14."""
    other_formats: dict[int, Codec] = field(default_factory=dict)
    """By payload type, without that of `codec`: what the peer may also send, at any time (RFC 3264 §5.1)."""
    refused_types: frozenset[int] = frozenset()
    """Payload types of the lines beside it, which were refused."""

    @property
    def codecs(self) -> dict[int, Codec]:
        """By payload type, all that the peer may send, `codec` first."""
        return {self.payload_type: self.codec, **self.other_formats}

    @property
    def payload_types(self) -> frozenset[int]:
        """Of all packets that belong to the audio."""
        codecs = self.codecs
        noise = {one.comfort_noise_type for one in codecs.values()} | {self.red_payload_type}
        return frozenset(
            {*codecs, *self.telephone_events, *(one for one in noise if one is not None)}
        )
