"""What variants of the bridge did that took turns (`tests.bench.variants`)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.bench.measure import PacketDelays, percentile, summed
from tests.bench.reports.verdict import Verdict, at_most
from tests.bench.slices import Slice

P99, LONGEST = 0.005, 0.012
"""Seconds that a packet may be in the server while the event loop is stopped again and again."""
PUNCTUAL = 0.010
"""Seconds that the generator may be late (99th percentile): in a slice in which it is later something stopped both cores."""
LATE = 0.001
"""Share of the packets that may be later than a frame, where others are lost meanwhile."""

HEADS = (
    "load", "legs", "variant", "condition", "CPU/leg %", "/ first variant", "/ own first condition",
    "/ first of all", "calm rounds", "p50 ms", "p95", "p99", "max", "p99 / max of a round, median", "packets", "> 20 ms", "lost", "onsets p95 ms",
    "packets/s worst", "late ms",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a variant did under a condition, over all rounds."""

    load: str
    legs: int
    variant: str
    what: str
    cost: float
    """Median CPU per leg, percent of a core."""
    ratios: list[float]
    """To the first variant under the same condition, one each round."""
    to_own: float
    """Median ratio to the variant's own first condition."""
    to_first: float
    """Median ratio to the first variant's first condition."""
    rounds: int
    calm: int
    """Rounds in which the generator was punctual; delays are those of these, or of all where there is none."""
    transit: PacketDelays
    p99: float
    """Median of the rounds' 99th percentiles, seconds."""
    longest: float
    """Median of the rounds' longest delays."""
    onsets_p95: float
    worst_rate: float
    """Packets a second on its worst leg, median of the rounds."""
    lateness: float
    """Of the generator, seconds, worst round."""


def measured(
    load: str,
    legs: int,
    variants: Sequence[str],
    conditions: Sequence[str],
    rounds: Sequence[Sequence[Slice]],
) -> list[Measured]:
    """Sum up the rounds of one load."""

    def of(name: str, what: str) -> list[Slice]:
        return [
            next(one for one in each if (one.build, one.what) == (name, what)) for each in rounds
        ]

    def ratios(own: Sequence[Slice], other: Sequence[Slice]) -> list[float]:
        return [a.cpu_per_leg / b.cpu_per_leg for a, b in zip(own, other, strict=True)]

    first, begin = variants[0], conditions[0]
    found = []
    for name in variants:
        for what in conditions:
            own = of(name, what)
            punctual = [one for one in own if not one.lateness >= PUNCTUAL]
            calm = punctual or own
            each = [summed(one.transit) for one in calm]
            found.append(
                Measured(
                    load=load,
                    legs=legs,
                    variant=name,
                    what=what,
                    cost=percentile([one.cpu_per_leg for one in own], 50),
                    ratios=ratios(own, of(first, what)),
                    to_own=percentile(ratios(own, of(name, begin)), 50),
                    to_first=percentile(ratios(own, of(first, begin)), 50),
                    rounds=len(own),
                    calm=len(punctual),
                    transit=summed([delay for one in calm for delay in one.transit]),
                    p99=percentile([one.p99 for one in each], 50),
                    longest=percentile([one.longest for one in each], 50),
                    onsets_p95=percentile([delay for one in calm for delay in one.delays], 95),
                    worst_rate=percentile([one.worst_rate for one in own], 50),
                    lateness=max(one.lateness for one in own),
                )
            )
    return found


def verdicts(one: Measured) -> Iterator[Verdict]:
    """Check how late packets were while the event loop was stopped."""
    where, transit = f"{one.load}, {one.legs} legs, {one.what}: {one.variant}", one.transit
    if one.what == "stops":
        yield at_most(f"{where}, packets p99", P99, transit.p99)
        yield at_most(f"{where}, latest packet", LONGEST, transit.longest)
    elif transit.packets:
        late = transit.late / transit.packets
        yield Verdict(f"{where}, later than a frame", f"< {LATE:.1%}", f"{late:.2%}", late < LATE)


def cells(one: Measured) -> tuple[str, ...]:
    """Make a line of the table."""
    transit = one.transit
    late = (
        f"{transit.late}, {100 * transit.late / transit.packets:.2f} %" if transit.packets else ""
    )
    return (
        one.load, str(one.legs), one.variant, one.what, f"{one.cost:.3f}",
        "{:.2f} ({:.2f} to {:.2f})".format(*(percentile(one.ratios, share) for share in (50, 25, 75))),
        f"{one.to_own:.2f}", f"{one.to_first:.2f}", f"{one.calm} of {one.rounds}",
        *(_ms(each) for each in (transit.p50, transit.p95, transit.p99, transit.longest)),
        " / ".join(filter(None, [_ms(one.p99), _ms(one.longest)])), str(transit.packets), late, str(transit.lost), _ms(one.onsets_p95), f"{one.worst_rate:.1f}",
        _ms(one.lateness),
    )  # fmt: skip


def _ms(seconds: float) -> str:
    return "" if seconds != seconds else f"{1000 * seconds:.1f}"
