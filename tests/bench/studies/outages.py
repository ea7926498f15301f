"""How long a page is without sound after its network changed: many rounds in real browsers.

Each browser has a network namespace of its own (root, iproute2) and calls the echo contact with a steady
tone. Times run from the change of address, or from the moment in which the network is back.
"""

import argparse
import asyncio
import random
import sys
import tempfile
from pathlib import Path

import numpy as np

from tests.browser.stage.network import available
from tests.browser.stage.roaming import CHANGES, LIMITS, roaming

SHORTEST, LONGEST = 3.0, 10.0
"""Seconds that a hole lasts: a shorter one is over before anybody has noticed it."""


async def measure(engine: str, what: str, rounds: int, seed: int) -> list[float]:
    """Let the network of one call change `rounds` times; returns the seconds until sound was back."""
    lengths = random.Random(f"{seed}/{engine}/{what}")
    took = []
    with tempfile.TemporaryDirectory() as folder:
        async with roaming(engine, Path(folder)) as browser:
            for _ in range(rounds):
                length = lengths.uniform(SHORTEST, LONGEST)
                took.append(await browser.change(what, seconds=length))
    return took


def main() -> int:
    """Measure and print a table; returns 1 where the 95th percentile is beyond its limit."""
    parser = argparse.ArgumentParser(prog="make outages", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--engines", default="chromium,firefox")
    parser.add_argument("--changes", default=",".join(CHANGES))
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    if not available():
        print("outages: network namespaces cannot be made (as root, with iproute2)")
        return 2
    print("| browser | change | rounds | median | 95th percentile | longest | limit |")
    print("|---|---|---|---|---|---|---|")
    late = False
    for engine in wanted.engines.split(","):
        for what in wanted.changes.split(","):
            took = asyncio.run(measure(engine, what, wanted.rounds, wanted.seed))
            middle, high = np.percentile(took, [50, 95])
            late |= bool(high > LIMITS[what])
            cells = f"{len(took)} | {middle:.2f} s | {high:.2f} s | {max(took):.2f} s | {LIMITS[what]:.0f} s"
            print(f"| {engine} | {what} | {cells} |", flush=True)
    return int(late)


if __name__ == "__main__":
    sys.exit(main())
