"""What the numbers of a load run are, computed from the packets that went and came."""

import math
import os
import statistics
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tests.bench.reports.reading import Reading
from tests.support.packets.opus_packets import PacketDecoder
from tests.support.peers.light_peer import Arrival, Departure

QUIET_SECONDS = 0.1
THRESHOLD_DB = -35.0
MAX_DELAY = 0.9
_BLOCK_SECONDS = 0.0025
LATE_SECONDS = 0.020
"""A packet that is longer under way than a frame is what a jitter buffer must allow for."""
_GONE = (FileNotFoundError, ProcessLookupError)
"""What reading about a process raises that has just ended."""

Sound: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class HeardOnset:
    """A packet in which sound begins after quiet."""

    time: float
    """When the packet came."""
    offset: float
    """Seconds of the packet before the sound: the look-ahead of both encoders together."""


class Packet(NamedTuple):
    """One packet that was sent, or came."""

    time: float
    """Seconds."""
    timestamp: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PacketDelays:
    """How long packets were in the server: from the socket that sent to the one that received."""

    packets: int
    """All that were sent; one that never came counts as `MAX_DELAY`."""
    lost: int = 0
    late: int = 0
    """Came later than `LATE_SECONDS`."""
    p50: float = math.nan
    """Seconds, as all delays."""
    p95: float = math.nan
    p99: float = math.nan
    longest: float = math.nan


@dataclass(slots=True, kw_only=True)
class Window:
    """One stretch of measured time."""

    legs: int
    what: str = ""
    """What was done to the network; empty when nothing was."""
    seconds: float = 0.0
    cpu_per_leg: float = 0.0
    """Share of one core, in percent."""
    delays: list[float] = field(default_factory=list)
    """Delay of every onset at who hears it, seconds."""
    growth: float = 0.0
    """Median delay of the last third less that of the first third, seconds."""
    rates: list[float] = field(default_factory=list)
    """Packets a second that came, one for each leg."""
    onsets_sent: int = 0
    offsets: list[float] = field(default_factory=list)
    resident: int = 0
    """Bytes that the server holds at the end."""
    generator_cpu: float = 0.0
    """Percent of a core that the generator itself used."""
    lateness: float = 0.0
    """99th percentile of how late the generator sent its packets, seconds."""
    lag: list[tuple[float, float]] = field(default_factory=list)
    """Event-loop lag of the server: cumulative counts by upper bound; empty when it tells none."""
    encoder_levels: list[float] = field(default_factory=list)
    """Encoder levels that the server named, each once."""
    passthrough: float = math.nan
    """Share of the packets it sent that it passed on undecoded; NaN when it does not tell."""
    concealed: float = math.nan
    """Share of the frames that it made up for clocked listeners; NaN when it does not tell."""
    packet_path: str = ""
    """`compiled` or `python`; empty when the server does not tell."""
    scrapes: list[float] = field(default_factory=list)
    """Seconds that each scrape within the window took."""
    transit: PacketDelays | None = None
    """Of every packet; None where only onsets are looked for."""
    at_scrapes: PacketDelays | None = None
    """Of the packets sent while a scrape was under way; None without scrapes."""
    reading: Reading | None = None
    """Of the machine, before and after; None where nobody looked."""


@dataclass(slots=True)
class Run:
    """One server under a load that may grow."""

    target: str
    answers: list[float] = field(default_factory=list)
    """Seconds from posting an offer to having its answer."""
    setups: list[float] = field(default_factory=list)
    """Seconds from posting an offer to having keys for media."""
    windows: list[Window] = field(default_factory=list)
    broke_off: str = ""
    """Why the load grew no more, when the server took no more calls."""


def to_json(run: Run) -> dict[str, Any]:
    """Make a JSON object of a run."""
    return asdict(run)


def from_json(tree: dict[str, Any]) -> Run:
    """Read what `to_json` made."""
    windows = [Window(**window) for window in tree.pop("windows")]
    for window in windows:
        window.lag = [(bound, count) for bound, count in window.lag]
        window.transit = _delays_from(window.transit)
        window.at_scrapes = _delays_from(window.at_scrapes)
        tree_of: Any = window.reading
        window.reading = None if tree_of is None else Reading(**tree_of)
    return Run(**tree, windows=windows)


def _delays_from(tree: Any) -> PacketDelays | None:
    return None if tree is None else PacketDelays(**tree)


def heard_onsets(arrivals: Sequence[Arrival]) -> list[HeardOnset]:
    """Decode one leg's packets and find those in which sound begins after 0.1 s of quiet."""
    return onsets(sounds(arrivals), PacketDecoder.RATE)


def sounds(arrivals: Sequence[Arrival]) -> Iterator[tuple[float, Sound]]:
    """Decode one leg's packets: when each came, and its sound (-1 to 1, 48 kHz)."""
    decoder = PacketDecoder()
    for arrival in sorted(arrivals, key=lambda each: _unwrapped(each, arrivals[0])):
        yield arrival.time, decoder.decode(arrival.payload)


