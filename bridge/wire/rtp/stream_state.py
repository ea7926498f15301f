"""The numbers of a stream while it is offloaded (`rtp.offload`)."""

from typing import Protocol


class StreamState(Protocol):
    """Numbers of a stream that is offloaded; as the attributes of `OutgoingStream`."""

    used: int
    """Address of the noted numbers; 0 for none."""

    ssrc: int
    payload_type: int
    sequence: int
    timestamp: int
    end: int
    offset: int
    forwarded: int
    sent: int
    packets: int
    octets: int
    dropped: int
    last_time: float
