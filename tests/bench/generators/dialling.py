"""How soon a telephone is called that was asked for, and how many at once.

Started by the bench with a plan (JSON) on standard input; writes what was measured to standard output
(JSON). The trunk answers at once, so that all time but its own is the bridge's.
"""

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass

import aiohttp
import uvloop

from tests.bench.generators.callers import Telephones
from tests.bench.generators.trunk import PCMU, PlainParty, trunk

_PAUSE_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialled:
    """What was measured of dialling."""

    overheads: list[float]
    """From posting a dial to its INVITE, and from the answer to its ACK, together; seconds."""
    dials: int
    burst: int
    """Calls begun at once."""
    burst_seconds: float
    """From posting the first of them to the ACK of the last."""


def overhead(party: PlainParty) -> float:
    """Return what the bridge itself took of a call's set-up, in seconds."""
    times = party.times
    return times["invite"] - times["dial"] + times["ack"] - times["answer"]


async def run(url: str, trunk_port: int, *, dials: int, burst: int) -> Dialled:
    """Make the calls; a few are made before, for what is loaded once."""
    async with (
        aiohttp.ClientSession() as session,
        trunk(PCMU, trunk_port) as far_end,
    ):
        caller = Telephones(session, url, far_end)
        overheads = []
        for number in range(-3, dials):
            call = await caller.call()
            if number >= 0:
                overheads.append(overhead(call.parties[0]))
            await call.end()
            await asyncio.sleep(_PAUSE_SECONDS)
        begun = time.monotonic()
        calls = await asyncio.gather(*(caller.call() for _ in range(burst)))
        seconds = max(one.parties[0].times["ack"] for one in calls) - begun
        for one in calls:
            await one.end()
    return Dialled(overheads=overheads, dials=dials, burst=burst, burst_seconds=seconds)


def main() -> None:
    """Do what standard input says."""
    plan = json.load(sys.stdin)
    json.dump(asdict(uvloop.run(run(**plan))), sys.stdout)


if __name__ == "__main__":
    main()
