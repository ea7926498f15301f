"""Open and close calls at a bridge for a while and watch what it keeps: memory, descriptors, threads.

    python -m tests.bench.studies.soak [--minutes 30] [--calls 0] [--parallel 24] [--seconds 0.1]

Ends with 1 when memory still grows in the last third of the time (before that the allocator finds
its size), when descriptors or threads are left, or when more than one call in a thousand failed. A leak of a kilobyte a call shows within
minutes; to tell less than a megabyte an hour from none takes half an hour.
"""

import argparse
import asyncio
import math
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import numpy as np
import uvloop
from aiortc import RTCCertificate

from tests.bench import measure, servers
from tests.bench.generators.callers import Bridge
from tests.bench.generators.signal import Loop, make_loop
from tests.support.peers.light_peer import LightPeer

BYTES_PER_HOUR = 1e6
"""Growth that is taken for a leak, once it is certain."""
SAMPLES = 40
MAX_FAILED = 0.001


@dataclass(frozen=True, slots=True)
class Sample:
    """What the server holds after some calls."""

    calls: int
    seconds: float
    resident: int
    descriptors: int
    threads: int
    failed: int = 0
    """Of the calls."""


@dataclass(frozen=True, slots=True)
class Growth:
    """How memory grows with time; both in bytes an hour."""

    slope: float
    uncertainty: float
    """Two standard errors of the slope."""

    @property
    def certain(self) -> float:
        """What it grows by at least."""
        return max(0.0, self.slope - self.uncertainty)


def look(pid: int, *, calls: int, failed: int, begun: float) -> Sample:
    """Look at a process."""
    process = Path(f"/proc/{pid}")
    return Sample(
        calls=calls,
        seconds=time.monotonic() - begun,
        resident=measure.resident_bytes([pid]),
        descriptors=len(list((process / "fd").iterdir())),
        threads=len(list((process / "task").iterdir())),
        failed=failed,
    )


def growth(samples: Sequence[Sample]) -> Growth:
    """Fit a line through the memory of the last third of the time."""
    begin = samples[0].seconds + (samples[-1].seconds - samples[0].seconds) * 2 / 3
    later = [sample for sample in samples if sample.seconds >= begin]
    if len(later) < 4:
        return Growth(0.0, math.inf)
    hours = np.array([sample.seconds / 3600 for sample in later])
    held = np.array([float(sample.resident) for sample in later])
    slope, start = (float(one) for one in np.polyfit(hours, held, 1))
    spread = float(np.sum(np.square(hours - hours.mean())))
    error = float(np.sum(np.square(held - start - slope * hours))) / (len(later) - 2)
    return Growth(slope, 2 * math.sqrt(error / spread))


def verdict(samples: Sequence[Sample]) -> list[str]:
    """Name what is left behind; nothing when all is well."""
    first, last = samples[0], samples[-1]
    found = []
    if growth(samples).certain > BYTES_PER_HOUR:
        calls = 3600 * (last.calls - first.calls) / (last.seconds - first.seconds)
        slope = growth(samples).slope
        found.append(f"memory grows by {slope / 1e6:.1f} MB/h, {slope / calls:.0f} bytes a call")
    if last.descriptors > first.descriptors + 2:
        found.append(f"{last.descriptors - first.descriptors} descriptors are left open")
    if last.threads > first.threads + 2:
        found.append(f"{last.threads - first.threads} threads are left")
    if last.failed > MAX_FAILED * last.calls:
        found.append(f"{last.failed} of {last.calls} calls failed")
    return found


async def one_call(bridge: Bridge, certificate: RTCCertificate, loop: Loop, seconds: float) -> None:
    """Make a call, talk for a moment, hang up."""
    call = await bridge.call()
    try:
        async with LightPeer(certificate=certificate, keep=False) as peer:
            await peer.call(call.seats[0])
            await peer.speak(loop.payload(number) for number in range(round(seconds * 50)))
    finally:
        await call.end()


async def soak(
    server: servers.Server, *, calls: int, minutes: float, parallel: int, seconds: float
) -> list[Sample]:
    """Make calls, `parallel` at a time, for so long or so many; the first to be reached ends it.

    The server is looked at while no call is open.
    """
    certificate, loop = RTCCertificate.generateCertificate(), make_loop(seconds=2)
    begun = time.monotonic()
    samples: list[Sample] = []
    async with aiohttp.ClientSession() as session:
        bridge = Bridge(session, server.url, kind="echo")
        done = failed = 0
        while done < calls and time.monotonic() - begun < 60 * minutes:
            stop = len(samples) + 1
            made, bad = await _round(
                lambda: one_call(bridge, certificate, loop, seconds),
                parallel=parallel,
                most=max(parallel, min(math.ceil(calls / SAMPLES), calls - done)),
                until=begun + 60 * minutes * stop / SAMPLES,
            )
            done += made
            failed += bad
            await asyncio.sleep(0.5)
            samples.append(look(server.pid, calls=done, failed=failed, begun=begun))
            print(_line(samples[-1]), flush=True)
    return samples


async def _round(
    make: Callable[[], Awaitable[None]], *, parallel: int, most: int, until: float
) -> tuple[int, int]:
    """Make calls for so long, or so many; returns how many, and how many of them failed."""
    made = failed = 0

    async def worker() -> None:
        nonlocal made, failed
        while made < most and (made < parallel or time.monotonic() < until):
            made += 1
            try:
                await make()
            except (TimeoutError, ConnectionError, aiohttp.ClientError):
                failed += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(parallel):
            group.create_task(worker())
    return made, failed


def _line(sample: Sample) -> str:
    return (
        f"{sample.calls:6} calls  {sample.seconds:6.1f} s  {sample.resident / 1e6:7.2f} MB  "
        f"{sample.descriptors} descriptors  {sample.threads} threads  {sample.failed} failed"
    )


def main() -> int:
    """Soak, print, judge."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.studies.soak")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument(
        "--calls", type=int, default=0, help="at most; 0 = as many as there is time"
    )
    parser.add_argument("--parallel", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=0.1, help="of talk in every call")
    options = parser.parse_args()
    server_core, generator_core = servers.cores()
    # What the bridge remembers of an ended call for its retention time is not a leak.
    with servers.start("bridge", core=server_core, BRIDGE_LIMITS__KEPT_SECONDS="1") as server:
        servers.pin(0, generator_core)
        samples = uvloop.run(
            soak(
                server,
                calls=options.calls or sys.maxsize,
                minutes=options.minutes,
                parallel=options.parallel,
                seconds=options.seconds,
            )
        )
    grows = growth(samples)
    print(
        f"{grows.slope / 1e6:+.2f} MB/h in the last third, give or take "
        f"{grows.uncertainty / 1e6:.2f}; target: under {BYTES_PER_HOUR / 1e6:.0f}"
    )
    found = verdict(samples)
    print("\n".join(found) or "nothing is left behind")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
