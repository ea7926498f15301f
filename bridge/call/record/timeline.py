"""A leg's quality over its call, second by second, in little memory.

The newest ten minutes are kept by the second, older ones as means of ten seconds. Figures are 16-bit
fixed point: a leg that lasts four hours takes 75 kB.
"""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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
_STEPS: Final = tuple(
    10.0 if name.endswith("level") else 1_000.0 if name.endswith("mos") else 10_000.0
    for name in Sample._fields
)


@dataclass(frozen=True, slots=True)
class PackedTimeline:
    """A timeline as it is stored: fixed point, 16-bit little-endian; times are 32-bit floats."""

    columns: tuple[str, ...]
    """The fields of `Sample` when it was written."""
    coarse: bytes
    coarse_at: bytes
    fine: bytes
    fine_at: bytes


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
        """Add the newest sample, clamped to the fixed point; `at` is in seconds of the call."""
        try:
            self._fine.fromlist(_fixed(sample))
        except OverflowError:
            self._fine.fromlist([_clamped(value) for value in _fixed(sample)])
        self._fine_at.append(at)
        if len(self._fine_at) >= FINE_ROWS + MERGED:
            self._merge()

    def rows(self, since: float = 0.0) -> list[tuple[float, int, Sample]]:
        """Return what is kept, oldest first: second of the call, seconds merged, figures.

        What lies before `since`, in seconds of the call, is left out.
        """
        return [
            *_rows(self._coarse, self._coarse_at, MERGED, since),
            *_rows(self._fine, self._fine_at, 1, since),
        ]

    def mean(self, column: str) -> float | None:
        """Return the mean of a column over the leg's time; None where nothing was measured."""
        fine, coarse = self._known(column)
        weight = len(fine) + MERGED * len(coarse)
        if not weight:
            return None
        steps = _STEPS[Sample._fields.index(column)]
        return (sum(fine) + MERGED * sum(coarse)) / weight / steps

    def least(self, column: str) -> float | None:
        """Return the smallest value of a column; None where nothing was measured."""
        fine, coarse = self._known(column)
        known = [*fine, *coarse]
        return min(known) / _STEPS[Sample._fields.index(column)] if known else None

    def pack(self) -> PackedTimeline:
        """Return what is kept, to be stored."""
        parts = (self._coarse, self._coarse_at, self._fine, self._fine_at)
        return PackedTimeline(Sample._fields, *(part.tobytes() for part in parts))

    @classmethod
    def unpack(cls, packed: PackedTimeline) -> "Timeline":
        """Return a stored timeline; columns unknown here are dropped, and missing ones are empty."""
        timeline = cls()
        timeline._coarse = _columns(packed.coarse, packed.columns)
        timeline._fine = _columns(packed.fine, packed.columns)
        timeline._coarse_at.frombytes(packed.coarse_at)
        timeline._fine_at.frombytes(packed.fine_at)
        return timeline

    def _known(self, column: str) -> tuple[list[int], list[int]]:
        """Return the measured values of a column in fixed point: single seconds, and means of ten."""
        first = Sample._fields.index(column)
        return (
            [value for value in self._fine[first::_WIDTH] if value != _MISSING],
            [value for value in self._coarse[first::_WIDTH] if value != _MISSING],
        )

    def newest(self) -> Sample | None:
        """Return the last sample; None before the first."""
        return Sample(*map(_unfix, self._fine[-_WIDTH:], _STEPS)) if self._fine else None

    def recent(self, field: str, count: int) -> list[float | None]:
        """Return a field of the last samples kept by the second, oldest first; at most `count`."""
        column = Sample._fields.index(field)
        values = self._fine[column::_WIDTH][-count:]
        return [_unfix(value, _STEPS[column]) for value in values]

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


def _columns(stored: bytes, names: tuple[str, ...]) -> "array[int]":
    """Return stored rows with the columns of `Sample`."""
    values = array("h")
    values.frombytes(stored)
    if names == Sample._fields:
        return values
    width = len(names)
    rows = array("h", [_MISSING]) * (len(values) // width * _WIDTH)
    for column, name in enumerate(Sample._fields):
        if name in names:
            rows[column::_WIDTH] = values[names.index(name) :: width]
    return rows


def _fixed(sample: Sample) -> list[int]:
    return [
        _MISSING if value is None else round(value * steps)
        for value, steps in zip(sample, _STEPS, strict=True)
    ]


def _clamped(value: int) -> int:
    return value if value == _MISSING else max(-_MAX, min(value, _MAX))


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


def _unfix(value: int, steps: float) -> float | None:
    return None if value == _MISSING else value / steps
