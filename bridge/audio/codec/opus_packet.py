"""Opus packet headers (RFC 6716 §3), read without decoding."""

from typing import Final

from bridge.errors import RemoteProtocolError

RTP_RATE: Final = 48_000
"""RTP clock rate of Opus (RFC 7587 §4.1)."""
BUS_RATIO: Final = 3
"""RTP clock ticks per sample on the bus."""

_MAX_SAMPLES: Final = 5760

_MAX_DTX: Final = 2
"""Bytes of the longest packet that an encoder produces for a DTX frame."""

# Frame sizes in samples at 48 kHz by configuration number: SILK 0-11, hybrid 12-15, CELT 16-31.
_FRAME_SAMPLES: Final = (480, 960, 1920, 2880) * 3 + (480, 960) * 2 + (120, 240, 480, 960) * 4
_FIRST_CELT: Final = 16

DURATIONS: Final = tuple((1, 2, 2, 0)[toc & 3] * _FRAME_SAMPLES[toc >> 3] for toc in range(256))
"""Duration of a packet at 48 kHz by its first byte; 0 where it depends on the second."""


def duration(payload: bytes) -> int:
    """Return a packet's duration in samples at 48 kHz, 120 to 5760.

    Raises:
        RemoteProtocolError: The packet is empty, or claims no frames or more than 120 ms.
    """
    if not payload:
        raise RemoteProtocolError("empty Opus packet")
    samples = DURATIONS[payload[0]]
    if samples:
        return samples
    if len(payload) < 2:
        raise RemoteProtocolError("Opus packet without a frame count")
    samples = (payload[1] & 0x3F) * frame_duration(payload)
    if not 0 < samples <= _MAX_SAMPLES:
        raise RemoteProtocolError("Opus packet with an invalid duration")
    return samples


def is_plain(payload: bytes) -> bool:
    """Return whether a packet holds exactly one mono frame of 20 ms that is not DTX."""
    return len(payload) > _MAX_DTX and payload[0] & 7 == 0 and DURATIONS[payload[0]] == 960


def frame_duration(payload: bytes) -> int:
    """Return the duration of each Opus frame of a non-empty packet, in samples at 48 kHz."""
    return _FRAME_SAMPLES[payload[0] >> 3]


def has_fec(payload: bytes) -> bool:
    """Return whether a packet carries in-band FEC (LBRR, RFC 6716 §4.2.4) for its predecessor."""
    if not payload or payload[0] >> 3 >= _FIRST_CELT:
        return False
    first = _first_frame(payload)
    if not 0 < first < len(payload):
        return False
    # The SILK header: for each channel one voice-activity bit per 20 ms, then the LBRR bit.
    header = payload[first]
    parts = max(1, frame_duration(payload) // 960)
    flags = header >> (7 - parts)
    if payload[0] & 4:
        flags |= header >> (6 - 2 * parts)
    return bool(flags & 1)


def _first_frame(payload: bytes) -> int:
    """Return the offset of the first frame's data; 0 if that frame is empty or truncated (RFC 6716 §3.2)."""
    code = payload[0] & 3
    if code < 2:
        return 1
    if code == 2:
        return 0 if payload[1:2] == b"\0" else _after_length(payload, 1)
    if len(payload) < 2:
        return 0
    frames, position, padding = payload[1] & 0x3F, 2, 0
    if payload[1] & 0x40:
        while position < len(payload) and payload[position] == 255:
            padding += 254
            position += 1
        padding += payload[position] if position < len(payload) else 0
        position += 1
    if payload[1] & 0x80 and frames > 1:
        empty = payload[position : position + 1] == b"\0"
        for _ in range(frames - 1):
            position = _after_length(payload, position)
    else:
        empty = len(payload) - position - padding < frames
    return 0 if empty else position


def _after_length(payload: bytes, position: int) -> int:
    """Skip one frame length (RFC 6716 §3.2.1)."""
    if position >= len(payload):
        return position
    return position + (1 if payload[position] < 252 else 2)
