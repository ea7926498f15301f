"""Audio that is forwarded from one RTP stream to another, undecoded."""

from collections.abc import Hashable
from typing import NamedTuple

from bridge.audio.codec.codec import Codec


class EncodedPacket(NamedTuple):
    """One packet on a source's timeline."""

    payload: bytes
    samples: int
    """Its duration at 48 kHz."""
    sequence: int
    """16 bits; gaps mean lost packets. Packets without audio are not counted."""
    position: int
    """Of its first sample at 48 kHz: three times the `pts` of the decoded frame."""
    epoch: Hashable
    """As `Frame.epoch`."""
    level_dbov: float
    """Recent level of its source."""
    codec: Codec
