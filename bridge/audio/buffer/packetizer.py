"""Encoded frames of 20 ms in packets of another length, for codecs of 8000 octets a second."""

from collections.abc import Hashable, Iterator
from typing import Final

DURATIONS: Final = (60, 40, 30, 20, 10)
"""Milliseconds of audio that a packet may carry."""
FRAME_MILLISECONDS: Final = 20

_OCTETS_PER_MILLISECOND: Final = 8
_SAMPLES_PER_OCTET: Final = 2  # of the bus


def packet_milliseconds(ptime: int | None, maxptime: int | None) -> int:
    """Return the length of packets to send to a peer that has named these; 20 if it has not."""
    limit = ptime or FRAME_MILLISECONDS
    if maxptime:
        limit = min(limit, maxptime)
    return next((length for length in DURATIONS if length <= limit), DURATIONS[-1])


class Packetizer:
    """Cuts and joins the payloads of consecutive frames."""

    __slots__ = ("_epoch", "_octets", "_pts", "_rest", "frames", "milliseconds")

    def __init__(self, milliseconds: int) -> None:
        self.milliseconds = milliseconds
        self.frames = 0
        """Frames added so far."""
        self._octets = milliseconds * _OCTETS_PER_MILLISECOND
        self._rest = b""
        self._pts = 0
        self._epoch: Hashable = None

    def add(self, payload: bytes, pts: int, epoch: Hashable) -> Iterator[tuple[bytes, int]]:
        """Add an encoded frame; yield the packets that are now complete, each with its position.

        A packet that the frame does not continue is dropped.
        """
        self.frames += 1
        continued = epoch == self._epoch and pts == self._end
        if not self._rest or not continued:
            self._rest, self._pts, self._epoch = b"", pts, epoch
        self._rest += payload
        while len(self._rest) >= self._octets:
            yield self._rest[: self._octets], self._pts
            self._rest = self._rest[self._octets :]
            self._pts += self._octets * _SAMPLES_PER_OCTET

    @property
    def _end(self) -> int:
        return self._pts + len(self._rest) * _SAMPLES_PER_OCTET
