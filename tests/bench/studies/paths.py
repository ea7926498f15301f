"""What a leg costs over the compiled packet path, over Python's, and at Janus, stock aiortc and libwebrtc.

All servers of a load are alive at once and take turns of 2 s under the same packets, in random order,
as in `tests.bench.against`: separate runs on a shared machine differ by a third. Who has its turn has the
server's core; the others wait on the generator's core, behind everything else there, as a Janus mixes its
rooms in silence too. Each round gives one ratio for each pair of servers; one in which either fell behind,
or caught up on what it missed while it waited, is left out, and the report says how many are left.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from importlib.util import find_spec

from tests.bench import jobs, measure, servers
from tests.bench.reports import comparison
from tests.bench.reports.comparison import Comparison, compare
from tests.bench.reports.verdict import Verdict
from tests.bench.slices import Build, Plan, Slice

LEGS = (24, 48)
STOCK_LEGS = 24
"""With more the stock server uses its whole core, and its figures mean nothing."""
SECONDS = 2.0
"""Of a slice."""
SETTLE_SECONDS = 1.0
"""Before each slice, as a server that waited may have to catch up."""
STEADY = (49.0, 51.0)
"""Packets a second on its worst leg, between which a server neither falls behind nor catches up."""
ROUNDS = 10
OURS, PYTHON, JANUS, STOCK = "bridge", "bridge, Python path", "Janus", "stock aiortc"
TICK = "bridge, tick of 2 ms"
LIBWEBRTC = "libwebrtc"
"""With aiortc's interface (PyPI's `wrtc`), the same program as the stock one; it echoes, and is held against that."""
LOADS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "pcm": ("pair", {"BRIDGE_MEDIA__PASSTHROUGH": "false"}),
    "passthrough": ("pair", {}),
    "echo": ("echo", {}),
}
"""Kind of call and settings of the bridges, by the name of the load."""
TO_JANUS = {"pcm": 0.32, "passthrough": 0.15, "echo": 0.40}
TICK_TO_JANUS = {"pcm": 0.30, "passthrough": 0.12, "echo": 0.33}
TO_STOCK = 0.15
HEADS = (
    "CPU per leg", "rounds", "first %", "second %", "ratio", "lower quartile", "upper quartile",
    "delay p95 ms", "second's ", "packets/s worst", "packet path",
)  # fmt: skip
_ROADS = {OURS: "", PYTHON: " by Python's path", TICK: ", tick of 2 ms"}
_BRIDGES = {
    OURS: {"BRIDGE_RTC__PORTS": "20000-22999"},
    PYTHON: {"BRIDGE_RTC__PORTS": "23000-25999", **jobs.PYTHON_PATH},
    TICK: {"BRIDGE_RTC__PORTS": "26000-28999", "BRIDGE_RTC__TICK_MS": "2"},
}


def run(
    load: str, legs: int, *, rounds: int = ROUNDS, seconds: float = SECONDS, with_janus: bool
) -> list[Comparison]:
    """Measure one load.

    Raises:
        RuntimeError: a server or the generator failed.
    """
    found = _perform(load, legs, rounds=rounds, seconds=seconds, with_janus=with_janus)
    return list(compared(load, legs, found))


def compared(load: str, legs: int, rounds: Sequence[Sequence[Slice]]) -> Iterator[Comparison]:
    """Compare the servers of one load with one another."""
    names = {one.build for one in rounds[0]}
    for first, second in (
        (OURS, JANUS), (PYTHON, JANUS), (OURS, STOCK), (PYTHON, STOCK), (OURS, LIBWEBRTC),
        (PYTHON, LIBWEBRTC), (OURS, PYTHON), (TICK, JANUS), (TICK, OURS),
    ):  # fmt: skip
        if {first, second} <= names:
            name = what(load, legs, first, second)
            if counted := [each for each in rounds if _continuous(each, first, second)]:
                yield compare(name, counted, first=first, second=second)
            left_out = len(rounds) - len(counted)
            if left_out:
                print(f"  {name}: {left_out} rounds left out", file=sys.stderr, flush=True)


def _continuous(slices: Sequence[Slice], first: str, second: str) -> bool:
    """Tell whether two servers carried their load in a round; else their cost means nothing."""
    low, high = STEADY
    return all(low <= one.worst_rate <= high for one in slices if one.build in (first, second))


def what(load: str, legs: int, first: str, second: str) -> str:
    """Name a comparison."""
    return f"{legs} legs: CPU per leg, {load}{_ROADS[first]} / {second}"


def verdicts(found: Sequence[Comparison]) -> Iterator[Verdict]:
    """Hold the ratios to the other servers against the targets."""
    by_name = {one.load: one for one in found}
    for load, to_janus in TO_JANUS.items():
        to_stock = [] if load == "passthrough" else [(OURS, STOCK, TO_STOCK)]
        for first, other, limit in (
            (OURS, JANUS, to_janus),
            *to_stock,
            (TICK, JANUS, TICK_TO_JANUS[load]),
        ):
            for legs in LEGS:
                one = by_name.get(what(load, legs, first, other))
                if one is not None:
                    told = f"{one.ratio:.2f} ({one.lower:.2f} to {one.upper:.2f})"
                    yield Verdict(one.load, f"<= {limit:.2f}", told, one.ratio <= limit)


def cells(one: Comparison) -> tuple[str, ...]:
    """Make a line of the table."""
    load, *others = comparison.cells(one)
    return (load.replace(": CPU per leg,", ":"), *others, one.packet_path)


def _perform(
    load: str, legs: int, *, rounds: int, seconds: float, with_janus: bool
) -> list[list[Slice]]:
    kind, environment = LOADS[load]
    core, generator_core = servers.cores()
    with ExitStack() as stack:

        def start(target: str, name: str, kind: str, **more: str) -> Build:
            server = stack.enter_context(servers.start(target, core=core, **more))
            return Build(name=name, url=server.url, pid=server.pid, kind=kind)

        builds = [
            start("bridge", name, kind, **environment, **more) for name, more in _BRIDGES.items()
        ]
        if with_janus:
            builds.append(start("janus", JANUS, "janus"))
        if legs == STOCK_LEGS:
            builds.append(start("stock", STOCK, "stock"))
        if load == "echo" and find_spec("webrtc"):
            builds.append(start("wrtc", LIBWEBRTC, "stock"))
        plan = Plan(
            builds=builds,
            legs=legs,
            rounds=rounds,
            seconds=seconds,
            seed=legs,
            settle=SETTLE_SECONDS,
            core=core,
            waiting_core=generator_core,
        )
        limit = 60 + len(builds) * (legs + rounds * (seconds + 4))
        tree = jobs.child("tests.bench.slices", asdict(plan), core=generator_core, seconds=limit)
    found = [[Slice(**one) for one in each] for each in tree]
    _warn(found)
    return found


def _warn(rounds: Sequence[Sequence[Slice]]) -> None:
    late = measure.percentile([one.lateness for each in rounds for one in each], 95)
    if late > 0.01:
        print(f"  the generator sent {1000 * late:.0f} ms late", file=sys.stderr, flush=True)
