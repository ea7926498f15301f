"""What numbers of outgoing streams may have been used, in memory that outlives the process that uses them; pure.

One slot a stream: its SSRC and its complement, then twice a pair of a ceiling and its complement for packets, and
the same for reports. All numbers below a ceiling may have been used: it is raised before the first that was not. Of the
two pairs the lower is written, so that a process that dies meanwhile leaves the higher one whole. The compiled packet
path raises the ceiling of packets itself (packet_stream.c).
"""

from collections.abc import Iterator
from typing import Final, NamedTuple, TypeAlias

from bridge.wire.crash_marks import WORDS as MARKS
from bridge.wire.crash_marks import CrashMarks, Marks

VERSION: Final = 1
SLOTS: Final = 2048
"""More streams than a node has; those beyond have none, and their calls end with the process."""
PACKETS_AHEAD: Final = 64
"""PACKET_RESERVED in packet_path.h."""
REPORTS_AHEAD: Final = 16

_MAGIC: Final = 0x6272_6964_6765_0000 | VERSION
_WORD_BYTES: Final = 8
_WORDS: Final = 16
"""Of a slot; the first slot is the head: a magic number, and the marks of `crash_marks`."""
_PACKETS, _REPORTS = 2, 6
BYTES: Final = (SLOTS + 1) * _WORDS * _WORD_BYTES
HEAD_BYTES: Final = (1 + MARKS) * _WORD_BYTES
"""Of the head, as far as it is used."""

Words: TypeAlias = "memoryview[int]"
"""The memory, as signed words of eight bytes."""


class Ceilings(NamedTuple):
    """Up to where numbers may have been used."""

    packet: int
    """The first that was not, with its roll-overs."""
    report: int
    """The last report that may have been sent."""


class UsedNumbers:
    """The slot of one stream."""

    __slots__ = ("_at", "_words", "address")

    def __init__(self, words: Words, at: int, address: int) -> None:
        self._words, self._at = words, at
        self.address = address
        """Where the pairs for packets are; 0 once it is closed."""

    def reserve_packets(self, sequence: int) -> int:
        """Note that the packets from this one on may be used; return the first that may not, before this is called again."""
        return self._raise(_PACKETS, sequence + PACKETS_AHEAD)

    def reserve_reports(self, index: int) -> int:
        """Note that reports after this one may be used; return the last that may."""
        return self._raise(_REPORTS, index + REPORTS_AHEAD)

    def close(self) -> None:
        """Free the slot: the stream has ended. Safe to repeat."""
        if self.address:
            self.address = 0
            _clear(self._words, self._at)

    def _raise(self, first: int, ceiling: int) -> int:
        if self.address:
            words, at = self._words, self._at + first
            at += 2 if words[at] > words[at + 2] else 0
            words[at] = ceiling
            words[at + 1] = ~ceiling
        return ceiling


class Ledger:
    """The slots of one node; the memory is to be zero at first."""

    def __init__(self, memory: memoryview, address: int) -> None:
        """Own writable memory of `BYTES`, at an address."""
        self._words = memory.cast("q")
        self._address = address
        self._next = 0
        self._words[0] = _MAGIC
        self.marks = CrashMarks(self._words[1 : 1 + MARKS], address + _WORD_BYTES)
        """What this node is working on."""

    def open(self, ssrc: int) -> UsedNumbers | None:
        """Return a slot for a stream that begins; None if all are taken."""
        words = self._words
        for _ in range(SLOTS):
            self._next = self._next % SLOTS + 1
            at = self._next * _WORDS
            if not words[at + 1]:
                for pair in (_PACKETS, _PACKETS + 2, _REPORTS, _REPORTS + 2):
                    words[at + pair + 1] = ~0
                words[at], words[at + 1] = ssrc, ~ssrc
                return UsedNumbers(words, at, self._address + (at + _PACKETS) * _WORD_BYTES)
        return None


def read(memory: bytes) -> dict[int, Ceilings]:
    """Return what a process that has died may have used, by SSRC; what is doubtful is not among it."""
    if len(memory) != BYTES:
        return {}
    words = memoryview(memory).cast("q")
    if words[0] != _MAGIC:
        return {}
    found: dict[int, Ceilings] = {}
    twice = set()
    for ssrc, ceilings in _slots(words):
        if ssrc in found:
            twice.add(ssrc)
        found[ssrc] = ceilings
    return {ssrc: ceilings for ssrc, ceilings in found.items() if ssrc not in twice}


def read_marks(head: bytes) -> Marks:
    """Return what a process that has ended was working on, by the `HEAD_BYTES` of its memory; nothing if that is doubtful."""
    if len(head) != HEAD_BYTES:
        return Marks()
    magic, *marks = memoryview(head).cast("q")
    return Marks(*marks) if magic == _MAGIC else Marks()


def _slots(words: Words) -> Iterator[tuple[int, Ceilings]]:
    for at in range(_WORDS, len(words), _WORDS):
        ssrc = words[at]
        if words[at + 1] != ~ssrc or not 0 <= ssrc <= 0xFFFF_FFFF:
            continue
        packet = _ceiling(words, at + _PACKETS, PACKETS_AHEAD)
        report = _ceiling(words, at + _REPORTS, REPORTS_AHEAD)
        if packet is not None and report is not None:
            yield ssrc, Ceilings(packet, report)


def _ceiling(words: Words, at: int, ahead: int) -> int | None:
    """Return the ceiling that two pairs tell; None if it is doubtful.

    A death while the lower pair was written leaves it with the new ceiling and the complement of the one before. Of any other
    pair that is not whole nobody can say whether it was the higher one.
    """
    pairs = [(words[one], ~words[one + 1]) for one in (at, at + 2)]
    whole = [first for first, second in pairs if first == second and first >= 0]
    if len(whole) != 1:
        return max(whole, default=None)
    [known], [(new, old)] = whole, [one for one in pairs if one != (whole[0], whole[0])]
    return new if 0 <= old <= known <= new - ahead else None


def _clear(words: Words, at: int) -> None:
    words[at + 1] = 0  # nobody's, before anything else
    for word in range(at, at + _WORDS):
        words[word] = 0
