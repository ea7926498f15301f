"""Numbered Opus packets for the receive logic, and what it plays of them."""

from typing import NamedTuple

from bridge.audio.buffer.reorder import Action, ReorderBuffer

# First bytes of Opus packets. CELT has no FEC; the second SILK packet has its LBRR bit set.
CELT_20 = bytes([23 << 3])
CELT_10 = bytes([22 << 3])
CELT_5 = bytes([21 << 3])
CELT_2_5 = bytes([20 << 3])
SILK_20 = bytes([9 << 3, 0x80])
SILK_20_FEC = bytes([9 << 3, 0xC0])
SILK_40 = bytes([10 << 3, 0x80])
SILK_60 = bytes([11 << 3, 0x80])

DECODE, CONCEAL, RECOVER = Action.DECODE, Action.CONCEAL, Action.RECOVER


class Played(NamedTuple):
    action: Action
    pts: int
    samples: int


class Source:
    """Feeds a receiver with numbered packets 20 ms apart, beginning anywhere."""

    def __init__(self, sequence: int = 1000, timestamp: int = 50_000, samples: int = 960) -> None:
        self.receiver = ReorderBuffer()
        self.sequence = sequence
        self.timestamp = timestamp
        self.samples = samples
        self.played: list[Played] = []
        self.epochs: list[object] = []

    def send(self, number, payload=CELT_20, *, now=None, ahead=0):
        """Deliver packet `number`, `ahead` samples (48 kHz) further on than its number says."""
        return self.take(
            self.receiver.receive(
                (self.sequence + number) & 0xFFFF,
                (self.timestamp + number * self.samples + ahead) & 0xFFFFFFFF,
                payload,
                number * self.samples / 48_000 if now is None else now,
            )
        )

    def take(self, steps):
        for step in steps:
            if not self.epochs or self.epochs[-1] is not step.epoch:
                self.epochs.append(step.epoch)
        played = [Played(step.action, step.pts, step.samples) for step in steps]
        self.played += played
        return played


def reordered(source):
    """Make the receiver see reordering once; packets 0 to 2 are played."""
    source.send(0)
    source.send(2)
    source.send(1)
    source.played.clear()
    return source
