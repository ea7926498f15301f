"""What it costs a leg that its call can outlive its process: with `recovery.enabled` and without, in turn."""

import asyncio
import statistics
import time
from dataclasses import dataclass, field
from typing import Final

from bridge.cluster.succession import FRESH_SECONDS
from tests.bench.studies.recoveries.kills import talking
from tests.bench.studies.recoveries.processes import children, cpu_seconds, keep_log
from tests.bench.studies.recoveries.table import Row
from tests.support.server import Server

MAX_SHARE: Final = 0.01
"""Of what a leg uses without."""
WARM_SECONDS: Final = 3.0
"""After the last leg has connected: copies of all calls have been made then."""


@dataclass
class Found:
    """What legs have used of a core, in percent, round by round."""

    enabled: list[float] = field(default_factory=list)
    disabled: list[float] = field(default_factory=list)
    copying: list[float] = field(default_factory=list)
    """Of which the copies, one a minute, by the node's own clock."""

    def ratios(self) -> list[float]:
        """Return what a leg uses with, by what one uses without, of each round."""
        return [one / other for one, other in zip(self.enabled, self.disabled, strict=True)]

    def rows(self) -> list[Row]:
        """Return the lines of the table."""
        ratios = self.ratios()
        median = statistics.median(ratios)
        shares = [one / other for one, other in zip(self.copying, self.disabled, strict=True)]
        spread = f"{median:.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
        legs = f"{statistics.median(self.enabled):.3f}, {statistics.median(self.disabled):.3f}"
        share = statistics.median(shares)
        return [
            Row(
                "CPU of a leg with copies, by one without: median (range)",
                f"{1 + MAX_SHARE:.2f}",
                spread,
                median <= 1 + MAX_SHARE,
                decides=False,
            ),
            Row("percent of a core, a leg, with and without", "", legs),
            Row(
                "a copy each minute, of a leg's CPU",
                f"{100 * MAX_SHARE:.0f} %",
                f"{100 * share:.3f} %",
                share <= MAX_SHARE,
            ),
        ]


async def study(*, legs: int, rounds: int, seconds: float) -> Found:
    """Let a bridge serve legs, with copies and without in turn, and compare."""
    found = Found()
    for number in range(rounds):
        for enabled in (True, False) if number % 2 else (False, True):
            used, copying = await _measure(legs, seconds, enabled=enabled)
            (found.enabled if enabled else found.disabled).append(used)
            if enabled:
                found.copying.append(copying)
            print(
                f"recovery {'on' if enabled else 'off'}: {used:.3f} % of a core a leg", flush=True
            )
    return found


async def _measure(legs: int, seconds: float, *, enabled: bool) -> tuple[float, float]:
    """Return what a leg uses of a core, and what its copies do, in percent."""
    async with talking(legs, RECOVERY__ENABLED=str(enabled).lower()) as parties:
        server = parties.server
        await asyncio.sleep(WARM_SECONDS)
        began, used = time.monotonic(), _cpu(server)
        await asyncio.sleep(seconds)
        percent = 100 * (_cpu(server) - used) / (time.monotonic() - began) / legs
        result = percent, 100 * _copy_seconds(server) / FRESH_SECONDS
        await parties.hang_up()
        keep_log(server, f"cost {'with' if enabled else 'without'}")
    return result


def _cpu(server: Server) -> float:
    """Return the seconds that all processes of the bridge have used."""
    return sum(map(cpu_seconds, [server.process.pid, *children(server.process.pid)]))


def _copy_seconds(server: Server) -> float:
    """Return how long a copy of a call takes; 0 if none is made."""
    rows = [one for one in server.text("/metrics").splitlines() if 'step="copy"' in one]
    figures = {one.partition("{")[0].rpartition("_")[2]: float(one.split()[-1]) for one in rows}
    return figures.get("sum", 0.0) / max(1.0, figures.get("count", 0.0))