def onsets(pieces: Iterable[tuple[float, Sound]], sample_rate: int) -> list[HeardOnset]:
    """Find the pieces of sound (-1 to 1) in which it begins after 0.1 s of quiet."""
    size = round(_BLOCK_SECONDS * sample_rate)
    needed = round(QUIET_SECONDS / _BLOCK_SECONDS)
    found, quiet = [], 0
    for time, sound in pieces:
        for index, loud in enumerate(_loud(sound, size)):
            if loud and quiet >= needed:
                found.append(HeardOnset(time, index * _BLOCK_SECONDS))
            quiet = 0 if loud else quiet + 1
    return found


def loud_times(arrivals: Sequence[Arrival]) -> list[float]:
    """Say when the packets came that hold sound."""
    size = round(_BLOCK_SECONDS * PacketDecoder.RATE)
    return [time for time, sound in sounds(arrivals) if _loud(sound, size).any()]


def _loud(sound: Sound, size: int) -> NDArray[np.bool_]:
    blocks = sound[: len(sound) // size * size].reshape(-1, size)
    loud: NDArray[np.bool_] = np.mean(np.square(blocks), axis=1) > 10 ** (THRESHOLD_DB / 10)
    return loud


def match(sent: Sequence[Departure], heard: Sequence[HeardOnset]) -> list[tuple[float, float]]:
    """Pair every onset sent with the first one heard after it, within 0.9 s.

    Returns:
        (time sent, delay) of those that were heard.
    """
    pairs = []
    for departure in sent:
        later = [one.time for one in heard if 0 <= one.time - departure.time < MAX_DELAY]
        if later:
            pairs.append((departure.time, min(later) - departure.time))
    return pairs


def rate(arrivals: Sequence[Arrival | Packet], begin: float, end: float) -> float:
    """Count packets a second between two moments.

    Counted from the first to the last packet, so that the edges cost nothing; when one of these is
    more than 0.1 s from its edge, over the whole time, so that a pause at an edge is not lost.
    """
    times = sorted(one.time for one in arrivals if begin <= one.time < end)
    if len(times) < 2:
        return len(times) / (end - begin)
    if times[0] - begin > 0.1 or end - times[-1] > 0.1:
        return len(times) / (end - begin)
    return (len(times) - 1) / (times[-1] - times[0])


def timestamp_offset(sent: Sequence[Packet], came: Sequence[Packet]) -> int | None:
    """Find what a server adds to the timestamps of one stream; None when too little came.

    Most packets come before the next one of their stream is sent; so it is the commonest
    difference between one that came and the last one sent before.
    """
    times = [one.time for one in sent]
    found = [
        (one.timestamp - sent[index - 1].timestamp) % (1 << 32)
        for one in came
        if (index := bisect_right(times, one.time))
    ]
    return statistics.mode(found) if len(found) >= 10 else None


def packet_delays(
    sent: Sequence[Packet], came: Sequence[Packet], offset: int
) -> list[tuple[float, float]]:
    """Pair the packets of one stream by their timestamps: (time sent, delay); infinite when lost."""
    arrived = {(one.timestamp - offset) % (1 << 32): one.time for one in came}
    return [(one.time, arrived.get(one.timestamp, math.inf) - one.time) for one in sent]


def summed(delays: Sequence[float]) -> PacketDelays:
    """Sum up the delays of many packets."""
    found = [min(MAX_DELAY, delay) for delay in delays]
    return PacketDelays(
        packets=len(found),
        lost=sum(math.isinf(delay) for delay in delays),
        late=sum(LATE_SECONDS < delay < math.inf for delay in delays),
        p50=percentile(found, 50),
        p95=percentile(found, 95),
        p99=percentile(found, 99),
        longest=max(found, default=math.nan),
    )


def growth(pairs: Sequence[tuple[float, float]], begin: float, end: float) -> float:
    """Tell by how much the median delay of the last third exceeds that of the first third."""
    third = (end - begin) / 3
    first = [delay for time, delay in pairs if begin <= time < begin + third]
    last = [delay for time, delay in pairs if end - third <= time < end]
    if not first or not last:
        return float("nan")
    return float(np.median(last) - np.median(first))


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` percent lie; NaN of nothing."""
    return float(np.percentile(values, share)) if values else float("nan")


def family(pid: int) -> list[int]:
    """List a process and all that it has started, directly or not."""
    found = [pid]
    for one in found:
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            with suppress(*_GONE):
                found += [int(child) for child in task.read_text().split()]
    return found


def cpu_seconds(pids: Sequence[int]) -> float:
    """Read the processor time that the living threads of processes have used, user and system."""
    nanoseconds = 0
    for pid in pids:
        with suppress(*_GONE):
            for task in Path(f"/proc/{pid}/task").iterdir():
                nanoseconds += int((task / "schedstat").read_text().split()[0])
    return nanoseconds / 1e9


def resident_bytes(pids: Sequence[int]) -> int:
    """Read the memory that processes hold."""
    pages = 0
    for pid in pids:
        with suppress(*_GONE):
            pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _unwrapped(arrival: Arrival, first: Arrival) -> int:
    return (arrival.sequence - first.sequence + 0x8000) % 0x10000 - 0x8000
