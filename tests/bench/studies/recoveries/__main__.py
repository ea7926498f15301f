"""Replace, kill and stop the processes beneath live calls, and count what their parties notice; as root.

    python -m tests.bench.studies.recoveries [--parts upgrades,kill,row,twice,stop,take-overs,audit,corrupted,cost] [--busy]

Ends with 1 when a call was lost, an event is doubled or missing, a packet number came twice, a connection was made again, a key
was found or a descriptor is left; the times are printed beside their goals and decide nothing.
"""

import argparse
import asyncio
import gc
import math
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Final, TypeAlias

import uvloop

from tests.bench.studies.recoveries import audit, cost, kills, upgrades
from tests.bench.studies.recoveries.kills import Plan
from tests.bench.studies.recoveries.table import Goal, Row, rendered
from tests.support.peers.light_peer import patient_peers

Result: TypeAlias = tuple[list[Row], dict[str, Any]]
"""Lines of the table, and what there must be none of."""
Part: TypeAlias = Callable[[argparse.Namespace], Coroutine[Any, Any, Result]]

KILLED: Final = Goal(300, 1000)
WITHIN_SPARE: Final = Goal(5000, 5000)
STOPPED: Final = Goal(3500, 3500)
BUSY_FACTOR: Final = 2.0
"""By how much longer a machine may take that does something else too."""


async def _upgrades(options: argparse.Namespace) -> Result:
    found = await upgrades.study(
        upgrades=options.upgrades, calls=options.calls, pause=options.pause
    )
    return found.rows(_factor(options)), found.faults()


async def _audit(options: argparse.Namespace) -> Result:
    found = await audit.study(legs=options.row_legs, kills=2)
    return found.rows(), found.faults()


async def _cost(options: argparse.Namespace) -> Result:
    found = await cost.study(legs=options.legs, rounds=options.rounds, seconds=options.seconds)
    return found.rows(), {}


async def _corrupted(options: argparse.Namespace) -> Result:
    """Try in a process of its own, which may crash."""
    name = "tests.bench.studies.recoveries.corrupted"
    cases = str(options.cases)
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", name, "--cases", cases)
    code = await process.wait()
    met = code == 0
    found = f"all of {cases}" if met else f"exit code {code}"
    return [
        Row("corrupted ledgers and copies that are refused, or harmless", "all", found, met)
    ], {}


def _killed(plan: Callable[[argparse.Namespace], Plan]) -> Part:
    async def part(options: argparse.Namespace) -> Result:
        wanted = plan(options)
        found = await kills.study(wanted)
        return found.rows(wanted), found.faults()

    return part


def _goal(options: argparse.Namespace, goal: Goal) -> Goal:
    return goal.times(_factor(options))


def _factor(options: argparse.Namespace) -> float:
    return BUSY_FACTOR if options.busy else 1.0


PARTS: Final[dict[str, Part]] = {
    "upgrades": _upgrades,
    "kill": _killed(
        lambda options: Plan(
            name="kill -9",
            legs=options.legs,
            kills=options.kills,
            goal=_goal(options, KILLED),
        )
    ),
    "row": _killed(
        lambda options: Plan(
            name="ten kills 10 s apart",
            legs=options.row_legs,
            kills=10,
            apart=10.0,
            goal=_goal(options, WITHIN_SPARE),
        )
    ),
    "twice": _killed(
        lambda options: Plan(
            name="a kill while the spare starts",
            legs=options.row_legs,
            kills=2,
            apart=30.0,
            again=0.0,
            goal=_goal(options, WITHIN_SPARE),
        )
    ),
    "stop": _killed(
        lambda options: Plan(
            name="SIGSTOP of the node",
            legs=options.row_legs,
            kills=2,
            apart=15.0,
            how=signal.SIGSTOP,
            goal=_goal(options, STOPPED),
        )
    ),
    "take-overs": _killed(
        lambda options: Plan(
            name="take-overs",
            legs=options.legs,
            kills=math.ceil(options.take_overs / options.legs),
            goal=_goal(options, KILLED),
        )
    ),
    "audit": _audit,
    "corrupted": _corrupted,
    "cost": _cost,
}


@contextmanager
def _busy() -> Iterator[None]:
    """Let a process use a core meanwhile; peers do not take that for the end of their connections."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        with patient_peers():
            yield
    finally:
        process.kill()
        process.wait()


def _parts(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [one for one in names if one not in PARTS]:
        raise argparse.ArgumentTypeError(f"{unknown[0]} is none of {', '.join(PARTS)}")
    return names


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.studies.recoveries")
    parser.add_argument("--parts", type=_parts, default=list(PARTS), help=", ".join(PARTS))
    parser.add_argument("--busy", action="store_true", help="beside a process that uses a core")
    parser.add_argument("--upgrades", type=int, default=10)
    parser.add_argument("--calls", type=int, default=20, help="of all kinds in turn, upgraded")
    parser.add_argument("--pause", type=float, default=3.0, help="seconds before each upgrade")
    parser.add_argument("--legs", type=int, default=50, help="on the node that is killed")
    parser.add_argument("--kills", type=int, default=5, help="of a node with so many")
    parser.add_argument("--row-legs", type=int, default=20, help="where kills follow each other")
    parser.add_argument("--take-overs", type=int, default=200, help="of legs, in all")
    parser.add_argument("--cases", type=int, default=20_000, help="of corrupted ledgers and copies")
    parser.add_argument(
        "--rounds", type=int, default=3, help="of the cost, with copies and without"
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="of each, measured")
    return parser.parse_args()


def main() -> int:
    """Run the parts, print the table, judge."""
    options = _options()
    gc.disable()  # a collection of all that the parties have noted would stop them for 0.2 s
    rows: list[Row] = []
    faults: dict[str, Any] = {}
    with _busy() if options.busy else nullcontext():
        for name in options.parts:
            print(f"{name}:", flush=True)
            more, found = uvloop.run(PARTS[name](options))
            rows += more
            faults |= {f"{name}, {what}": one for what, one in found.items()}
    print(rendered(rows))
    for name, fault in faults.items():
        print(f"{name}: {fault}")
    return 1 if faults or any(one.decides and one.met is False for one in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
