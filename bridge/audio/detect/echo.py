"""Echo: whether what a party is sent comes back in what it sends, from the sizes of packets alone.

An encoder with a variable bit rate spends more bytes on loud frames than on quiet ones, so that the
sizes of packets follow the syllables of speech, and nothing needs to be decoded. Two people who talk,
even over each other, have different syllables; an echo has those of the other direction.
"""

from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

STEP_SECONDS: Final = 0.04
WINDOW_SECONDS: Final = 8.0
CHECK_SECONDS: Final = 8.0
AGAIN_SECONDS: Final = 4.0
"""After a check that found an echo, which may be chance."""
MAX_DELAY: Final = 0.8

_WINDOW: Final = round(WINDOW_SECONDS / STEP_SECONDS)
_LAGS: Final = round(MAX_DELAY / STEP_SECONDS)
_MEAN: Final = np.full(15, 1 / 15, np.float32)
"""Removes what is slower than a syllable: people who take turns are no echo of each other."""
_MIN_ACTIVE: Final = round(2.0 / STEP_SECONDS)
_LIKE: Final = 0.4
"""Correlation from which on both are the same speech."""
_CLEARLY: Final = 0.15
"""By so much it must exceed that at any delay that is no echo's."""
_NO_POWER: Final = 1e-3
"""Sizes that hardly change, as at a constant bit rate, are like nothing."""
MAX_PACKETS: Final = round((WINDOW_SECONDS + MAX_DELAY) * 50)
"""Of each direction that are compared."""

Sizes: TypeAlias = NDArray[np.float32]


class Run(NamedTuple):
    """Consecutive packets of one direction."""

    times: Sequence[float]
    """When they passed, monotonic seconds."""
    sizes: Sequence[int]
    """The bytes of their payloads."""


NO_PACKETS: Final = Run((), ())


class PacketSizes:
    """The newest packets of one direction; not one object each, which the garbage collector would walk through."""

    __slots__ = ("sizes", "times")

    def __init__(self) -> None:
        self.times: deque[float] = deque(maxlen=MAX_PACKETS)
        self.sizes: deque[int] = deque(maxlen=MAX_PACKETS)

    def since(self, begin: float) -> bool:
        """Whether any packet has passed since then."""
        return bool(self.times) and self.times[-1] >= begin

    def append(self, time: float, size: int) -> None:
        """Append a packet."""
        self.times.append(time)
        self.sizes.append(size)

    def extend(self, run: Run) -> None:
        """Append packets."""
        self.times.extend(run.times)
        self.sizes.extend(run.sizes)


class EchoDetector:
    """Compares the two directions of one party; `now` is in monotonic seconds."""

    __slots__ = ("_delay", "_due", "_phase", "delay_seconds")

    def __init__(self, phase: float = 0.0) -> None:
        """Begin; `phase` (0 to 1) spreads the checks of many parties over `CHECK_SECONDS`."""
        self.delay_seconds: float | None = None
        """After which the party sends back what it is sent; None if it does not."""
        self._delay: int | None = None
        """In steps, found by the last check: one finding may be chance."""
        self._phase = phase
        self._due: float | None = None

    def check(self, sent: PacketSizes, received: PacketSizes, now: float) -> None:
        """Compare the latest packets; does nothing soon after the last check."""
        if self._due is None:
            self._due = now + self._phase * CHECK_SECONDS
        if now < self._due:
            return
        begin = now - WINDOW_SECONDS - MAX_DELAY
        found = None
        if sent.since(begin) and received.since(begin):
            found = echo_steps(_loudness(sent, begin), _loudness(received, begin))
        self._due = now + (CHECK_SECONDS if found is None else AGAIN_SECONDS)
        before, self._delay = self._delay, found
        same = found is not None and before is not None and abs(found - before) <= 1
        self.delay_seconds = found * STEP_SECONDS if found is not None and same else None


def _loudness(packets: PacketSizes, begin: float) -> Sizes:
    """Return the logarithm of the sizes in each step from `begin` on; 0 where there was no packet."""
    times = np.fromiter(packets.times, np.float64, len(packets.times))
    sizes = np.fromiter(packets.sizes, np.float64, len(packets.sizes))
    steps = ((times - begin) / STEP_SECONDS).astype(np.int64)
    inside = (steps >= 0) & (steps < _WINDOW + _LAGS)
    steps = steps[inside]
    weights = np.log2(np.maximum(sizes[inside], 1.0))
    total = np.bincount(steps, weights, _WINDOW + _LAGS)
    count = np.bincount(steps, minlength=_WINDOW + _LAGS)
    return (total / np.maximum(count, 1)).astype(np.float32)


def echo_steps(
    sent: Sizes, received: Sizes, *, like: float = _LIKE, min_active: int = _MIN_ACTIVE
) -> int | None:
    """Return the delay in steps with which `sent` returns in `received`, both in logarithmic loudness; None if it does not.

    What comes back at once is no echo of a room and a network: the other party repeats this one. They are alike from
    the correlation `like` on, which fewer steps exceed by chance; `min_active` is how many of them must be loud.
    """
    active = sent > (sent.max() + sent.min()) / 2
    if np.count_nonzero(active) < min_active:
        return None
    sent, received = _syllables(sent), _syllables(received)
    likeness = _likeness(sent, received, active)
    echo = likeness[_LAGS + 1 :]
    best = int(np.argmax(echo))
    other = float(likeness[: _LAGS + 1].max())
    if echo[best] < like or echo[best] < other + _CLEARLY:
        return None
    return best + 1


def resemblance(sent: Sizes, received: Sizes) -> float:
    """Return the highest correlation of both at any delay, either way: near 1 if one party repeats the other at once."""
    active = sent > (sent.max() + sent.min()) / 2
    if not active.any():
        return 0.0
    return float(_likeness(_syllables(sent), _syllables(received), active).max())


def _syllables(sizes: Sizes) -> Sizes:
    """Remove what is slower than a syllable."""
    around = len(_MEAN) // 2
    padded = np.empty(len(sizes) + 2 * around, np.float32)  # `np.pad` takes ten times as long
    padded[:around], padded[around:-around], padded[-around:] = sizes[0], sizes, sizes[-1]
    mean = np.convolve(padded, _MEAN, "valid")
    return (sizes - mean).astype(np.float32)


def _likeness(sent: Sizes, received: Sizes, active: NDArray[np.bool_]) -> Sizes:
    """Return the correlation at each delay from `-_LAGS` to `_LAGS`, where `sent` is not silent."""
    sent, weight = sent[_LAGS:-_LAGS], active[_LAGS:-_LAGS].astype(np.float32)
    weighted = sent * weight
    powers = float(weighted.dot(sent)) * np.correlate(np.square(received), weight)
    return (np.correlate(received, weighted) / np.sqrt(powers + _NO_POWER)).astype(np.float32)
