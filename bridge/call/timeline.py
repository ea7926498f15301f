"""A leg's quality over its call, second by second, in little memory.

The newest ten minutes are kept by the second, older ones as means of ten seconds. Figures are 16-bit
fixed point: a leg that lasts four hours takes 75 kB.
"""

from array import array
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

FINE_ROWS: Final = 600
"""Seconds kept one by one; merged once there are ten more."""
MERGED: Final = 10
COARSE_ROWS: Final = 2_000
"""Means of ten seconds kept: five and a half hours; then the oldest are dropped."""

_MISSING: Final = -0x8000
_MAX: Final = 0x7FFF


class Sample(NamedTuple):
    """One leg's quality in about one second; None where nothing was measured.

    Quota and scores are of that second alone, not since the leg began.
    """

    loss: float | None = None
    """Share of the packets it sent us that were lost, 0 to 1."""
    jitter: float | None = None
    """Seconds (RFC 3550 §6.4.1), as all times here."""
    round_trip: float | None = None
    playout_delay: float | None = None
    """Of the buffer through which the leg is heard; None without one."""
    concealed: float | None = None
    """Share of its frames that were concealed."""
    recovered: float | None = None
    """Share of its frames that came from in-band FEC."""
    level: float | None = None
    """dBov."""
    clipped: float | None = None
    """Share of the measured frames that reach full scale."""
    silent: float | None = None
    """Share of the levels below -60 dBov."""
    mos: float | None = None
    """Mean opinion score of what we hear of it, 1 to 4.41 (the E-model's maximum)."""
    sent_loss: float | None = None
    """Share of our packets that it reports lost; from here on, what the leg hears."""
    sent_jitter: float | None = None
    sent_fec: float | None = None
    """1 while we send it in-band FEC, else 0."""
    sent_level: float | None = None
    sent_clipped: float | None = None
    sent_silent: float | None = None
    sent_mos: float | None = None


_WIDTH: Final = len(Sample._fields)

# Steps to one unit: quota to 0.01 %, times to 0.1 ms (3.2 s at most), levels to 0.1 dB.
_STEPS: Final = Sample(
    *(
        10.0 if name.endswith("level") else 1_000.0 if name.endswith("mos") else 10_000.0
        for name in Sample._fields
    )
)


class Timeline:
    """The samples of one leg."""

    __slots__ = ("_coarse", "_coarse_at", "_fine", "_fine_at")

    def __init__(self) -> None:
        self._fine = array("h")
        self._fine_at = array("f")
        self._coarse = array("h")
        self._coarse_at = array("f")

    def __len__(self) -> int:
        return len(self._fine_at) + len(self._coarse_at)

    @property
    def octets(self) -> int:
        """Memory of the samples, in bytes."""
        return sum(
            len(part) * part.itemsize
            for part in (self._fine, self._fine_at, self._coarse, self._coarse_at)
        )

    def add(self, sample: Sample, at: float) -> None:
        """Add the newest sample.

        Args:
            sample: Its figures; clamped to the range of the fixed point.
            at: Seconds since the call began; never before the last one.
        """
        self._fine.extend(map(_fix, sample, _STEPS))
        self._fine_at.append(at)
        if len(self._fine_at) >= FINE_ROWS + MERGED:
            self._merge()

    def rows(self, since: float = 0.0) -> list[tuple[float, int, Sample]]:
        """Return what is kept, oldest first: second of the call, seconds merged, figures.

        Args:
            since: Omit what lies before this second of the call.
        """
        return [
            *_rows(self._coarse, self._coarse_at, MERGED, since),
            *_rows(self._fine, self._fine_at, 1, since),
        ]

    def _merge(self) -> None:
        """Merge the oldest ten seconds into one row."""
        end = MERGED * _WIDTH
        self._coarse.extend(_mean(self._fine[column:end:_WIDTH]) for column in range(_WIDTH))
        self._coarse_at.append(self._fine_at[0])
        del self._fine[:end]
        del self._fine_at[:MERGED]
        if len(self._coarse_at) > COARSE_ROWS:
            del self._coarse[:_WIDTH]
            del self._coarse_at[:1]


def _fix(value: float | None, steps: float | None) -> int:
    if value is None or steps is None:
        return _MISSING
    return max(1 - _MAX, min(round(value * steps), _MAX))


def _mean(values: Iterable[int]) -> int:
    known = [value for value in values if value != _MISSING]
    return round(sum(known) / len(known)) if known else _MISSING


def _rows(
    values: Sequence[int], moments: Sequence[float], merged: int, since: float
) -> Iterable[tuple[float, int, Sample]]:
    for number, at in enumerate(moments):
        if at >= since:
            row = values[number * _WIDTH : (number + 1) * _WIDTH]
            yield at, merged, Sample(*map(_unfix, row, _STEPS))


def _unfix(value: int, steps: float | None) -> float | None:
    return None if value == _MISSING or steps is None else value / steps
