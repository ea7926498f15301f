"""How long the bridge's pages take to load over loopback: `python -m tests.bench.studies.page_load [--times 20]`.

Each visit begins with an empty cache in a fresh window of Chromium; the bridge is running, and the browser too. The
first visit makes the bridge read and compress the files, and is printed by itself.
"""

import argparse
import asyncio
import statistics
import tempfile
from pathlib import Path

from playwright.async_api import async_playwright

from tests.browser.stage.chromium import launch
from tests.browser.stage.page_load import READY, load
from tests.support.server import running

TARGET_MS = 500.0
TARGET_BYTES = 60_000


def main() -> int:
    """Measure and print; 0 when the page and the console meet their targets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20, help="visits of each page")
    return asyncio.run(_measure(parser.parse_args().times))


async def _measure(times: int) -> int:
    missed = 0
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as server:
        async with async_playwright() as playwright:
            browser = await launch(playwright, microphone=None)
            for path in READY:
                visits = [await load(browser, server.url, path) for _ in range(times)]
                took = sorted(visit.usable_ms for visit in visits)
                size = max(visit.size for visit in visits)
                typical = statistics.median(took)
                print(
                    f"{path:9} {size / 1000:6.1f} kB in {len(visits[0].responses)} responses; usable after "
                    f"{typical:.0f} ms (first {visits[0].usable_ms:.0f}, worst {took[-1]:.0f})"
                )
                if path != "/docs":
                    missed += typical > TARGET_MS or size > TARGET_BYTES
            await browser.close()
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
