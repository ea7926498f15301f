"""Open and close many calls at a bridge and watch what it keeps: memory, descriptors, threads.

    python -m tests.load.soak [--calls 10000] [--parallel 24] [--seconds 0.1]

Ends with 1 when memory still grows in the last third of the calls (before that the allocator finds
its size), or when descriptors or threads are left.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import numpy as np
import uvloop
from aiortc import RTCCertificate

from tests.load import measure, servers
from tests.load.generator import Caller, Plan
from tests.load.signal import Loop, make_loop
from tests.support.light_peer import LightPeer

BYTES_PER_CALL = 500.0
"""Growth that is taken for a leak."""
SAMPLES = 40


@dataclass(frozen=True, slots=True)
class Sample:
    """What the server holds after some calls."""

    calls: int
    seconds: float
    resident: int
    descriptors: int
    threads: int


def look(pid: int, *, calls: int, begun: float) -> Sample:
    """Look at a process."""
    process = Path(f"/proc/{pid}")
    return Sample(
        calls=calls,
        seconds=time.monotonic() - begun,
        resident=measure.resident_bytes(pid),
        descriptors=len(list((process / "fd").iterdir())),
        threads=len(list((process / "task").iterdir())),
    )


def growth_per_call(samples: Sequence[Sample]) -> float:
    """Fit a line through the memory of the last third: bytes kept for each call."""
    later = samples[2 * len(samples) // 3 :]
    if len(later) < 2:
        return 0.0
    calls = [sample.calls for sample in later]
    return float(np.polyfit(calls, [sample.resident for sample in later], 1)[0])


def verdict(samples: Sequence[Sample]) -> list[str]:
    """Name what is left behind; nothing when all is well."""
    first, last = samples[0], samples[-1]
    found = []
    if growth_per_call(samples) > BYTES_PER_CALL:
        found.append(f"memory grows by {growth_per_call(samples):.0f} bytes a call")
    if last.descriptors > first.descriptors + 2:
        found.append(f"{last.descriptors - first.descriptors} descriptors are left open")
    if last.threads > first.threads + 2:
        found.append(f"{last.threads - first.threads} threads are left")
    return found


async def one_call(caller: Caller, certificate: RTCCertificate, loop: Loop, seconds: float) -> None:
    """Make a call, talk for a moment, hang up."""
    exchange, call_id = await caller.dial()
    async with LightPeer(certificate=certificate, keep=False) as peer:
        await peer.call(exchange)
        await peer.speak(loop.payload(number) for number in range(round(seconds * 50)))
    await caller.hang_up(call_id)


async def soak(
    server: servers.Server, *, calls: int, parallel: int, seconds: float
) -> list[Sample]:
    """Make the calls, `parallel` at a time; looks at the server while no call is open."""
    plan = Plan(target="bridge", url=server.url, pid=server.pid, legs=0, seconds=0, losses=[])
    certificate, loop = RTCCertificate.generateCertificate(), make_loop(seconds=2)
    begun = time.monotonic()
    samples: list[Sample] = []
    async with aiohttp.ClientSession() as session:
        caller = Caller(plan, session)
        round_size = max(parallel, calls // SAMPLES)
        for done in range(0, calls, round_size):
            until = min(done + round_size, calls)
            waiting = iter(range(done, until))

            async def worker(waiting=waiting) -> None:
                for _ in waiting:
                    await one_call(caller, certificate, loop, seconds)

            async with asyncio.TaskGroup() as group:
                for _ in range(parallel):
                    group.create_task(worker())
            await asyncio.sleep(0.5)
            samples.append(look(server.pid, calls=until, begun=begun))
            print(_line(samples[-1]), flush=True)
    return samples


def _line(sample: Sample) -> str:
    return (
        f"{sample.calls:6} calls  {sample.seconds:6.1f} s  {sample.resident / 1e6:7.2f} MB  "
        f"{sample.descriptors} descriptors  {sample.threads} threads"
    )


def main() -> int:
    """Soak, print, judge."""
    parser = argparse.ArgumentParser(prog="python -m tests.load.soak")
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--parallel", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=0.1, help="of talk in every call")
    options = parser.parse_args()
    server_core, generator_core = servers.cores()
    # What the bridge remembers of an ended call for its retention time is not a leak.
    with servers.start("bridge", core=server_core, BRIDGE_LIMITS__KEPT_SECONDS="1") as server:
        servers.pin(0, generator_core)
        samples = uvloop.run(
            soak(server, calls=options.calls, parallel=options.parallel, seconds=options.seconds)
        )
    minutes = (samples[-1].seconds - samples[0].seconds) / 60
    print(f"{growth_per_call(samples):.0f} bytes a call in the last third, {minutes:.1f} minutes")
    found = verdict(samples)
    print("\n".join(found) or "nothing is left behind")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
